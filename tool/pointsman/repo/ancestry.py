"""Main as the origin has it, its chain, and what descends from what. A shallow clone is deepened when necessary."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from pointsman.errors import Problem
from pointsman.files import read_file
from pointsman.patterns import pattern
from pointsman.repo.chain import Chain, Fork, fork
from pointsman.repo.chain_file import Commits
from pointsman.repo.differences import differences
from pointsman.repo.encoding import read_commit
from pointsman.repo.git import Git
from pointsman.repo.heads import Heads
from pointsman.repo.origin import MAIN, Origin
from pointsman.repo.turns import Turns
from pointsman.state.names import short
from pointsman.state.objects import Change, Commit, Oid
from pointsman.timeouts import landing_timeout

_ALL = 1 << 30  # commits: more than any history has
_MOST_CUT = 1 << 26  # bytes of the file in which git keeps where a shallow clone ends, a line for each commit
_NONE_IN_COMMON = 1  # how git merge-base ends, also if it misses a commit: then it says so
_LACKING = pattern(r"^(error|fatal): ", re.MULTILINE)


class Ancestry:
    """The commits of a repository. `heads`: main and the pull request branches, as `refresh` last saw them."""

    def __init__(self, git: Git, git_dir: Path, *, worktree: Path | None, settings: Mapping[str, str]) -> None:
        self.git = git
        self.git_dir = git_dir
        self.worktree = worktree
        self.remote = settings.get("remote.origin.url")
        self.reached = self.remote  # what git makes of it by the user's url.*.insteadOf
        self.heads = Heads({})
        self._origin = Origin(git, git_dir, worktree, self.remote)
        self.turns = Turns(self._origin, landing_timeout)
        self.skips_tables = False  # go on without the tables of settings that this version does not know
        self._settings = settings
        self._chain: Chain | None = None
        self._depth = 100  # commits that the chain fetches next in a shallow clone

    # now

    @property
    def main(self) -> Oid:
        """The commit of main that `refresh` last saw; Problem if there is none."""
        if MAIN not in self.heads:
            raise Problem(
                f"{self.remote or self.git_dir} has no branch main: push a first commit (pointsman init makes one)"
            )
        return self.heads[MAIN]

    @property
    def notes(self) -> list[str]:
        """Notes for the user about moves of main."""
        return self._origin.notes

    @property
    def closed(self) -> Mapping[str, Oid]:
        """What people closed, by `CLOSED` and the branch, as `refresh` last saw it: a commit that tells of it."""
        return self._origin.closed

    def refresh(self) -> Oid:
        """Read the heads of the origin, fetch what is new, return main. Unreachable if the origin does not answer."""
        self.heads = Heads(self._origin.heads(self.heads))
        self.turns.saw(self._origin.tickets)
        return self.main

    # the chain of main

    def _chain_of(self, *commits: Oid) -> Chain | None:
        """The chain of main, if all these commits are on it as far as it was read."""
        main = self.heads.get(MAIN)
        if main is None:
            return None
        if self._chain is None or not self._chain.grow(main):  # a rewritten main has another chain
            if self._chain is not None:
                self._chain.close()
            first = self._chain is None
            self._chain = Chain(self.git, self.git_dir, main, self._shallow, self._deepen_more, kept=first)
        return self._chain if all(self._chain.height(commit) is not None for commit in commits) else None

    @property
    def is_fresh(self) -> bool:
        """Whether no command has read main here before: then reading it for one question alone costs the least."""
        chain = self._chain_of(self.main)
        return chain is None or not chain.was_kept

    def clocks(self, tip: Oid) -> Commits:
        """Ids and clocks of all first-parent commits from `tip`. Call `deepen_to_first` before."""
        chain = self._chain_of(tip)
        return chain.clocks(tip) if chain is not None else self.git.clocks(tip)

    # what descends from what

    def merge_base(self, one: Oid, other: Oid) -> Oid | None:
        """The best common ancestor; None if the two have no history in common. Problem if commits are missing here."""
        if (found := self._fork(one, other)) is not None:
            return found.oid
        while True:
            ran = self.git.run("merge-base", one, other)
            if ran.code == 0:
                return Oid(ran.out.decode().strip())
            if ran.code != _NONE_IN_COMMON or _LACKING.search(ran.err):
                raise Problem(f"git merge-base failed: {ran.reason}")
            if not (cut := self._shallow()):
                return None
            if not self._deepen(_ALL):
                raise _ends_at(cut)

    def _fork(self, one: Oid, other: Oid) -> Fork | None:
        chain = self._chain_of(one)
        return fork(chain, self.git, one, other) if chain is not None else None

    def is_ancestor(self, old: Oid, new: Oid) -> bool:
        if (chain := self._chain_of(old, new)) is not None:
            return (chain.height(old) or 0) <= (chain.height(new) or 0)
        depth = 100
        while (found := self.git.object(old)) is None and self._shallow() and self._deepen(depth):
            depth *= 4
        return found is not None and found[0] == "commit" and self.merge_base(old, new) == old

    def grew_from(self, old: Oid, new: Oid) -> bool:
        """Whether `old` is on the first-parent chain of `new`. A merge that makes it a side branch rewrites main."""
        if old == new:
            return True
        if (chain := self._chain_of(old, new)) is not None:
            return (chain.height(old) or 0) <= (chain.height(new) or 0)
        if not self.is_ancestor(old, new):
            return False
        lines = self.git.ask("rev-list", "--first-parent", "--parents", new, f"^{old}").splitlines()
        return bool(lines) and lines[-1].split()[1:2] == [old]

    # what commits say

    def time_of(self, commit: Oid) -> int:
        """The committer's clock of a commit, seconds since 1970."""
        return read_commit(commit, self.git.commit(commit)).time

    def words(self, commit: Commit) -> str:
        """The message of a commit of main; for a merge commit with the messages of the commits that it merged."""
        return self.messages(commit.parents[0], commit.oid) if len(commit.parents) > 1 else commit.message

    def messages(self, base: Oid, head: Oid) -> str:
        """The messages of all commits of `head` that `base` does not have, oldest first."""
        return "\n".join(commit.message for commit in self.beyond(base, head))

    def beyond(self, base: Oid, head: Oid) -> list[Commit]:
        """The commits of `head` that `base` does not have, merged ones included, oldest first, without changes."""
        if (left := self._fork(base, head)) is not None and left.on_top is not None:
            return left.on_top[::-1]
        return self.git.commits(head, base)

    def differences(self, old: Oid, new: Oid) -> list[Change]:
        """Every path that differs between two commits. Ignores .gitattributes."""
        found = differences(self.git, old, new)
        return self.git.differences(old, new) if found is None else found

    # shallow clones

    def deepen_to_first(self) -> None:
        """Fetch all of main's history, down to its first commit; Problem if the origin does not have it."""
        while self._shallow():
            self._deepen_by(_ALL)

    def _deepen_more(self) -> None:
        self._deepen_by(self._depth)
        self._depth *= 4

    def _deepen_by(self, depth: int) -> None:
        """Fetch `depth` more commits; Problem if the origin has no more."""
        cut = self._shallow()
        if not self._deepen(depth):
            raise _ends_at(cut)

    def _shallow(self) -> frozenset[Oid]:
        try:
            return frozenset(Oid(line) for line in read_file(self.git_dir / "shallow", _MOST_CUT).decode().split())
        except FileNotFoundError:
            return frozenset()

    def _deepen(self, depth: int) -> bool:
        """Fetch `depth` more commits. Whether there were any."""
        before = self._shallow()
        if self.remote is None:
            raise Problem("this repository is shallow and has no origin to fetch from: use a full clone")
        self._origin.deepen(depth)
        return self._shallow() != before


def _ends_at(cut: Collection[Oid]) -> Problem:
    says = "it is a shallow clone itself; there, run git fetch --unshallow"
    return Problem(f"the history that origin has ends at {short(min(cut))}: {says}")
