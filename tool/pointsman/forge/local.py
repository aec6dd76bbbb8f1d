"""The forge `local`: a pull request is a branch on the origin, and the commit message is its page.

A merge squashes the branch onto main and deletes it, in one compare-and-swap of both refs. So nobody ever sees one
without the other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Sequence

from pointsman.errors import MovedFirst, NotAllowed, Problem, one_line
from pointsman.forge.base import Opened, Page, Setting
from pointsman.repo.moves import Move
from pointsman.repo.origin import CLOSED, MAIN, PULL_BRANCHES
from pointsman.repo.repository import Repository
from pointsman.state.documents import rfc3339
from pointsman.state.objects import Oid

_MOST_TOLD = 500  # characters of who closed one and why


class LocalForge:
    """Pull requests of a repository without a forge. Nobody can approve. Who may push may merge."""

    knows_approvals = False
    merges_by_push = True

    def __init__(self, repo: Repository) -> None:
        self.repo = repo

    def find(self, branches: Collection[str] | None = None) -> list[Opened]:
        heads = self.repo.heads
        if branches is None:
            refs = (ref for ref in heads if ref.startswith(PULL_BRANCHES))
        else:
            refs = (ref for branch in branches if (ref := f"refs/heads/{branch}") in heads)
        return [Opened(ref.removeprefix("refs/heads/"), heads[ref]) for ref in sorted(refs)]

    def open(self, branch: str, head: Oid, page: Page) -> Opened:
        ref = f"{CLOSED}{branch}"
        if (told := self.repo.closed.get(ref)) is None:
            return Opened(branch, head)
        reopens = self._told(told)
        with contextlib.suppress(Problem):  # then it is told once more
            self.repo.move([Move(ref, None, told)])
        return Opened(branch, head, reopens=reopens)

    def _told(self, oid: Oid) -> str:
        """Who closed it, when and why."""
        commit = self.repo.fetched(oid)
        if commit is None:
            return "nobody can tell by whom"
        why = commit.message.partition("\n")[2].strip()
        return one_line(f"{commit.author}, {rfc3339(commit.time)}{f': {why}' if why else ''}")[:_MOST_TOLD]

    def update(self, opened: Opened, page: Page, *, recheck: bool = False) -> None:
        return

    def comment(self, opened: Opened, purpose: str, text: str) -> None:
        return

    def label(self, opened: Opened, labels: Sequence[str]) -> None:
        return

    def close(self, opened: Opened, because: str = "", *, unwanted: bool = False) -> None:
        repo, moves = self.repo, [Move(opened.ref, None, opened.head)]
        if not unwanted:
            return repo.move(moves)
        said = repo.commit(repo.tree_of(repo.main), [repo.main], f"closed {opened.branch}\n\n{because}".strip() + "\n")
        ref = f"{CLOSED}{opened.branch}"
        try:
            repo.move([*moves, Move(ref, said, repo.closed.get(ref))])
        except (NotAllowed, MovedFirst):  # an origin that takes no such refs, or somebody else has closed or merged it
            repo.move(moves)

    def merge(self, opened: Opened, main: Oid, message: str, author: str) -> Oid:
        repo = self.repo
        fork = repo.merge_base(main, opened.head)
        assert fork is not None
        commit = opened.head
        if not self._is_as_squashed(commit, main, message, author):
            files = {change.path: change.new for change in repo.differences(fork, opened.head)}
            commit = repo.commit(repo.tree_with(repo.tree_of(main), files), [main], message, author=author)
        repo.move(
            [Move(MAIN, commit, main), Move(opened.ref, None, opened.head)],
            f"merge {opened.branch} where main is kept, by a squash with its message, or let this user push main",
        )
        return commit

    def _is_as_squashed(self, head: Oid, main: Oid, message: str, author: str) -> bool:
        """Whether the branch is one commit that this process has just made, with nothing that a squash would change."""
        commit = self.repo.git.commit_at(head) if self.repo.has_made(head) else None
        return (
            commit is not None
            and commit.parents == (main,)
            and commit.message.strip("\n") == message.strip("\n")
            and commit.author == author
        )

    def auto_merge(self, opened: Opened, message: str) -> Oid | None:
        return None

    def stop_auto_merge(self, opened: Opened) -> bool:
        return False

    def approvals(self, opened: Opened) -> tuple[str, ...]:
        return ()

    def merged_as(self, commit: Oid) -> Opened | None:
        return None

    def merged(self, number: str) -> Oid | None:
        return None

    def protection(self) -> list[tuple[str, str]]:
        return []

    def settable(self) -> Iterable[Setting]:
        return ()
