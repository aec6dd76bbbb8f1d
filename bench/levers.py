"""What on-call pulls: all that one run shipped, back in one command, and one target back and served."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from bench import history
from bench.measure import Figure, Job, beyond, interleave, pairwise

MANY = 200  # targets
ONE_RUN, MANY_RUN = "https://ci.example.org/runs/one", "https://ci.example.org/runs/many"
_PUSHES = 2


def rollbacks(pointsman: Sequence[str], root: Path, rounds: int) -> list[Figure]:
    """Rollbacks straight to the main of a separate origin: of a run of many targets against one of one target."""
    origin, clone, pusher, store = root / "levers.git", root / "levers", root / "levers-pusher", root / "levers-store"
    every = list(history.targets(MANY + 1))
    runs = {target: ONE_RUN if target == every[-1] else MANY_RUN for target in every}
    history.build(origin, f"file://{store}", of=len(every), each=2, ships=2, artifact_bytes=1_000_000, runs=runs)
    for target in every:
        for night in range(2):
            path = store / history.key(target, night)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(history.blob(target, night))
    for place in (clone, pusher):
        _git(root, "clone", "--quiet", "--no-checkout", str(origin), str(place))
    main = _git(origin, "rev-parse", "refs/heads/main")
    serving = store / "registry"
    count = [0]

    def back() -> None:
        shutil.rmtree(serving, ignore_errors=True)
        shutil.rmtree(store / ".pointsman", ignore_errors=True)
        for place, ref in ((origin, "heads"), (clone, "remotes/origin"), (pusher, "remotes/origin")):
            _git(place, "update-ref", f"refs/{ref}/main", main)

    def served() -> None:
        back()
        subprocess.run([*pointsman, "-C", str(clone), "sync"], check=True, capture_output=True)

    def pushable() -> None:
        back()
        count[0] += 1
        history.add_commit(pusher, every[0], count[0])

    def rolling(*words: str, ready: Callable[[], None] = back, then: str = "") -> Job:
        command = [*pointsman, "-C", str(clone), "rollback", *words, "--now", "--reason=bench"]
        return Job(" ".join(words), ["sh", "-c", f"{shlex.join(command)}{then}"], ready)

    sync = f" && {shlex.join([*pointsman, '-C', str(clone), 'sync'])}"
    one, many = rolling("--run", ONE_RUN), rolling("--run", MANY_RUN)
    both = rolling(every[0], ready=served, then=sync)
    start = Job("--version", ["sh", "-c", f"{shlex.join(pointsman)} --version && {shlex.join(pointsman)} --version"])
    push = Job("push", ["git", "-C", str(pusher), "push", "--quiet", "origin", "push:main"], pushable)
    interleave([one, many, both, start, push], rounds)
    run, lever = (
        f"rollback --run --now of {MANY} targets, one commit, one push",
        "rollback --now and sync of one target",
    )
    more = beyond(both, start) - _PUSHES * push.seconds()
    starts = 2 * median(both.runs[number].cpu / start.runs[number].cpu for number in both.runs)
    return [
        Figure(run, "one target in its run", one.seconds() * 1000, "ms"),
        Figure(run, f"{MANY} targets", many.seconds() * 1000, "ms"),
        Figure(run, "whole processes", pairwise(many, one), "x one target", 20),
        Figure(lever, "both processes", both.seconds() * 1000, "ms"),
        Figure(lever, "one git push", push.seconds() * 1000, "ms"),
        Figure(lever, "less two cold starts and two git push", more, "s", 0.5),
        Figure(lever, "processor, both and all of git", starts, "x a cold start"),
    ]


def _git(place: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", place, *words], check=True, capture_output=True, text=True).stdout.strip()
