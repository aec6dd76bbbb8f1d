"""What main is and was: its commits, read as far as somebody asks, and remembered.

A shallow clone is deepened on the way, a partial one fetches together what many targets need.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pointsman.errors import Problem
from pointsman.repo.git import Git
from pointsman.repo.history_cache import HistoryIndex, PathWalk
from pointsman.repo.origin import MAIN, Origin
from pointsman.state.objects import PLAIN_FILE, Commit, Entry, Oid

_MANY = 16  # paths whose walks cost more than reading everything once
_OPEN_WALKS = 16  # each is a git process with three pipes
_ALL = 1 << 30  # commits
LATELY = 4  # changes of a path that whoever judges many of them reads
_AFTER = 256  # commits beyond what was read, before they are read with it
_LONG = 4096  # characters of a commit's message
TRUE = ("true", "yes", "on", "1")  # what git takes for true


class History:
    """The reading side of a repository. `heads`: main and the pull request branches, as `refresh` last saw them."""

    def __init__(self, git: Git, git_dir: Path, *, worktree: Path | None, settings: Mapping[str, str]) -> None:
        self.git = git
        self.git_dir = git_dir
        self.worktree = worktree
        self.remote = settings.get("remote.origin.url")
        self.heads: dict[str, Oid] = {}
        self._origin = Origin(git, git_dir, worktree, self.remote)
        self._settings = settings
        self._written: set[Oid] = set()
        self._fetched: set[Oid] = set()  # together, into a partial clone
        self.history_index: HistoryIndex | None = None
        self._newer: dict[Oid, list[Commit] | None] = {}  # tip → what it has beyond the index
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
        """What a person should know of how main was moved."""
        return self._origin.notes

    def refresh(self) -> Oid:
        """Learn the origin's heads as they are now, fetch what is new, return main; Unreachable if it is silent."""
        self.heads = self._origin.heads()
        return self.main

    @property
    def is_partial(self) -> bool:
        """Whether contents are fetched as they are read, each by a git of its own."""
        return self._settings.get("remote.origin.promisor", "false").lower() in TRUE

    def fetch_ahead(self, entries: Iterable[Entry | None]) -> None:
        """In a partial clone, fetch these contents together if they are many."""
        if not self.is_partial:
            return
        oids = {entry.oid for entry in entries if entry is not None and entry.mode == PLAIN_FILE}
        oids -= self._fetched | self._written
        if len(oids) > _MANY:
            self._origin.fetch_objects(sorted(oids))
            self._fetched |= oids

    def content(self, entry: Entry | None) -> bytes | None:
        """The bytes of a plain file; None for nothing and for anything else (a symlink's target is not content)."""
        return self.git.blob(entry.oid) if entry is not None and entry.mode == PLAIN_FILE else None

    # what was

    def history(self, tip: Oid, *paths: str, no_older_than: Oid | None = None) -> Iterator[Commit]:
        """First-parent commits from `tip` that changed a file's path, newest first; deepens a shallow clone on the way.

        One path is walked once: asked again from a later tip, only what is new is walked.
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
        """The same for all that stands in a directory."""
        return self._history(tip, directory)

    def read_history(self, tip: Oid | None = None) -> HistoryIndex:
        """Read all of a history (main's) at once; from now on it answers what `history` is asked."""
        tip = tip or self.main
        if self.history_index is None or tip not in self.history_index:
            newer = self._beyond(tip)
            known = self.history_index.commits if self.history_index is not None and newer is not None else []
            self.history_index = HistoryIndex([*(newer or ()), *known] if known else self._history(tip))
            self._newer.clear()
            self.fetch_ahead(_recent(self.history_index))
        return self.history_index

    def _beyond(self, tip: Oid) -> list[Commit] | None:
        """What a history has beyond the one that was read, newest first; None if it did not grow from that."""
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
        """Announce that so many paths will be walked from `tip` (main). Above a limit all of history is read in one go.

        Not in a shallow clone, whose history would have to be fetched for it.
        """
        if paths > _MANY and not self._shallow():
            newer = self._beyond(tip or self.main)
            if newer is None or len(newer) > _AFTER:
                self.read_history(tip)

    def forget(self) -> None:
        """Drop what was read of history. Watches that run for days call this."""
        self.history_index = None
        self._newer.clear()
        for walk in self._open_walks:
            walk.pause()
        self._walks.clear()
        self._open_walks.clear()
        self._messages.clear()

    def _sharing(self, commit: Commit) -> Commit:
        """A commit of many targets is met once for each of them: its message is kept once for all."""
        return replace(commit, message=self._messages.setdefault(commit.oid, commit.message))

    def _history(self, tip: Oid, *paths: str, no_older_than: Oid | None = None) -> Iterator[Commit]:
        told = 0
        depth = 100
        while True:
            cut = self._shallow()
            for place, commit in enumerate(self.git.first_parents(tip, *paths, no_older_than=no_older_than)):
                if commit.oid in cut:
                    break
                if place >= told:
                    told += 1
                    yield commit if len(commit.message) < _LONG else self._sharing(commit)
            else:
                if not cut:
                    return
            if not self._deepen(depth):
                raise Problem(f"the history of main ends at {min(cut)[:12]}: origin is a shallow clone itself")
            depth *= 4

    # what descends from what

    def merge_base(self, one: Oid, other: Oid) -> Oid | None:
        """The best common ancestor, None if the two share no history."""
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
        """Whether `old` is a commit of the first parent chain of `new`: a merge that makes it a side is a rewrite."""
        if old == new or not self.is_ancestor(old, new):
            return old == new
        lines = self.git.ask("rev-list", "--first-parent", "--parents", new, f"^{old}").splitlines()
        return bool(lines) and lines[-1].split()[1:2] == [old]

    # what commits say

    def time_of(self, commit: Oid) -> int:
        """The committer's clock of a commit, seconds since 1970."""
        found = self.git.object(commit)
        committed = re.search(rb"^committer .* (\d+) [+-]\d{4}$", found[1], re.MULTILINE) if found else None
        return int(committed[1]) if committed else 0

    def words(self, commit: Commit) -> str:
        """All that a commit of main says: a merge commit speaks for the side that it brought in, too."""
        return self.messages(commit.parents[0], commit.oid) if len(commit.parents) > 1 else commit.message

    def messages(self, base: Oid, head: Oid) -> str:
        """The messages of all commits of `head` that `base` has not, oldest first."""
        return self.git.ask("log", "--reverse", "--encoding=UTF-8", "--format=%B", head, f"^{base}")

    # shallow clones

    def deepen_to_first(self) -> None:
        """Have all of main's history, down to its first commit; Problem if its origin has not."""
        while cut := self._shallow():
            if not self._deepen(_ALL):
                raise Problem(f"the history of main ends at {min(cut)[:12]}: origin is a shallow clone itself")

    def _shallow(self) -> frozenset[Oid]:
        try:
            return frozenset(Oid(line) for line in (self.git_dir / "shallow").read_text().split())
        except FileNotFoundError:
            return frozenset()

    def _deepen(self, depth: int) -> bool:
        """Fetch so many commits more; whether there were any."""
        before = self._shallow()
        if self.remote is None:
            raise Problem("this shallow repository has no origin to deepen it from: use a full clone")
        self._origin.deepen(depth)
        return self._shallow() != before


def _recent(index: HistoryIndex) -> Iterator[Entry | None]:
    """What each manifest was lately: whoever asks for many of them reads these."""
    told: Counter[str] = Counter()
    for commit in index.commits:
        for change in commit.changes:
            if change.path.startswith("manifests/") and told[change.path] < LATELY:
                told[change.path] += 1
                yield change.old
                yield change.new


def _grew(newer: Sequence[Commit], old: Oid) -> bool:
    """Whether commits, newest first, are all of a first parent chain down to `old`."""
    return bool(newer) and newer[-1].parents[:1] == (old,)


def _from_both(
    newer: Sequence[Commit], index: HistoryIndex, tip: Oid, paths: frozenset[str], no_older_than: Oid | None
) -> Iterator[Commit]:
    """The commits that changed one of `paths`, of what a history has beyond an index and then of that."""
    for commit in newer:
        if commit.oid == no_older_than:
            return
        if changes := tuple(change for change in commit.changes if change.path in paths):
            yield replace(commit, changes=changes)
    yield from index.history(index.commits[0].oid if newer else tip, *paths, no_older_than=no_older_than)
