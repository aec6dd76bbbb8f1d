"""What `rollout` and `sync` cost while very many targets wait in the second of two rings."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import history
from bench.measure import Figure, Job, interleave

MB = 1_000_000


def rings_of(root: Path) -> str:
    """Settings with two rings."""
    tables = (("canary", ""), ("prod", 'after = "2h"\n'))
    return "".join(
        f'[[ring]]\nname = "{name}"\nserving = "file://{root}/ring-{name}/{{tenant}}/{{surface}}/manifest.json"\n{more}'
        for name, more in tables
    )


def waiting(pointsman: Sequence[str], root: Path, count: int, rounds: int) -> list[Figure]:
    """`rollout` and `sync` while so many targets wait for their time, less what a twentieth of them costs."""
    jobs: dict[tuple[str, int], Job] = {}
    for size in (count // 20, count):
        place = root / f"waiting-{size}"
        place.mkdir()
        repository = _waiting(pointsman, place, size)
        for verb in ("rollout", "sync"):
            jobs[verb, size] = Job(f"{verb} {size}", [*pointsman, "-C", str(repository), verb])
    interleave(list(jobs.values()), rounds)
    group = f"{count:,} targets that wait in the second of two rings"
    figures = []
    for verb, limit in (("rollout", 20.0), ("sync", None)):
        few, many = jobs[verb, count // 20], jobs[verb, count]
        more = min(run.cpu for run in many.runs.values()) - min(run.cpu for run in few.runs.values())
        figures += [
            Figure(group, f"{verb}, processor time of a target", 1000 * more / (count - count // 20), "ms", limit),
            Figure(group, f"{verb}, whole process", many.seconds() * 1000, "ms"),
        ]
    return figures


def _waiting(pointsman: Sequence[str], root: Path, count: int) -> Path:
    """A clone, after a sync of the first night and one of the second: canary has what prod waits for."""
    origin, clone, store = root / "origin.git", root / "clone", root / "store"
    for target in history.targets(count):
        for night in range(2):
            path = store / history.key(target, night)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(history.blob(target, night))
    more = rings_of(root)
    history.build(origin, f"file://{store}", of=count, each=2, ships=2, artifact_bytes=MB, more=more)
    last = _git(origin, "rev-parse", "main")
    _git(origin, "update-ref", "refs/heads/main", f"main~{count + 1}")  # the night's records, and a ship of each target
    _git(root, "clone", "--quiet", "--no-checkout", str(origin), str(clone))
    for main in ("", last):
        if main:
            _git(origin, "update-ref", "refs/heads/main", main)
        subprocess.run([*pointsman, "-C", str(clone), "sync"], check=True, stdout=subprocess.DEVNULL, stderr=sys.stderr)
    return clone


def _git(place: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", place, *words], check=True, capture_output=True, text=True).stdout.strip()
