"""Publish onto a disk that is full, then make room and publish again: a program for a mount namespace of its own.

python full_disk.py STORE REPOSITORY PATH…: a small file system is mounted at STORE, filled but for a little, and the
artifacts are published there. What happened is one JSON document on stdout.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from pointsman.errors import Problem
from pointsman.repo.open import open_repository
from pointsman.verbs.publish import Request, publish
from pointsman.workspace import Workspace


def run(repository: str, paths: tuple[str, ...]) -> tuple[int, str]:
    try:
        with open_repository(repository) as repo:
            return publish(Workspace(repo), Request(paths)).exit_code, ""
    except Problem as problem:
        return problem.exit_code, str(problem)


def fill(path: Path, keep: int) -> None:
    """Use up all room of a file system but for `keep` bytes."""
    room = os.statvfs(path.parent)
    with open(path, "wb") as file:
        file.write(bytes(room.f_bavail * room.f_bsize - keep))


def files(store: Path) -> dict[str, int]:
    return {str(path.relative_to(store)): path.stat().st_size for path in store.rglob("*") if path.is_file()}


def main(store: Path, repository: str, paths: tuple[str, ...]) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(store)], check=True)
    ballast = store / ".ballast"
    fill(ballast, 20_000)
    full = run(repository, paths)
    during = files(store)
    ballast.unlink()
    again = run(repository, paths)
    json.dump({"full": full, "during": during, "again": again, "after": files(store)}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], tuple(sys.argv[3:]))
