"""The commits of main, read only as far as needed, and cached.

A shallow clone is deepened when necessary. A partial clone fetches the contents for many targets in one request.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from pointsman.repo.ancestry import Ancestry
from pointsman.repo.chain import WITHOUT
from pointsman.repo.git import Git
from pointsman.repo.history_cache import HistoryIndex, PathWalk
from pointsman.repo.origin import MAIN
from pointsman.state.objects import PLAIN_FILE, Commit, Entry, Oid

_MANY = 16  # from more paths or contents than this on, reading all at once is cheaper
_OPEN_WALKS = 16  # each is a git process with three pipes
_ALONE = 2  # paths for which git walks in a fresh clone: from more on, one walk for all of them is cheaper
LATELY = 4  # the newest changes of a path, read ahead when many paths are judged
_MOST_BEYOND = 256  # commits newer than the index; with more of them all is read again
_LONG_MESSAGE = 4096  # characters
TRUE = ("true", "yes", "on", "1")  # what git takes for true


class History(Ancestry):
    """The reading side of a repository."""

    def __init__(self, git: Git, git_dir: Path, *, worktree: Path | None, settings: Mapping[str, str]) -> None:
        super().__init__(git, git_dir, worktree=worktree, settings=settings)
        self._written: set[Oid] = set()
        self._fetched: set[Oid] = set()  # by `fetch_ahead`
        self.history_index: HistoryIndex | None = None
        self._newer: dict[Oid, HistoryIndex | None] = {}  # tip → its commits that are newer than the index
        self._walks: dict[str, PathWalk] = {}
        self._open_walks: deque[PathWalk] = deque()
        self._messages: dict[Oid, str] = {}
        self._alone = False  # git walked for a path alone

    # now

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

    def fetched(self, oid: Oid) -> Commit | None:
        """A commit that a ref of the origin names and no branch has; None if it is none, or cannot be had."""
        found = self.git.commit_at(oid)
        if found is None and self.remote is not None and self.fetch_commits([oid]) is None:
            found = self.git.commit_at(oid)
        return found

    def fetch_commits(self, commits: Sequence[Oid]) -> str | None:
        """Fetch commits of the origin by their ids, with all that they need. Git's error if that failed.

        Then any part of them may be missing, also where the commit itself is there.
        """
        if self.remote is None or not commits:
            return None
        return self._origin.fetch_objects(commits, whole=True)

    def content(self, entry: Entry | None) -> bytes | None:
        """The bytes of a plain file; None for anything else (a symlink's target is not content)."""
        return self.git.blob(entry.oid) if entry is not None and entry.mode == PLAIN_FILE else None

    # what was

    def history(self, tip: Oid, *paths: str, no_older_than: Oid | None = None) -> Iterator[Commit]:
        """First-parent commits from `tip` that changed one of `paths` (files), newest first. Deepens a shallow clone.

        On the chain of main, only what is not known yet is read. Another path is walked only once, and from a later tip
        only the new commits are walked.
        """
        if paths and self.history_index is not None and (newer := self._beyond(tip)) is not None:
            return _from_both(newer, self.history_index, tip, paths, no_older_than)
        if paths and not (_is_record(paths) or (no_older_than is None and self._walks_alone(paths))):
            chain = self._chain_of(tip, *([no_older_than] if no_older_than is not None else []))
            if chain is not None:
                return chain.history(tip, paths, no_older_than)
        if len(paths) != 1 or no_older_than is not None:
            return self._history(tip, *paths, no_older_than=no_older_than)
        known = self._walks.get(paths[0])
        if known is not None and (found := known.since(tip)) is not None:
            return found
        known = self._walks[paths[0]] = self._walk_from(tip, paths[0], known)
        self._open_walks.append(known)
        if len(self._open_walks) > _OPEN_WALKS:
            self._open_walks.popleft().pause()
        return iter(known)

    def _walks_alone(self, paths: Sequence[str]) -> bool:
        """Whether git walks for one path, where no command has read main before and few paths were asked for."""
        if len(paths) != 1 or MAIN not in self.heads or not self.is_fresh:
            return False
        alone = len(self._walks.keys() | {paths[0]}) <= _ALONE
        self._alone |= alone
        return alone

    def _walk_from(self, tip: Oid, path: str, known: PathWalk | None) -> PathWalk:
        newer = list(self._history(tip, no_older_than=known.tip)) if known is not None else []
        if known is not None and _grew(newer, known.tip):
            return known.from_later(tip, newer, path)
        return PathWalk(tip, [], lambda start: self._history(start, path) if start is not None else iter(()))

    def history_below(self, tip: Oid, *directories: str, no_older_than: Oid | None = None) -> Iterator[Commit]:
        """Like `history`, for everything in directories."""
        return self._history(tip, *directories, no_older_than=no_older_than)

    def read_history(self, tip: Oid | None = None) -> HistoryIndex:
        """Read the whole history of `tip` (default: main) at once. From then on `history` uses it."""
        tip = tip or self.main
        if self.history_index is None or tip not in self.history_index:
            newer = self._beyond(tip)
            known = self.history_index.commits if self.history_index is not None and newer is not None else []
            later = newer.commits if newer is not None else ()
            self.history_index = HistoryIndex([*later, *known] if known else self._history(tip))
            self._newer.clear()
            self.fetch_ahead(_recent(self.history_index))
        return self.history_index

    def _beyond(self, tip: Oid) -> HistoryIndex | None:
        """The commits from `tip` that are newer than the index; None if `tip` did not grow from it."""
        if self.history_index is None or tip in self.history_index:
            return None if self.history_index is None else HistoryIndex(())
        if tip not in self._newer:
            top = self.history_index.commits[0].oid
            last = next((each for each in reversed(self._newer) if self._newer[each] is not None), top)
            between = self._newer.get(last)
            known = between.commits if between is not None else []
            newer = list(self._history(tip, no_older_than=last))
            if len(self._newer) > _OPEN_WALKS:
                self._newer.clear()
            self._newer[tip] = HistoryIndex([*newer, *known]) if _grew(newer, last) else None
        return self._newer[tip]

    def expect(self, paths: int, tip: Oid | None = None) -> None:
        """Announce that `paths` histories will be read from `tip` (default: main).

        Above a limit the whole history is read in one git call. A shallow clone is left out: it would have to fetch it.
        """
        if paths > _MANY and not self._shallow():
            newer = self._beyond(tip or self.main)
            if newer is None or len(newer.commits) > _MOST_BEYOND:
                self.read_history(tip)

    def forget(self) -> None:
        """Drop cached history; what is worth it stays in the git directory. Long-running watches call this."""
        if self._chain is not None:
            self._chain.close()
            self._chain.keep(mark=self._alone)
            self._chain = None
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
            self._deepen_by(depth)
            depth *= 4


def _is_record(paths: Sequence[str]) -> bool:
    return any(path == WITHOUT or path.startswith(f"{WITHOUT}/") for path in paths)


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
    newer: HistoryIndex, index: HistoryIndex, tip: Oid, paths: Sequence[str], no_older_than: Oid | None
) -> Iterator[Commit]:
    """The commits that changed one of `paths`: first those newer than the index, then those in it."""
    if newer.commits:
        yield from newer.history(tip, *paths, no_older_than=no_older_than)
        if no_older_than in newer:
            return
        tip = index.commits[0].oid
    yield from index.history(tip, *paths, no_older_than=no_older_than)
