"""Which of several open pull requests of a target stays open: the newest one that covers the others.

They are totally ordered by (newest window end, newest updated_at, branch). So of any two that overlap, every publisher
closes the same one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import timedelta

from pointsman.errors import trouble_of
from pointsman.repo.retry import until_settled
from pointsman.repo.snapshot import Snapshot
from pointsman.shipping import merge, pulls
from pointsman.shipping.draft import Ship, Want
from pointsman.shipping.pulls import Pull
from pointsman.state.documents import Record, later_moment
from pointsman.state.message import Said
from pointsman.state.names import Target
from pointsman.state.times import window_instant
from pointsman.workspace import Workspace

_AHEAD = timedelta(days=1)  # of the clock: what is later, the gate refuses (unvouched-manifest), so it outranks nobody
_Rank = tuple[tuple[int, int], str, str]  # newest window end, newest updated_at, branch


class Superseding:
    """Closes pull requests that give way to newer ones, and says so in `notes`."""

    def __init__(self, workspace: Workspace, notes: list[str]) -> None:
        self.workspace = workspace
        self.repo = workspace.repo
        self.notes = notes

    def newer_than(self, ship: Ship, group: Sequence[Want]) -> Pull | None:
        """The open pull request that a ship would give way to if it was opened now. None if it is open already."""
        if f"refs/heads/{ship.branch}" in self.repo.heads:
            return None
        records = {want.target: want.records for want in group}
        shipped = (records[said.target][slot] for said in ship.said for slot in said.records)
        rank = (_newest_end(shipped), max(each.updated_at for each in ship.manifests.values()), ship.branch)
        others = self._others(ship.branch, ship.manifests)
        return next(
            (each for each in others if _covers(each.message.said, ship.said) and self._rank(each) > rank), None
        )

    def look_again(self, opened: Sequence[Pull]) -> dict[str, Pull]:
        """Target → the pull request, opened meanwhile, that it gave way to. The later one of two sees both."""
        if not opened:
            return {}
        try:
            self.repo.refresh()
            # MovedFirst: another publisher closed the same one
            newer = until_settled(self.repo, lambda: [(pull, self.give_way(pull)) for pull in opened])
        except Exception as error:  # noqa: BLE001 - what was shipped is told all the same
            self.notes.append(f"newer pull requests were not looked for: {trouble_of(error)}; next: pointsman pr list")
            return {}
        return {str(target): other for pull, other in newer if other is not None for target in pull.targets}

    def give_way(self, mine: Pull) -> Pull | None:
        """Close older pull requests that `mine` covers. Or close `mine` if a newer one covers it, and return that."""
        there = mine.opened.ref in self.repo.heads
        if not there and merge.merged_as(self.repo, self.repo.main, mine) is not None:
            return None
        rank = self._rank(mine)
        for other in self._others(mine.branch, mine.targets):
            covered = other.does_as_it_says and _covers(mine.message.said, other.message.said)
            if there and covered and self._rank(other) < rank:
                pulls.close_pull(self.workspace, other, f"superseded by {mine.branch}")
                self.notes.append(f"closed {other.branch}: {mine.branch} supersedes it")
            elif _covers(other.message.said, mine.message.said) and self._rank(other) > rank:
                if there:
                    pulls.close_pull(self.workspace, mine, f"superseded by {other.branch}")
                return other
        return None

    def _others(self, branch: str, targets: Collection[Target]) -> Iterator[Pull]:
        """The other open pull requests of ships of these targets."""
        branches = set(pulls.branches_of(self.repo, targets, ["ship"])) - {branch}
        return (pull for pull in pulls.open_pulls(self.workspace, branches) if set(pull.targets) & set(targets))

    def _rank(self, pull: Pull) -> _Rank:
        documents, head = self.workspace.gate.documents, Snapshot(self.repo, pull.head)
        base = Snapshot(self.repo, self.repo.main)
        said = pull.message.said
        found = (documents.record(base, each.target, *slot) for each in said for slot in each.records.items())
        updated = [""]
        for each in said:
            now, then = documents.manifest(base, each.target), documents.manifest(head, each.target)
            latest = later_moment(self.workspace.clock() + _AHEAD, now.updated_at if now is not None else None)
            if then is not None and then.updated_at <= latest:
                updated.append(then.updated_at)
        return _newest_end(record for record in found if record is not None), max(updated), pull.branch


def reason(newer: Pull) -> str:
    """Why a ship is superseded, and what to do."""
    return f"the open {newer.branch} has the same types and is newer; next: pointsman pr merge {newer.id}"


def _newest_end(records: Iterable[Record]) -> tuple[int, int]:
    return max((window_instant(record.window_end) or (0, 0) for record in records), default=(0, 0))


def _covers(one: Iterable[Said], other: Iterable[Said]) -> bool:
    """Whether every target and type that `other` changes is one that `one` changes."""
    mine, theirs = (
        {(said.target, slot, slot in said.drops) for said in each for slot in {*said.records, *said.drops}}
        for each in (one, other)
    )
    return bool(theirs) and theirs <= mine
