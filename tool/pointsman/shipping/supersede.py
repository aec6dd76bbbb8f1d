"""Which of several open pull requests of a target stays open: the newest one that covers the others.

They are totally ordered by (newest window end, newest updated_at, branch). So of any two that overlap, every publisher
closes the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pointsman.errors import MovedFirst
from pointsman.repo.retry import TRIES, pause
from pointsman.repo.snapshot import Snapshot
from pointsman.shipping import merge, pulls
from pointsman.shipping.pulls import Pull
from pointsman.state.times import window_instant
from pointsman.workspace import Workspace


class Superseding:
    """Closes pull requests that give way to newer ones, and says so in `notes`."""

    def __init__(self, workspace: Workspace, notes: list[str]) -> None:
        self.workspace = workspace
        self.repo = workspace.repo
        self.notes = notes

    def look_again(self, opened: Sequence[Pull]) -> set[str]:
        """The targets whose pull requests gave way to others opened meanwhile. The later one of two sees both."""
        for again in range(TRIES if opened else 0):
            self.repo.refresh()
            try:
                gone = [pull for pull in opened if self.give_way(pull)]
                return {str(target) for pull in gone for target in pull.targets}
            except MovedFirst:  # another publisher closed the same one
                pause(again)
        return set()

    def give_way(self, mine: Pull) -> Literal["superseded"] | None:
        """Close older pull requests that `mine` covers. Or close `mine`, if a newer one covers it: "superseded"."""
        there = mine.opened.ref in self.repo.heads
        if not there and merge.merged_as(self.repo, self.repo.main, mine) is not None:
            return None
        rank = self._rank(mine)
        branches = set(pulls.branches_of(self.repo, mine.targets, ["ship"])) - {mine.branch}
        for other in pulls.open_pulls(self.workspace, branches):
            if not set(other.targets) & set(mine.targets):
                continue
            if there and _covers(mine, other) and self._rank(other) < rank:
                pulls.close_pull(self.workspace, other, f"superseded by {mine.branch}")
                self.notes.append(f"closed {other.branch}: {mine.branch} supersedes it")
            elif _covers(other, mine) and self._rank(other) > rank:
                if there:
                    pulls.close_pull(self.workspace, mine, f"superseded by {other.branch}")
                self.notes.append(f"closed {mine.branch}: the open {other.branch} has a newer window")
                return "superseded"
        return None

    def _rank(self, pull: Pull) -> tuple[tuple[int, int], str, str]:
        """(newest window end, newest updated_at, branch)."""
        documents, head = self.workspace.gate.documents, Snapshot(self.repo, pull.head)
        base = Snapshot(self.repo, self.repo.main)
        ends, updated = [(0, 0)], [""]
        for said in pull.message.said:
            records = (documents.record(base, said.target, slot, version) for slot, version in said.records.items())
            ends += [window_instant(record.window_end) or (0, 0) for record in records if record is not None]
            manifest = documents.manifest(head, said.target)
            updated.append(manifest.updated_at if manifest else "")
        return max(ends), max(updated), pull.branch


def _covers(one: Pull, other: Pull) -> bool:
    """Whether every target and type that `other` changes is one that `one` changes."""
    mine, theirs = (
        {(said.target, slot, slot in said.drops) for said in each.message.said for slot in {*said.records, *said.drops}}
        for each in (one, other)
    )
    return bool(theirs) and theirs <= mine
