"""The first-parent history of main, read once: the walk of one path, and an index of all paths."""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterable, Iterator
from operator import itemgetter

from msgspec.structs import replace

from pointsman.state.objects import Change, Commit, Entry, Oid
from pointsman.state.paths import STATE_ROOTS, folded, prefixes


class PathWalk:
    """The history of one path from one tip, read only as far as needed. `start` continues it at a commit."""

    def __init__(self, tip: Oid, read: list[Commit], start: Callable[[Oid | None], Iterator[Commit]]) -> None:
        self.tip = tip
        self._read = read
        self._start = start
        self._unread = start(tip)

    def __iter__(self) -> Iterator[Commit]:
        return self._from(0)

    def since(self, tip: Oid) -> Iterator[Commit] | None:
        """The walk from `tip`, if that is one of the commits that were read, or the parent of one; else None."""
        if tip == self.tip:
            return iter(self)
        for place, commit in enumerate(self._read):
            if commit.oid == tip:
                return self._from(place)
            if commit.parents[:1] == (tip,):
                return self._from(place + 1)
        return None

    def _from(self, first: int) -> Iterator[Commit]:
        for place in itertools.count(first):
            while len(self._read) <= place:
                commit = next(self._unread, None)
                if commit is None:
                    return
                self._read.append(commit)
            yield self._read[place]

    def pause(self) -> None:
        """End the waiting git process. Further reading starts a new one at the same commit."""
        if isinstance(self._unread, Generator):
            self._unread.close()
            last = self._read[-1] if self._read else None
            self._unread = self._start(self.tip if last is None else last.parents[0] if last.parents else None)

    def from_later(self, tip: Oid, newer: Iterable[Commit], path: str) -> PathWalk:
        """The walk from a later tip. `newer`: all commits since the tip of this walk."""
        touching = [replace(each, changes=_changes_of(each, path)) for each in newer]
        return PathWalk(tip, [each for each in touching if each.changes], lambda _: iter(self))


class HistoryIndex:
    """A whole history, down to its first commit. It knows each path at each commit without reading trees."""

    def __init__(self, commits: Iterable[Commit]) -> None:
        self.commits = list(commits)  # newest first
        self._place = {commit.oid: place for place, commit in enumerate(self.commits)}
        self._touching: dict[
            str, tuple[list[int], list[Change]]
        ] = {}  # path → places of commits, and its changes there
        for place, commit in enumerate(self.commits):
            for change in commit.changes:
                places, changes = self._touching.setdefault(change.path, ([], []))
                places.append(place)
                changes.append(change)
        self._spellings: dict[str, set[str]] = {}
        self._sorted: list[str] = []  # all paths, once somebody asks for some by how they begin

    def __contains__(self, commit: Oid | None) -> bool:
        return commit in self._place

    def spelled_otherwise(self, path: str) -> bool:
        """Whether a path or directory of this history, or a root of state, differs from `path` or a directory of it
        only in case."""
        if not self._spellings:
            for prefix in {prefix for each in self._touching for prefix in prefixes(each)} | {*STATE_ROOTS}:
                self._spellings.setdefault(folded(prefix), set()).add(prefix)
        return any(len(self._spellings.get(folded(prefix), ())) > 1 for prefix in prefixes(path))

    def history(self, tip: Oid, *paths: str, no_older_than: Oid | None = None) -> Iterator[Commit]:
        """The commits from `tip` that changed one of `paths`, newest first, with only these changes."""
        end = self._place.get(no_older_than, len(self.commits)) if no_older_than is not None else len(self.commits)
        steps = heapq.merge(*(self._since(self._place[tip], path) for path in paths), key=itemgetter(0))
        for place, touching in itertools.groupby(steps, key=itemgetter(0)):
            if place >= end:
                return
            yield replace(self.commits[place], changes=tuple(change for _, change in touching))

    def entry(self, commit: Oid, path: str) -> Entry | None:
        """The entry of a file at a commit of this history; None if there was none."""
        step = next(self._since(self._place[commit], path), None)
        return step[1].new if step is not None else None

    def beginning(self, commit: Oid, start: str) -> Iterator[tuple[str, Entry]]:
        """The files at a commit of this history whose paths begin with `start`, sorted."""
        self._sorted = self._sorted or sorted(self._touching)
        for place in range(bisect_left(self._sorted, start), len(self._sorted)):
            path = self._sorted[place]
            if not path.startswith(start):
                return
            if (entry := self.entry(commit, path)) is not None:
                yield path, entry

    def is_older(self, one: Oid, other: Oid) -> bool:
        """Whether `one` is older than `other`, or the same."""
        return self._place[one] >= self._place[other]

    def _since(self, place: int, path: str) -> Iterator[tuple[int, Change]]:
        places, changes = self._touching.get(path, ([], []))
        return ((places[step], changes[step]) for step in range(bisect_left(places, place), len(places)))


def _changes_of(commit: Commit, path: str) -> tuple[Change, ...]:
    return tuple(change for change in commit.changes if change.path == path)
