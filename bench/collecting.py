"""What gc and find cost over many blobs, a tenth of them orphans; the floor is a plain listing and one `ls-tree`.

What a process holds when it starts another is counted as the other's peak. So this one holds nothing of the store.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench import bucket
from bench.measure import Figure, Job, interleave, pairwise

TARGETS = 50
MB = 1_000_000
LARGE = 100_000  # blobs from which on the ratio is judged: below, it is that of starting a process
_HERE = Path(__file__).parent


def collections(pointsman: Sequence[str], root: Path, sizes: Sequence[int], rounds: int) -> list[Figure]:
    """Dry runs of gc, and a find, over so many blobs each, in a directory and on SeaweedFS."""
    figures = []
    places = {size: f"file://{root}/gc-{size}" for size in sizes}
    for size in places:
        _fill(root / f"gc-{size}", size)
    figures += _collections(pointsman, root, places, "a directory", "", rounds)
    host = bucket.start(root / "weed")
    endpoint = f"http://{host}"
    places = {size: f"s3://{bucket.NAME}/gc-{size}" for size in places}
    for size, url in places.items():
        uploading = [sys.executable, str(_HERE / "uploading.py"), url, endpoint, str(root / f"gc-{size}")]
        subprocess.run(uploading, check=True)
    return figures + _collections(pointsman, root, places, "SeaweedFS", endpoint, rounds)


def _collections(
    pointsman: Sequence[str], root: Path, places: Mapping[int, str], where: str, endpoint: str, rounds: int
) -> list[Figure]:
    """`places`: number of blobs → the URL of their store."""
    figures: list[Figure] = []
    for blobs, url in places.items():
        repository = root / f"gc-{blobs}-{'s3' if endpoint else 'file'}.git"
        _build(repository, blobs, url, endpoint)
        command = [*pointsman, "-C", str(repository)]
        figures += _collection(command, repository, blobs, where, url, endpoint, rounds)
    return figures


def _collection(
    command: Sequence[str],
    repository: Path,
    blobs: int,
    where: str,
    url: str,
    endpoint: str,
    rounds: int,
) -> list[Figure]:
    collect, told = (
        Job(name, [*command, "gc", "--grace", "0s", *more]) for name, more in (("gc", ()), ("json", ["--json"]))
    )
    floor = Job("listing", [sys.executable, str(_HERE / "listing.py"), url, endpoint, str(repository)])
    find = Job("find", [*command, "find", "nobody"])
    interleave([collect, floor, told], rounds)
    interleave([find], 1)
    limit = 1.5 if blobs >= LARGE else None
    group = f"gc, a dry run of {blobs:,} blobs in {where}, a tenth of them orphans"
    return [
        Figure(group, "a plain listing and one ls-tree", floor.seconds() * 1000, "ms"),
        Figure(group, "whole process", collect.seconds() * 1000, "ms"),
        Figure(group, "whole processes", pairwise(collect, floor), "x listing and ls-tree", limit),
        Figure(group, "processor time, children's too", _cpu(collect) / _cpu(floor), "x listing and ls-tree"),
        Figure(group, "peak memory", collect.peak() / MB, "MB", 150),
        Figure(group, "peak memory with --json", told.peak() / MB, "MB", 150),
        Figure(group, "find, whole process", find.seconds() * 1000, "ms"),
        Figure(group, "find, peak memory of its largest process", find.peak() / MB, "MB", 150),
    ]


def _cpu(job: Job) -> float:
    return min(run.cpu for run in job.runs.values())


def _keys(blobs: int) -> Iterator[tuple[str, bytes, bool]]:
    """Keys, bytes, and whether they are recorded: artifacts whose version is their hash."""
    for target in range(TARGETS):
        for night in range(blobs // TARGETS):
            items = [{"item_id": f"item-{night}-{place}", "score": 1 / (1 + place)} for place in range(4)]
            about = {"artifact_type": "popularity", "tenant": f"shop{target:03}", "surface": "home", "segment": "all"}
            data = json.dumps({**about, "items": items}).encode()
            yield (
                f"shop{target:03}/home/popularity/{hashlib.sha256(data).hexdigest()}.json",
                data,
                (target * (blobs // TARGETS) + night) % 10 > 0,
            )


def _fill(store: Path, blobs: int) -> None:
    """All blobs, written long ago."""
    for key, data, _ in _keys(blobs):
        path = store / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (1, 1))


def _build(repository: Path, blobs: int, url: str, endpoint: str) -> None:
    """A repository with one commit that records nine of ten blobs."""
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", repository], check=True)
    process = subprocess.Popen(["git", "-C", repository, "fast-import", "--quiet"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    settings = f'[store]\nurl = "{url}"\n' + (f'endpoint = "{endpoint}"\nallow_http = true\n' if endpoint else "")
    lines = ["blob", "mark :1", "data 3", "{}", "", "commit refs/heads/main"]
    lines += ["committer Bench <bench@example.org> 1740000000 +0000", "data 5", "begin"]
    lines += ["M 100644 inline pointsman.toml", f"data {len(settings)}", settings]
    process.stdin.write("\n".join([*lines, ""]).encode())
    process.stdin.writelines(f"M 100644 :1 registry/{key}\n".encode() for key, _, recorded in _keys(blobs) if recorded)
    process.stdin.close()
    if process.wait() != 0:
        raise SystemExit("git fast-import failed")
