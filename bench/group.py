"""One pipeline run of very many targets: recorded, shipped in one pull request, merged and served."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench import artifacts, history
from bench.measure import Figure, Job, Run, run

_RUN = "https://ci.example.org/runs/1"
_BYTES = 1000


def together(pointsman: Sequence[str], root: Path, few: int, many: int) -> list[Figure]:
    """`publish --merge --run` of so many targets in one command, and the `sync` of them.

    The few run before and after the many: a machine that becomes slower in between slows one of them, too.
    """
    before, large, after = (_night(pointsman, root, count) for count in (few, many, few))
    group = f"publish --merge of {many:,} targets in one pull request, and sync of them"
    each = sum(step.seconds for step in large.values()) / many
    at = f"x at {few:,}"
    return [
        *(Figure(group, name, step.seconds * 1000, "ms") for name, step in large.items()),
        *(Figure(group, f"{name}, peak memory", step.peak / 1e6, "MB", 300) for name, step in large.items()),
        Figure(group, "for each target", each * 1000, "ms"),
        Figure(group, "processor for each target", sum(step.cpu for step in large.values()) / many * 1000, "ms"),
        *(
            Figure(
                group, f"{name}, processor", 2 * step.cpu / (before[name].cpu + after[name].cpu), at, 1.1 * many / few
            )
            for name, step in large.items()
        ),
    ]


def _night(pointsman: Sequence[str], root: Path, count: int) -> dict[str, Run]:
    """Twice, because a first ship is compared with nothing. What the second costs, by command."""
    place = root / f"group-{count}"
    _run([*pointsman, "init", place / "seed", "--store", f"file://{place}/store"])
    settings = place / "seed" / "pointsman.toml"
    settings.write_text(settings.read_text().replace('group = "target"', 'group = "run"'))
    _run(["git", "-C", place / "seed", "commit", "--quiet", "--all", "--message=group"])
    _run(["git", "clone", "--quiet", "--bare", place / "seed", place / "main.git"])
    _run(["git", "-C", place / "main.git", "remote", "remove", "origin"])
    words = [*pointsman, "-C", str(place / "main.git")]
    took: dict[str, Run] = {}
    for night in range(2):
        files = [_artifact(place, target, night) for target in history.targets(count)]
        took["publish"] = run(Job("publish", [*words, "publish", "--merge", f"--run={_RUN}{night}", *files]))
        took["sync"] = run(Job("sync", [*words, "sync"]))
    shutil.rmtree(place)
    return took


def _artifact(place: Path, target: str, night: int) -> str:
    tenant, surface = target.split("/")
    path = place / "staged" / tenant / f"{surface}-{night}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    artifacts.write("popularity", _BYTES + 100 * night, surface, str(path), tenant)
    return str(path)


def _run(words: Sequence[str | Path]) -> None:
    subprocess.run(list(map(str, words)), check=True, capture_output=True)
