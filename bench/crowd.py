"""A night of many pipelines: publishers of targets of their own that start at once, and that all push one main."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Figure

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Night:
    """What a number of processes took together."""

    seconds: float
    cpu: float
    codes: Sequence[int]


def night(pointsman: Sequence[str], root: Path, publishers: int) -> list[Figure]:
    """`publish --merge` of one small artifact for each of so many targets: all at once, in turn, and plain pushes."""
    files = []
    for number in range(publishers):
        files.append(root / f"night-{number}.json")
        subprocess.run(
            [sys.executable, HERE / "artifacts.py", "popularity", "10000", f"s{number:02}", files[-1]], check=True
        )
    crowd = _publishes(pointsman, root, files, at_once=True)
    alone = _publishes(pointsman, root, files, at_once=False)
    pushes = _plain_pushes(root, publishers)
    group = f"{publishers} publishers of as many targets, a clone each, one bare origin"
    cores = os.cpu_count() or 1
    floor = 4 * pushes.seconds + alone.cpu / cores
    return [
        Figure(group, "that end with 0, all at once", sum(code == 0 for code in crowd.codes), f"of {publishers}"),
        Figure(group, "that do not", sum(code != 0 for code in crowd.codes), "publishers", 0),
        Figure(group, "all at once", crowd.seconds * 1000, "ms"),
        Figure(group, "one after the other", alone.seconds * 1000, "ms"),
        Figure(group, "plain pushes of one commit, each after a fetch", pushes.seconds * 1000, "ms"),
        Figure(group, "all at once, processor", crowd.cpu / alone.cpu, "x one after the other", 3),
        Figure(group, "all at once", crowd.seconds / floor, "x (4 plain pushes + their processor time)", 1),
    ]


def _publishes(pointsman: Sequence[str], root: Path, files: Sequence[Path], *, at_once: bool) -> Night:
    place = root / ("at-once" if at_once else "in-turn")
    store = place / "store"
    _run([*pointsman, "init", place / "seed", "--store", f"file://{store}"])
    _git("clone", "--quiet", "--bare", place / "seed", place / "origin.git")
    clones = [place / f"clone-{number}" for number in range(len(files))]
    for clone in clones:
        _git("clone", "--quiet", place / "origin.git", clone)
    before, start = _cpu(), time.perf_counter()
    running, codes = [], []
    for clone, file in zip(clones, files, strict=True):
        words = [*pointsman, "-C", str(clone), "publish", "--merge", str(file)]
        said = clone.with_suffix(".said").open("wb")
        running.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said))
        if not at_once:
            codes.append(running.pop().wait())
    codes += [process.wait() for process in running]
    took = Night(time.perf_counter() - start, _cpu() - before, codes)
    for clone, code in zip(clones, codes, strict=True):
        if code:
            print(f"{clone.name} ended with {code}: {clone.with_suffix('.said').read_text()}", file=sys.stderr)
    shutil.rmtree(place)
    return took


def _plain_pushes(root: Path, count: int) -> Night:
    """As many clones that commit and push at once, each in a loop until its push is taken."""
    place = root / "plain"
    _git("init", "--quiet", "--bare", "--initial-branch=main", place / "origin.git")
    _git("clone", "--quiet", place / "origin.git", place / "first")
    _git("-C", place / "first", "commit", "--quiet", "--allow-empty", "-m", "first")
    _git("-C", place / "first", "push", "--quiet", "origin", "HEAD:main")
    loop = "until git push --quiet origin HEAD:main 2>/dev/null; do git pull --quiet --rebase origin main; done"
    clones = [place / f"clone-{number}" for number in range(count)]
    for clone in clones:
        _git("clone", "--quiet", place / "origin.git", clone)
        (clone / clone.name).write_text(json.dumps({"n": clone.name}))
        _git("-C", clone, "add", ".")
        _git("-C", clone, "commit", "--quiet", "-m", clone.name)
    before, start = _cpu(), time.perf_counter()
    running = [subprocess.Popen(["bash", "-c", loop], cwd=clone) for clone in clones]
    codes = [process.wait() for process in running]
    took = Night(time.perf_counter() - start, _cpu() - before, codes)
    shutil.rmtree(place)
    return took


def _cpu() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _run(words: Sequence[str | Path]) -> None:
    subprocess.run(list(map(str, words)), check=True, capture_output=True)


def _git(*words: str | Path) -> None:
    _run(["git", *words])
