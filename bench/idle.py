"""What a watching sync costs while nothing happens: `python idle.py REPOSITORY PASSES` prints one figure a line.

The passes are made one after the other, without the pauses between them, by the code that `sync --watch` runs. The
first ones, which write the pointers and read them for the first time, do not count.
"""

from __future__ import annotations

import resource
import sys
import threading
import time
from typing import Any

from pointsman.errors import Problem
from pointsman.repo.open import open_repository
from pointsman.verbs.sync import Orders
from pointsman.verbs.watch import keep_syncing
from pointsman.workspace import Workspace


class _Passes:
    """Counts processor time, children's too, from the first pass that reads nothing."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.stop = threading.Event()
        self.spent: list[float] = []
        self._before = _processor()

    def done(self, outcome: Any) -> None:
        now = _processor()
        self.spent.append(now - self._before)
        self._before = now
        if len(self.spent) == 1:
            time.sleep(3)  # until no file is so new that it would be read again
            self._before = _processor()
        if len(self.spent) >= self.wanted + 3:
            self.stop.set()

    def failed(self, problem: Problem) -> None:
        raise SystemExit(str(problem))


def _processor() -> float:
    mine, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return mine.ru_utime + mine.ru_stime + children.ru_utime + children.ru_stime


def _main(repository: str, wanted: str) -> None:
    passes = _Passes(int(wanted))
    with open_repository(repository) as repo:
        keep_syncing(Workspace(repo), Orders(), 1e-9, passes, passes.stop)
    print(sorted(passes.spent[3:])[len(passes.spent[3:]) // 2])


if __name__ == "__main__":
    _main(*sys.argv[1:])
