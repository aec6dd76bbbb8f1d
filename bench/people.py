"""What people wait for: looking something up in a long history, and the review of a large change."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import history
from bench.measure import Figure, Job, beyond, interleave

HERE = Path(__file__).parent
_SLACK = 0.02  # seconds: what one command may take beyond its multiple of git's


def lookups(pointsman: Sequence[str], repository: Path, rounds: int) -> list[Figure]:
    """One target of a long history: log, at and status against git log of its path, without and with a commit-graph."""
    count = int(_git(repository, "rev-list", "--count", "main"))
    target = next(history.targets(1))
    moment = _git(repository, "log", "-1", "--format=%cI", f"main~{count // 2}")
    filtered = Path(shutil.copytree(repository, repository.with_name("filtered.git")))
    _git(filtered, "commit-graph", "write", "--reachable", "--changed-paths")
    figures = []
    for place, said in ((repository, "no commit-graph"), (filtered, "changed-path filters")):
        git = Job("git log", ["git", "-C", str(place), "log", "main", "--", f"manifests/{target}/manifest.json"])
        start = Job("--version", [*pointsman, "--version"])
        words = {"log": [target], "at": [moment, target], "status": [target]}
        asked = {name: Job(name, [*pointsman, "-C", str(place), name, *more]) for name, more in words.items()}
        interleave([git, start, *asked.values()], rounds)
        group = f"one target in {count:,} commits over {len(_targets(repository)):,} targets, {said}"
        figures.append(Figure(group, "git log -- PATH", git.seconds() * 1000, "ms"))
        for name, job in asked.items():
            figures.append(Figure(group, f"{name}, whole process", job.seconds() * 1000, "ms"))
            ratio = (beyond(job, start) - _SLACK) / git.seconds()
            figures.append(Figure(group, f"{name}, less the cold start and 20 ms", ratio, "x git log", 3))
    return figures


def reviews(
    pointsman: Sequence[str], repository: Path, artifact: Callable[[str, int], str], size: int, rounds: int
) -> list[Figure]:
    """The review of one artifact that takes the place of another of its size, against decoding both."""
    figures = []
    start = Job("--version", [*pointsman, "--version"])
    for artifact_type in ("popularity", "implicit"):
        pair = [artifact(artifact_type, size), artifact(artifact_type, size + 1)]
        for file in pair:
            accepts = [f"--accept={rule}" for rule in ("kept-low", "overlap-low", "items-drop", "size-jump")]
            words = ["publish", file, "--merge", *accepts, "--reason=bench"]
            subprocess.run([*pointsman, "-C", str(repository), *words], check=True, capture_output=True)
        review = Job("review", [*pointsman, "-C", str(repository), "review", "--base=main~1", "--head=main"])
        decode = Job("decode", [sys.executable, str(HERE / "decoding.py"), artifact_type, *pair])
        nothing = Job("decode nothing", [sys.executable, str(HERE / "decoding.py"), artifact_type])
        interleave([review, start, decode, nothing], rounds)
        group = f"review of one {artifact_type} artifact of {size // 1_000_000} MB in the place of another"
        both = beyond(decode, nothing)
        figures += [
            Figure(group, "whole process", review.seconds() * 1000, "ms"),
            Figure(group, "decoding both", both * 1000, "ms"),
            Figure(group, "less the cold start", beyond(review, start) / both, "x decoding both", 10),
        ]
    return figures


def _git(repository: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", repository, *words], check=True, capture_output=True, text=True).stdout.strip()


def _targets(repository: Path) -> list[str]:
    return _git(repository, "ls-tree", "-r", "--name-only", "main", "manifests").splitlines()
