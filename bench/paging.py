"""What `site` costs: of all targets into a new directory, and after one more ship."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench import history
from bench.measure import Figure, Job, beyond, interleave

_MB = 1_000_000


def sites(command: Sequence[str], root: Path, count: int, rounds: int) -> list[Figure]:
    """Sites of a repository of so many targets, each shipped once and served from a directory."""
    store, repository = root / "site-store", root / "site.git"
    for target in history.targets(count):
        path = store / history.key(target, 0)
        path.parent.mkdir(parents=True)
        path.write_bytes(history.blob(target, 0))
    history.build(repository, f"file://{store}", of=count, each=1, ships=1, artifact_bytes=_MB)
    here = [*command, "-C", str(repository)]
    before, kept, new = root / "site-before", root / "site-kept", root / "site-new"
    newest = subprocess.run(
        ["git", "-C", repository, "rev-parse", "main"], check=True, capture_output=True, text=True
    ).stdout.strip()
    for main, more in ((f"{newest}~1", [[*here, "site", str(before)]]), (newest, [])):
        subprocess.run(["git", "-C", repository, "update-ref", "refs/heads/main", main], check=True)
        subprocess.run([*here, "sync"], check=True, stdout=subprocess.DEVNULL)
        time.sleep(3)  # until no pointer is so new that it would be read again
        for words in more:
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    start = Job("start", [*command, "--version"])
    anew = Job("site", [*here, "site", str(new)], partial(shutil.rmtree, new, ignore_errors=True))
    one = Job("site after one ship", [*here, "site", str(kept)], partial(_copy, before, kept))
    interleave([start, anew, one], rounds)
    group = f"site of {count:,} targets"
    return [
        Figure(group, "into a new directory", anew.seconds(), "s", 10),
        Figure(group, "its first page", (new / "index.html").stat().st_size / _MB, "MB", 1),
        Figure(group, "after one more ship", one.seconds(), "s"),
        Figure(group, "the same less a cold start", beyond(one, start), "s"),
    ]


def _copy(before: Path, kept: Path) -> None:
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(before, kept)
    os.sync()  # what is durable a moment later waits for no copy of ours
