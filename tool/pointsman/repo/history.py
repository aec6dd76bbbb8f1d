"""The commits of main, read only as far as needed, and cached.

A shallow clone is deepened when necessary. A partial clone fetches the contents for many targets in one request.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pointsman.errors import Problem
from pointsman.repo.encoding import read_commit
from pointsman.repo.git import Git
from pointsman.repo.heads import Heads
from pointsman.repo.history_cache import HistoryIndex, PathWalk
from pointsman.repo.origin import MAIN, Origin
from pointsman.state.names import short
from pointsman.state.objects import PLAIN_FILE, Commit, Entry, Oid

_MANY = 16  # from more paths or contents than this on, reading all at once is cheaper
_OPEN_WALKS = 16  # each is a git process with three pipes
_ALL = 1 << 30  # commits: more than any history has
LATELY = 4  # the newest changes of a path, read ahead when many paths are judged
_MOST_BEYOND = 256  # commits newer than the index; with more of them all is read again
_LONG_MESSAGE = 4096  # characters
TRUE = ("true", "yes", "on", "1")  # what git takes for true


class History:
    """The reading side of a repository. `heads`: main and the pull request branches, as `refresh` last saw them."""

    def __init__(self, git: Git, git_dir: Path, *, worktree: Path | None, settings: Mapping[str, str]) -> None:
        self.git = git
        self.git_dir = git_dir
        self.worktree = worktree
        self.remote = settings.get("remote.origin.url")
        self.heads = Heads({})
        self._origin = Origin(git, git_dir, worktree, self.remote)
        self._settings = settings
        self._written: set[Oid] = set()
        self._fetched: set[Oid] = set()  # by `fetch_ahead`
        self.history_index: HistoryIndex | None = None
        self._newer: dict[Oid, list[Commit] | None] = {}  # tip → its commits that are newer than the index
        self._walks: dict[str, PathWalk] = {}
        self._open_walks: deque[PathWalk] = deque()
        self._messages: dict[Oid, str] = {}

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

    def refresh(self) -> Oid:
        """Read the heads of the origin, fetch what is new, return main. Unreachable if the origin does not answer."""
        self.heads = Heads(self._origin.heads(self.heads))
        return self.main

    @property
    def is_partial(self) -> bool:
        """Whether this is a partial clone: each content is fetched when it is read, by a git process of its own."""
        return self._settings.get("remote.origin.promisor", "false").lower() in TRUE

    def fetch_ahead(self, entries: Iterable[Entry | None]) -> None:
        """In a partial clone, fetch these contents in one request if there are many."""
        if not self.is_partial:
            return
        oids = {entry.oid for entry in entries if entry is not None and entry.mode == PLAIN_FILE}
        oids -= self._fetched | self._written
        if len(oids) > _MANY:
            self._origin.fetch_objects(sorted(oids))
            self._fetched |= oids

    def content(self, entry: Entry | None) -> bytes | None:
        """The bytes of a plain file; None for anything else (a symlink's target is not content)."""
        return self.git.blob(entry.oid) if entry is not None and entry.mode == PLAIN_FILE else None

    # what was

    def history(self, tip: Oid, *paths: str, no_older_than: Oid | None = None) -> Iterator[Commit]:
        """First-parent commits from `tip` that changed one of `paths` (files), newest first. Deepens a shallow clone.

        One path is walked only once. From a later tip, only the new commits are walked.
        """
        if paths and self.history_index is not None and (newer := self._beyond(tip)) is not None:
            return _from_both(newer, self.history_index, tip, frozenset(paths), no_older_than)
        if len(paths) != 1 or no_older_than is not None:
            return self._history(tip, *paths, no_older_than=no_older_than)
        known = self._walks.get(paths[0])
        if known is None or known.tip != tip:
            known = self._walks[paths[0]] = self._walk_from(tip, paths[0], known)
            self._open_walks.append(known)
            if len(self._open_walks) > _OPEN_WALKS:
                self._open_walks.popleft().pause()
        return iter(known)

    def _walk_from(self, tip: Oid, path: str, known: PathWalk | None) -> PathWalk:
        newer = list(self._history(tip, no_older_than=known.tip)) if known is not None else []
        if known is not None and _grew(newer, known.tip):
            return known.from_later(tip, newer, path)
        return PathWalk(tip, [], lambda start: self._history(start, path) if start is not None else iter(()))

    def history_below(self, tip: Oid, directory: str) -> Iterator[Commit]:
        """Like `history`, for everything in a directory."""
        return self._history(tip, directory)

    def read_history(self, tip: Oid | None = None) -> HistoryIndex:
        """Read the whole history of `tip` (default: main) at once. From then on `history` uses it."""
        tip = tip or self.main
        if self.history_index is None or tip not in self.history_index:
            newer = self._beyond(tip)
            known = self.history_index.commits if self.history_index is not None and newer is not None else []
            self.history_index = HistoryIndex([*(newer or ()), *known] if known else self._history(tip))
            self._newer.clear()
            self.fetch_ahead(_recent(self.history_index))
        return self.history_index

    def _beyond(self, tip: Oid) -> list[Commit] | None:
        """The commits from `tip` that are newer than the index, newest first; None if `tip` did not grow from it."""
        if self.history_index is None or tip in self.history_index:
            return None if self.history_index is None else []
        if tip not in self._newer:
            top = self.history_index.commits[0].oid
            last = next((each for each in reversed(self._newer) if self._newer[each] is not None), top)
            known = self._newer.get(last) or []
            newer = list(self._history(tip, no_older_than=last))
            if len(self._newer) > _OPEN_WALKS:
                self._newer.clear()
            self._newer[tip] = [*newer, *known] if _grew(newer, last) else None
        return self._newer[tip]

    def expect(self, paths: int, tip: Oid | None = None) -> None:
        """Announce that `paths` histories will be read from `tip` (default: main).

        Above a limit the whole history is read in one git call. A shallow clone is left out: it would have to fetch it.
        """
        if paths > _MANY and not self._shallow():
            newer = self._beyond(tip or self.main)
            if newer is None or len(newer) > _MOST_BEYOND:
                self.read_history(tip)

    def forget(self) -> None:
        """Drop cached history. Long-running watches call this."""
        self.history_index = None
        self._newer.clear()
        for walk in self._open_walks:
            walk.pause()
        self._walks.clear()
        self._open_walks.clear()
        self._messages.clear()

    def _with_shared_message(self, commit: Commit) -> Commit:
        """A commit of many targets is read once for each of them, but its message is kept only once."""
        return replace(commit, message=self._messages.setdefault(commit.oid, commit.message))

    def _history(self, tip: Oid, *paths: str, no_older_than: Oid | None = None) -> Iterator[Commit]:
        yielded = 0
        depth = 100
        while True:
            cut = self._shallow()
            for place, commit in enumerate(self.git.first_parents(tip, *paths, no_older_than=no_older_than)):
                if commit.oid in cut:
                    break
                if place >= yielded:
                    yielded += 1
                    yield commit if len(commit.message) < _LONG_MESSAGE else self._with_shared_message(commit)
            else:
                if not cut:
                    return
            if not self._deepen(depth):
                raise Problem(
                    f"the history of main ends at {short(min(cut))}: origin is a shallow clone, use a full one"
                )
            depth *= 4

    # what descends from what

    def merge_base(self, one: Oid, other: Oid) -> Oid | None:
        """The best common ancestor; None if the two have no history in common."""
        while True:
            ran = self.git.run("merge-base", one, other)
            if ran.code == 0:
                return Oid(ran.out.decode().strip())
            if not self._shallow() or not self._deepen(_ALL):
                return None

    def is_ancestor(self, old: Oid, new: Oid) -> bool:
        depth = 100
        while (found := self.git.object(old)) is None and self._shallow() and self._deepen(depth):
            depth *= 4
        return found is not None and found[0] == "commit" and self.merge_base(old, new) == old

    def grew_from(self, old: Oid, new: Oid) -> bool:
        """Whether `old` is on the first-parent chain of `new`. A merge that makes it a side branch rewrites main."""
        if old == new or not self.is_ancestor(old, new):
            return old == new
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
        return "\n".join(commit.message for commit in self.git.commits(head, base))

    # shallow clones

    def deepen_to_first(self) -> None:
        """Fetch all of main's history, down to its first commit; Problem if the origin does not have it."""
        while cut := self._shallow():
            if not self._deepen(_ALL):
                raise Problem(
                    f"the history of main ends at {short(min(cut))}: origin is a shallow clone, use a full one"
                )

    def _shallow(self) -> frozenset[Oid]:
        try:
            return frozenset(Oid(line) for line in (self.git_dir / "shallow").read_text().split())
        except FileNotFoundError:
            return frozenset()

    def _deepen(self, depth: int) -> bool:
        """Fetch `depth` more commits. Whether there were any."""
        before = self._shallow()
        if self.remote is None:
            raise Problem("this repository is shallow and has no origin to fetch from: use a full clone")
        self._origin.deepen(depth)
        return self._shallow() != before


def _recent(index: HistoryIndex) -> Iterator[Entry | None]:
    """Each manifest at its newest changes: judging many targets reads these."""
    seen: Counter[str] = Counter()
    for commit in index.commits:
        for change in commit.changes:
            if change.path.startswith("manifests/") and seen[change.path] < LATELY:
                seen[change.path] += 1
                yield change.old
                yield change.new


def _grew(newer: Sequence[Commit], old: Oid) -> bool:
    """Whether `newer`, newest first, are all first-parent commits after `old`."""
    return bool(newer) and newer[-1].parents[:1] == (old,)


def _from_both(
    newer: Sequence[Commit], index: HistoryIndex, tip: Oid, paths: frozenset[str], no_older_than: Oid | None
) -> Iterator[Commit]:
    """The commits that changed one of `paths`: first those newer than the index, then those in it."""
    for commit in newer:
        if commit.oid == no_older_than:
            return
        if changes := tuple(change for change in commit.changes if change.path in paths):
            yield replace(commit, changes=changes)
    yield from index.history(index.commits[0].oid if newer else tip, *paths, no_older_than=no_older_than)
