"""What gc costs: a dry run over many blobs, a tenth of them orphans, against a plain listing and one `git ls-tree`."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.measure import Figure, Job, interleave, pairwise

TARGETS = 50
MB = 1_000_000
_HERE = Path(__file__).parent


def collections(pointsman: Sequence[str], root: Path, blobs: int, rounds: int) -> list[Figure]:
    """A dry run of gc over so many blobs in a directory."""
    repository, store = root / f"gc-{blobs}.git", root / f"gc-{blobs}"
    _build(repository, store, blobs)
    collect = Job("gc", [*pointsman, "-C", str(repository), "gc", "--grace", "0s"])
    listing = [sys.executable, str(_HERE / "listing.py"), f"file://{store}", "", str(repository)]
    floor = Job("listing", listing)
    interleave([collect, floor], rounds)
    group = f"gc, a dry run of {blobs:,} blobs in a directory, a tenth of them orphans"
    return [
        Figure(group, "a plain listing and one ls-tree", floor.seconds() * 1000, "ms"),
        Figure(group, "whole process", collect.seconds() * 1000, "ms"),
        Figure(group, "whole processes", pairwise(collect, floor), "x listing and ls-tree"),
        Figure(group, "peak memory", collect.peak() / MB, "MB", 150),
    ]


def _build(repository: Path, store: Path, blobs: int) -> None:
    """A repository with one commit that records nine of ten blobs, and a store with all, written long ago."""
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", repository], check=True)
    process = subprocess.Popen(["git", "-C", repository, "fast-import", "--quiet"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    settings = f'[store]\nurl = "file://{store}"\n'
    lines = ["blob", "mark :1", "data 3", "{}", "", "commit refs/heads/main"]
    lines += ["committer Bench <bench@example.org> 1740000000 +0000", "data 5", "begin"]
    lines += ["M 100644 inline pointsman.toml", f"data {len(settings)}", settings]
    for target in range(TARGETS):
        directory = f"shop{target:03}/home/popularity"
        (store / directory).mkdir(parents=True)
        for night in range(blobs // TARGETS):
            name = f"{directory}/{hashlib.sha256(f'{target} {night}'.encode()).hexdigest()}.json"
            (store / name).write_bytes(b"blob")
            os.utime(store / name, (1, 1))
            lines += [f"M 100644 :1 registry/{name}"] if night % 10 else []
    process.stdin.write("\n".join([*lines, ""]).encode())
    process.stdin.close()
    if process.wait() != 0:
        raise SystemExit("git fast-import failed")
