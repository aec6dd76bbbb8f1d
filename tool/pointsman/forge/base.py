"""What ship pull requests need of a forge. Branches are git's: whoever calls has moved them by compare-and-swap.

The words are those of no forge in particular: a pull request of GitHub or Forgejo and a merge request of GitLab are
all a branch, a page and a number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from pointsman.state.objects import Oid

BODY_LIMIT = 65536  # characters of a pull request's body, and of a comment: GitHub's, the smallest


@dataclass(frozen=True, slots=True)
class Opened:
    """One open pull request: a branch, without refs/heads/, and where it stood. `number` is the forge's name for it."""

    branch: str
    head: Oid
    number: str = ""
    url: str | None = None

    @property
    def id(self) -> str:
        return self.number or self.branch.rpartition("/")[2]

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"


@dataclass(frozen=True, slots=True)
class Page:
    """What people see of a pull request. `body` is Markdown, made when it is asked for."""

    title: str
    body: Callable[[], str]
    labels: tuple[str, ...] = ()


class Forge(Protocol):
    """A forge that has one repository. Every method may be called again after its answer was lost.

    Unreachable if it does not answer or says no, MovedFirst if someone else was there before.
    """

    @property
    def knows_approvals(self) -> bool:
        """Whether anyone can approve a pull request here."""

    def find(self, branches: Collection[str] | None = None) -> list[Opened]:
        """The open pull requests whose branches the repository's last refresh saw, by branch. Without `branches`,
        those of ships, rollbacks and reverts."""

    def open(self, branch: str, head: Oid, page: Page) -> Opened:
        """Open the pull request of a branch that stands at `head`, or adopt the one that is open."""

    def update(self, opened: Opened, page: Page) -> None:
        """Give it another page, its branch having moved."""

    def comment(self, opened: Opened, purpose: str, text: str) -> None:
        """Say one thing of each purpose: said again, it takes the place of what was said before."""

    def label(self, opened: Opened, labels: Sequence[str]) -> None:
        """Add labels."""

    def close(self, opened: Opened, because: str = "") -> None:
        """Close it without a merge, and take its branch away if that still stands where it stood."""

    def merge(self, opened: Opened, main: Oid, message: str, author: str) -> Oid:
        """Squash it onto `main` with this message, take its branch away, and return the commit."""

    def auto_merge(self, opened: Opened, message: str) -> Oid | None:
        """Have it merged as soon as all that the forge requires is there; the commit if that was so already."""

    def approvals(self, opened: Opened) -> tuple[str, ...]:
        """Who approved it as it is now."""

    def merged_as(self, commit: Oid) -> Opened | None:
        """The pull request that was merged as this commit of main; None if it came without one."""

    def protection(self) -> list[tuple[str, str]]:
        """Each thing that the forge should be set up for, and what is wrong with it, "" if nothing is."""
