"""A shop with a bare origin, a desk (a clone) and a local store: what a user has, made of real parts."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pointsman.errors import Fault, Refused
from pointsman.outcome import Outcome
from pointsman.repo.open import open_repository
from pointsman.repo.repository import Repository
from pointsman.state.names import Target
from pointsman.verbs import check, pr, publish, rollback
from pointsman.workspace import Workspace

STAGING = Path(__file__).parents[1] / "samples" / "recsys-pipelines" / "staging"
GROCER = Target("grocer", "home")
# Days are shipped here in any order and of any size; what guardrails say of that has tests of its own.
CALM = "[policy]\nkept_low = false\nsize_jump = false\nwindow_regressed = false\n"
DAYS = {day: f"2026-03-0{day}_2026-03-0{day + 1}" for day in (1, 2, 3)}


def git(where: Path, *words: str, env: dict[str, str] | None = None, given: str | None = None) -> str:
    """Plain git, as a user types it."""
    identity = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in
                (("NAME", "Ann Ops"), ("EMAIL", "ann@example.org"))}  # fmt: skip
    done = subprocess.run(
        ["git", *words],
        check=False,
        cwd=where,
        env={**os.environ, **identity, **(env or {})},
        input=given,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, f"git {' '.join(words)}: {done.stderr}"
    return done.stdout.strip()


class Shop:
    """The parts and the verbs, each verb in a fresh repository object as a fresh process would have it."""

    def __init__(self, root: Path, settings: str = "", url: str | None = None) -> None:
        self.root = root
        self.origin = root / "origin.git"
        self.desk = root / "desk"
        self.store = root / "store"
        root.mkdir(parents=True, exist_ok=True)
        git(root, "init", "-q", "--bare", "-b", "main", str(self.origin))
        git(root, "clone", "-q", str(self.origin), str(self.desk))
        git(self.desk, "checkout", "-q", "-b", "main")
        policy = "" if "[policy" in settings else CALM
        (self.desk / "pointsman.toml").write_text(
            f'[store]\nurl = "{url or f"file://{self.store}"}"\n{settings}{policy}'
        )
        self.push("settings")

    @contextmanager
    def open(self, where: Path | str | None = None) -> Iterator[Repository]:
        with open_repository(str(where or self.desk)) as repo:
            yield repo

    # by hand

    def push(self, message: str = "by hand") -> str:
        git(self.desk, "add", "-A")
        git(self.desk, "commit", "-q", "--allow-empty", "-m", message)
        git(self.desk, "push", "-q", "origin", "HEAD:main")
        return git(self.desk, "rev-parse", "HEAD")

    def pull(self) -> str:
        git(self.desk, "pull", "-q", "--ff-only", "origin", "main")
        return git(self.desk, "rev-parse", "HEAD")

    @property
    def main(self) -> str:
        return git(self.origin, "rev-parse", "refs/heads/main")

    @property
    def manifest(self) -> bytes:
        return git(self.origin, "show", f"main:{GROCER.manifest_path}").encode() + b"\n"

    @property
    def serving(self) -> bytes | None:
        path = self.store / "registry" / "current" / "grocer" / "home" / "manifest.json"
        return path.read_bytes() if path.exists() else None

    def everything(self) -> dict[str, str]:
        """Every ref and object of the origin, every file of the store: what "nothing was written" is held against."""
        refs = dict(
            line.split(" ")[::-1]
            for line in git(self.origin, "for-each-ref", "--format=%(objectname) %(refname)").splitlines()
        )
        files = {
            str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in self.store.rglob("*") if path.is_file()
        }
        objects = {path.name: "object" for path in (self.origin / "objects").rglob("*") if path.is_file()}
        return {**refs, **files, **objects}

    # verbs

    def publish(
        self, *paths: Path, day: int | None = None, where: Path | str | None = None, **more: Any
    ) -> Outcome[Any]:
        if day is not None:
            paths, more = (STAGING / "grocer",), {"windows": (DAYS[day],), **more}
        with self.open(where) as repo:
            return publish.publish(Workspace(repo), publish.Request(tuple(map(str, paths)), **more))

    def merge(self, pull: str = "grocer/home", where: Path | str | None = None) -> Outcome[Any]:
        with self.open(where) as repo:
            return pr.merge(Workspace(repo), pull)

    def pulls(self, where: Path | str | None = None) -> list[dict[str, Any]]:
        with self.open(where) as repo:
            listed: list[dict[str, Any]] = pr.list_pulls(Workspace(repo)).document["pull_requests"]
            return listed

    def roll_back(self, *targets: Target, where: Path | str | None = None, **more: Any) -> Outcome[Any]:
        with self.open(where) as repo:
            return rollback.roll_back(Workspace(repo), rollback.Request(targets or (GROCER,), **more))

    def sync(self, where: Path | str | None = None, **more: Any) -> Outcome[Any]:
        from pointsman.verbs import sync

        with self.open(where) as repo:
            return sync.sync(Workspace(repo), sync.Orders(**more))

    def check(
        self,
        base: str | None = None,
        head: str | None = None,
        where: Path | str | None = None,
        *,
        staged: bool = False,
        **how: Any,
    ) -> list[str]:
        """The names of the rules that a change breaks and does not accept."""
        with self.open(where) as repo:
            document = check.check(Workspace(repo, **how), base=base, head=head, staged=staged).document
        return sorted({fault["rule"] for fault in document["faults"] if not fault["accepted"]})


def only(faults: list[Fault]) -> set[str]:
    return {fault.rule for fault in faults}


def refused(error: Refused) -> set[str]:
    return only(error.faults)


def popularity(
    path: Path, items: int, *, tenant: str = "grocer", surface: str = "home", day: int = 1, salt: str = "", **more: Any
) -> Path:
    """An artifact file as a pipeline would write it, with as many items as asked."""
    entries = [{"item_id": f"item{salt}-{place:04}", "count": items - place} for place in range(items)]
    return artifact(path, "popularity", tenant=tenant, surface=surface, day=day, items=entries, **more)


def cooc(
    path: Path, rows: int, *, tenant: str = "grocer", surface: str = "home", day: int = 1, salt: str = "", **more: Any
) -> Path:
    neighbors = [
        {"item_id": f"row{salt}-{place:04}", "items": [{"item_id": "near", "count": 1}]} for place in range(rows)
    ]
    return artifact(path, "cooc", tenant=tenant, surface=surface, day=day, neighbors=neighbors, **more)


def artifact(
    path: Path,
    artifact_type: str,
    *,
    tenant: str,
    surface: str,
    day: int,
    segment: str = "default",
    built_at: str = "2026-03-09T00:00:00Z",
    **body: Any,
) -> Path:
    head = {
        "v": 1,
        "artifact_type": artifact_type,
        "tenant": tenant,
        "surface": surface,
        "segment": segment,
        "window": {"start": f"2026-03-{day:02}T00:00:00Z", "end": f"2026-03-{day + 1:02}T00:00:00Z"},
    }
    empty = {"build": {"built_at": "", "version": ""}}
    version = hashlib.sha256(json.dumps({**head, **body, **empty}, separators=(",", ":")).encode()).hexdigest()
    build = {"build": {"built_at": built_at, "version": version, "source_hash": version}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**head, **body, **build}, indent=2))
    return path


def once_shipped(root: Path) -> Shop:
    """One ship of ten items, which nobody has synced or pulled."""
    shop = Shop(root)
    shop.publish(popularity(root / "p1.json", 10), merge=True, run="https://ci.example/1")
    return shop


def twice_shipped(root: Path) -> Shop:
    """Two ships of the real samples, synced."""
    shop = Shop(root)
    for day in (1, 2):
        shop.publish(day=day, merge=True)
    shop.sync()
    shop.pull()
    return shop


class KeptDirectory:
    """A directory that is made once and that every test may spoil: `fresh` puts it back where it was made."""

    def __init__(self, root: Path, make: Callable[[Path], object]) -> None:
        self._place = root / "shop"
        self._copy = root / "kept"
        make(self._place)
        shutil.copytree(self._place, self._copy, symlinks=True)

    def fresh(self) -> Path:
        shutil.rmtree(self._place)
        shutil.copytree(self._copy, self._place, symlinks=True)
        return self._place


class Kept:
    """The same for a shop."""

    def __init__(self, root: Path, make: Callable[[Path], Shop]) -> None:
        made: list[Shop] = []
        self._directory = KeptDirectory(root, lambda place: made.append(make(place)))
        (self._shop,) = made

    def fresh(self) -> Shop:
        self._directory.fresh()
        return self._shop
