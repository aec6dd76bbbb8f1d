"""Manifest repositories with many records, as years of publishing would have left them, built by `git fast-import`."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import IO

SURFACES = 10  # per tenant
BLOB = 4096  # bytes
_BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
_ASKED = 1000  # ids at a time: their answers stay below what a pipe holds
# As `_render` would write it, at a tenth of the cost: there are very many.
_RECORD = """{{
  "v": 1,
  "tenant": "{tenant}",
  "surface": "{surface}",
  "segment": "default",
  "type": "popularity",
  "version": "{version}",
  "window": {{
    "start": "{before:%Y-%m-%dT00:00:00Z}",
    "end": "{day:%Y-%m-%dT00:00:00Z}"
  }},
  "uri": "{uri}",
  "size": {BLOB},
  "built_at": "{day:%Y-%m-%dT00:05:00Z}",
  "source_hash": "{version}",
  "summary": {{
    "items": 3
  }},
  "recorded_at": "{day:%Y-%m-%dT00:06:00.000000Z}",
  "producer": {{
    "run": "https://ci.example.org/runs/1",
    "commit": "",
    "tool": "pointsman 0"
  }}
}}
"""


class _Stream:
    """Commits for `git fast-import`, one a minute."""

    def __init__(self, out: IO[bytes], answers: IO[bytes]) -> None:
        self.out = out
        self.answers = answers
        self.commits = 0

    @property
    def now(self) -> datetime:
        return _BEGIN + timedelta(minutes=self.commits)

    def commit(self, message: str, files: Mapping[str, bytes]) -> None:
        """One commit of `main`; `ids` tells its id."""
        self.commits += 1
        who = f"Bench <bench@example.org> {int(self.now.timestamp())} +0000"
        text = message.encode()
        lines = [f"commit refs/heads/main\nmark :{self.commits}\ncommitter {who}\ndata {len(text)}\n".encode(), text]
        for path, data in files.items():
            lines.append(f"\nM 100644 inline {path}\ndata {len(data)}\n".encode() + data)
        self.out.write(b"".join(lines) + b"\n")

    def ids(self, count: int) -> list[str]:
        """The ids of the newest commits, oldest first. One question for many: each costs two switches of processes."""
        asked = range(self.commits - count + 1, self.commits + 1)
        self.out.write("".join(f"get-mark :{mark}\n" for mark in asked).encode())
        self.out.flush()
        return [self.answers.readline().decode().strip() for _ in asked]


def _render(document: Mapping[str, object]) -> bytes:
    return (json.dumps(document, indent=2) + "\n").encode()


def blob(target: str, night: int) -> bytes:
    """The blob of a target's version of one night; nobody decodes it."""
    return f"{target} {night}\n".encode().ljust(BLOB, b".")


def key(target: str, night: int) -> str:
    """Where that blob stands below the store's URL."""
    return f"{target}/popularity/{hashlib.sha256(blob(target, night)).hexdigest()}.json"


def _record(target: str, version: str, uri: str, day: datetime) -> bytes:
    tenant, surface = target.split("/")
    before = day - timedelta(days=1)
    return _RECORD.format(
        tenant=tenant, surface=surface, version=version, uri=uri, day=day, before=before, BLOB=BLOB
    ).encode()


def _batched(names: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(names)
    while some := list(islice(rest, size)):
        yield some


def targets(count: int) -> Iterator[str]:
    for place in range(count):
        yield f"shop-{place // SURFACES:03d}/surface-{place % SURFACES}"


def build(
    directory: Path,
    store: str,
    *,
    of: int,
    each: int,
    ships: int,
    artifact_bytes: int,
    endpoint: str = "",
    runs: Mapping[str, str] | None = None,
    more: str = "",
) -> None:
    """A bare repository of `of` targets with `each` records, the newest `ships` of them shipped, a night at a time.

    `runs`: target → the run that its ships of the last night name. `more`: other settings.

    A night lands the records of all targets in one commit and then ships them one by one.
    """
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", directory], check=True)
    command = ["git", "-C", str(directory), "-c", "core.compression=1", "fast-import", "--quiet"]
    importer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert importer.stdin is not None
    assert importer.stdout is not None
    stream = _Stream(importer.stdin, importer.stdout)
    access = f'endpoint = "{endpoint}"\nallow_http = true\n' if endpoint else ""
    settings = f'[store]\nurl = "{store}"\n{access}\n[limits]\nartifact_bytes = {artifact_bytes}\n'
    settings += f"[policy]\ntoo_large_to_serve = {artifact_bytes}\n{more}"
    stream.commit("settings\n", {"pointsman.toml": settings.encode()})
    before = dict.fromkeys(targets(of), "none")
    for night in range(each):
        versions = {target: hashlib.sha256(blob(target, night)).hexdigest() for target in before}
        day = _BEGIN - timedelta(days=each - night)
        landing = {
            f"registry/{target}/popularity/{version}.json": _record(target, version, _uri(store, target, version), day)
            for target, version in versions.items()
        }
        stream.commit(f"record: {of} targets\n", landing)
        for some in _batched(versions, _ASKED) if night >= each - ships else ():
            for target in some:
                version, run = versions[target], runs[target] if runs is not None and night == each - 1 else ""
                _ship(stream, target, version, _uri(store, target, version), before[target], run)
            before |= zip(some, stream.ids(len(some)), strict=True)
    importer.stdin.close()
    if importer.wait() != 0:
        raise SystemExit("git fast-import failed")


def _uri(store: str, target: str, version: str) -> str:
    return f"{store}/{target}/popularity/{version}.json"


def _ship(stream: _Stream, target: str, version: str, uri: str, before: str, run: str) -> None:
    tenant, surface = target.split("/")
    moment = f"{stream.now:%Y-%m-%dT%H:%M:%S.%fZ}"
    current = {"popularity": uri}
    manifest = _render({"v": 1, "tenant": tenant, "surface": surface, "current": current, "updated_at": moment})
    message = (
        f"ship: {target} popularity {version[:12]}\n\n"
        f"Manifest: {target} sha256:{hashlib.sha256(manifest).hexdigest()}\n"
        f"Supersedes: {target} {before}\n"
        f"Record: {target} popularity@{version}\n" + (f"Run: {run}\n" if run else "")
    )
    stream.commit(message, {f"manifests/{target}/manifest.json": manifest})


def add_commit(repository: Path, target: str, number: int) -> None:
    """On the branch `push`, one commit more than main: a record like any other, what a publish pushes first."""
    version = hashlib.sha256(f"push {number}".encode()).hexdigest()
    data = _record(target, version, f"file:///nowhere/{target}/popularity/{version}.json", _BEGIN)
    script = (
        f"commit refs/heads/push\ncommitter Bench <bench@example.org> {2_000_000_000 + number} +0000\ndata 7\nrecord\n"
        f"\nfrom refs/heads/main^0\nM 100644 inline registry/{target}/popularity/{version}.json\ndata {len(data)}\n"
    )
    command = ["git", "-C", str(repository), "fast-import", "--quiet", "--force"]
    subprocess.run(command, input=script.encode() + data + b"\n", check=True)
