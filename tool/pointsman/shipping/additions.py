"""Files that are only ever added to main: records, evidence, approvals. They need nobody's review.

They are pushed to main, or merged by a pull request of their own, as `[forge] records` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.state.documents import Record
from pointsman.state.message import compose, subject_of
from pointsman.state.objects import Oid


class Addition(Protocol):
    """One file. Its path says which; whoever adds another under the same path adds the same."""

    @property
    def path(self) -> str:
        """Where it belongs."""

    def render(self) -> bytes:
        """Its bytes."""


class AddedFile(Struct, frozen=True):
    """An addition whose bytes are known."""

    path: str
    data: bytes

    def render(self) -> bytes:
        return self.data


class Additions(Struct, frozen=True):
    """Some additions, and how to tell of them. `subject`: the first line of a commit that adds some of them."""

    every: Sequence[Addition]
    subject: Callable[[Sequence[Addition]], str]
    run: str = ""
    note: str = ""

    def missing(self, repo: Repository) -> list[Addition]:
        """Those that main does not have."""
        base = Snapshot(repo, repo.main)
        return [each for each in self.every if base.entry(each.path) is None]

    def commit(self, repo: Repository, some: Sequence[Addition]) -> Oid:
        """A commit that adds some of them to main as it is now."""
        tree = repo.tree_with(repo.tree_of(repo.main), {each.path: each.render() for each in some})
        return repo.commit(tree, [repo.main], compose(self.subject(some), (), run=self.run, note=self.note))


def of_records(records: Sequence[Record], *, run: str = "", note: str = "") -> Additions:
    """Records as additions."""
    slots = {record.path: (record.target, record.type, record.version) for record in records}
    return Additions(records, lambda some: f"record: {subject_of([slots[each.path] for each in some])}", run, note)
