"""Adds records to main by a pull request of their own, which merges by itself.

The bot then needs no right to push main. Nobody owns a record, so the forge merges as soon as the gate has passed.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from itertools import count

from pointsman.errors import MovedFirst, Problem, Unreachable
from pointsman.forge.base import Opened, Page
from pointsman.progress import LONG, waits
from pointsman.repo.moves import Move
from pointsman.repo.retry import TRIES, pause
from pointsman.repo.snapshot import Snapshot
from pointsman.report.markdown import fenced
from pointsman.shipping.additions import Addition, Additions
from pointsman.state.objects import Oid
from pointsman.timeouts import records_timeout
from pointsman.workspace import Workspace

_LONGEST_PAUSE = 10.0  # seconds between two looks at main


class RecordPull:
    """Opens or adopts the pull request of some records, and waits until main has them."""

    def __init__(
        self,
        workspace: Workspace,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.repo = workspace.repo
        self.progress = workspace.progress
        self.forge = workspace.forge
        self._clock = clock
        self._sleep = sleep

    def add(self, additions: Additions) -> None:
        """Add the files to main. MovedFirst, with the next step, if main does not have them in time."""
        until = self._clock() + records_timeout()
        still = 0
        for again in count():
            seen = self.repo.heads
            missing = additions.missing(self.repo)
            if not missing:
                return
            try:
                opened, text = self._open(additions, missing)
                self._ask_to_merge(opened, missing, text)
                if self._wait(opened, missing, until):
                    return
            except _Late:
                raise
            except MovedFirst:
                if still == TRIES or self._clock() > until:
                    raise
                pause(again)
                self.repo.refresh()
                still = still + 1 if self.repo.heads == seen else 0

    def _ask_to_merge(self, opened: Opened, missing: Sequence[Addition], text: str) -> None:
        try:
            if self.forge.auto_merge(opened, text) is not None:
                self.repo.refresh()
        except Unreachable:
            self.repo.refresh()
            if len(self._missing(missing)) == len(missing):
                raise
            # It cannot be merged because others added some of these records meanwhile: `_wait` handles that.

    def _missing(self, wanted: Sequence[Addition]) -> list[Addition]:
        base = Snapshot(self.repo, self.repo.main)
        return [each for each in wanted if base.entry(each.path) is None]

    def _open(self, additions: Additions, missing: Sequence[Addition]) -> tuple[Opened, str]:
        """The pull request that adds these files. Two publishers of the same versions share one."""
        names = "\n".join(sorted(record.path for record in missing))
        branch = f"records/{hashlib.sha256(names.encode()).hexdigest()[:12]}"
        ref = f"refs/heads/{branch}"
        head = self.repo.heads.get(ref)
        if head is None:
            head = additions.commit(self.repo, missing)
            self.repo.move([Move(ref, head, None)])
        elif self._adds(head) - {record.path for record in missing}:
            raise Problem(
                f"{branch} was not pushed by a publish: find out who did it, delete the branch and run this again"
            )
        text = self.repo.messages(self.repo.main, head).strip("\n") + "\n"
        title, _, _ = text.partition("\n")
        says = "This adds records, evidence or approvals only: nothing that is served changes.\n\n" + fenced(names)
        page = Page(title, lambda: says, ("records",))
        return self.forge.open(branch, head, page), text

    def _adds(self, head: Oid) -> set[str]:
        """The paths that a branch adds, and "" if it does anything else."""
        fork = self.repo.merge_base(self.repo.main, head)
        changes = self.repo.differences(fork, head) if fork is not None else []
        return {"" if change.old is not None else change.path for change in changes} or {""}

    def _wait(self, opened: Opened, missing: Sequence[Addition], until: float) -> bool:
        """Wait until main has all records. False if it has only some: someone else added these."""
        step, began = 0.2, self._clock()
        while True:
            left = self._missing(missing)
            self.progress.counted("records landed", len(missing) - len(left), len(missing))
            if not left:
                self._tidy(opened)
                self.progress(f"recorded {len(missing)} versions through {opened.url or opened.branch}")
                return True
            if len(left) < len(missing):
                self.forge.close(opened, "main has some of these records from elsewhere")
                return False
            if self._clock() + step > until:
                raise _Late(
                    f"the records wait in {opened.url or opened.branch}, which is not merged yet: "
                    "see what it waits for, and run the same command again when it is merged"
                )
            if (now := self._clock()) > began + LONG:
                waits(f"the records wait in {opened.url or opened.branch} until it is merged", until - now)
            self._sleep(step)
            step = min(step * 1.5, _LONGEST_PAUSE)
            self.repo.refresh()
            if opened.ref not in self.repo.heads and self._missing(missing):
                raise MovedFirst(f"{opened.branch} was closed before main had its records: run the command again")

    def _tidy(self, opened: Opened) -> None:
        """Delete the branch if the forge left it."""
        if self.repo.heads.get(opened.ref) == opened.head:
            self.forge.close(opened)


class _Late(MovedFirst):
    """Main does not have the records in time."""
