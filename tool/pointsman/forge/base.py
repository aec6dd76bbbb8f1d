"""The interface of a forge. Callers move branches themselves, with git and by compare-and-swap.

It fits every forge: a pull request of GitHub or Forgejo and a merge request of GitLab all have a branch, a page and a
number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from msgspec import Struct

from pointsman.errors import Unreachable
from pointsman.state.objects import Oid

BODY_LIMIT = 65536  # characters of a pull request's body or of a comment: GitHub's limit, the smallest


class Silent(Unreachable):
    """The forge gave no answer, at every try."""


@dataclass(frozen=True, slots=True)
class Opened:
    """One open pull request. `branch` is without refs/heads/, `head` its commit when read, `number` the forge's.

    `reopens`: who closed what was open for this branch before, or where to see it; "" if nobody did. Only `open` tells.
    `merging`: asks for `merges_with`, which not every forge tells in a list.
    """

    branch: str
    head: Oid
    number: str = ""
    url: str | None = None
    merging: Callable[[], str | None] = field(default=lambda: None, compare=False, repr=False)
    reopens: str = field(default="", compare=False)

    @property
    def merges_with(self) -> str | None:
        """The message with which the forge merges it by itself, once it may; None if it does not."""
        return self.merging()

    @property
    def id(self) -> str:
        return self.number or self.branch.rpartition("/")[2]

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"


class Page(Struct, frozen=True):
    """What people see of a pull request. `body` is Markdown, and is made only when it is needed."""

    title: str
    body: Callable[[], str]
    labels: tuple[str, ...] = ()


class Setting(Struct, frozen=True):
    """One part of how a forge is set up.

    `look`: each difference, in words; none if it is as it should be. `send`: asks for what should be, and may be called
    again. Both raise Unreachable. `needs`: which token may set it.
    """

    name: str
    needs: str
    look: Callable[[], list[str]]
    send: Callable[[], object]


class Forge(Protocol):
    """One repository on a forge. Every method may be called again after its answer was lost.

    Each raises Unreachable if the forge does not answer or says no, and MovedFirst if someone else moved first.
    """

    @property
    def knows_approvals(self) -> bool:
        """Whether anyone can approve a pull request here."""

    @property
    def merges_by_push(self) -> bool:
        """Whether `merge` pushes main itself, so that many who merge at once need turns."""

    def find(self, branches: Collection[str] | None = None) -> list[Opened]:
        """The open pull requests of `branches`, sorted by branch; by default of ships, rollbacks, holds and reverts.

        Only branches that the last refresh of the repository saw. A forge without a Revert button has no reverts.
        """

    def open(self, branch: str, head: Oid, page: Page) -> Opened:
        """Open a pull request for a branch at `head`. If one is open already, return that one."""

    def update(self, opened: Opened, page: Page, *, recheck: bool = False) -> None:
        """Replace its page. `recheck`: where that changes it, its checks run again, though its head has not moved."""

    def comment(self, opened: Opened, purpose: str, text: str) -> None:
        """Keep one comment for each purpose. A new text replaces the old one."""

    def label(self, opened: Opened, labels: Sequence[str]) -> None:
        """Add labels."""

    def close(self, opened: Opened, because: str = "", *, unwanted: bool = False) -> None:
        """Close it without a merge, and delete its branch if that is still at its `head`. `because`: a last comment.

        `unwanted`: a person says no to it. Whoever opens one for the same branch again is told of that.
        """

    def merge(self, opened: Opened, main: Oid, message: str, author: str) -> Oid:
        """Squash it onto `main` with this message, delete its branch, and return the commit.

        It is merged only if its branch is still at `head`. A forge squashes it onto what `main` is by then.
        """

    def auto_merge(self, opened: Opened, message: str) -> Oid | None:
        """Let the forge merge it with this message when all requirements are met.

        A forge keeps the message that it got: an older one is taken back first. The commit if it was merged at once.
        """

    def stop_auto_merge(self, opened: Opened) -> bool:
        """Do not let the forge merge it by itself any more. Whether it would have done so."""

    def approvals(self, opened: Opened) -> tuple[str, ...]:
        """The people whose approval is still valid."""

    def merged_as(self, commit: Oid) -> Opened | None:
        """The pull request that became this commit of main; None if there was none."""

    def merged(self, number: str) -> Oid | None:
        """The commit of main that the pull request with this number became; None if none did, or it has no number."""

    def protection(self) -> list[tuple[str, str]]:
        """Each setting that the forge should have, and what is wrong with it; "" if nothing is."""

    def settable(self) -> Iterable[Setting]:
        """What its API can set of that, in the order in which it is to be set."""
