"""The recorded versions of a main, asked in the order in which a store lists its blobs: a merge join.

Both orders are those of bytes, so one `git ls-tree` is read once and memory stays the same for any number of versions.
A record stands under the key of its blob, so a page of keys is compared as sets, without a step for each. A directory
that comes in another order, as some stores list them, is read by itself.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby
from typing import NamedTuple

from pointsman.errors import Problem
from pointsman.repo.repository import Repository
from pointsman.state.objects import Oid

_ROOT = "registry/"
_RECORD, _TOMBSTONE = ".json", ".retired.json"
_VERSION = 64  # digits
_NAME = _VERSION + len(_RECORD)  # of a record


class State(NamedTuple):
    """What main has of a version."""

    record: bool = False
    tombstone: bool = False


LIVE = State(record=True)
_NOTHING = State()


class Recorded:
    """Answers for one commit. In ascending order that is cheap, in any other it is right. `finish` at the end."""

    def __init__(self, repo: Repository, main: Oid) -> None:
        self._repo = repo
        self._main = main
        # As far as was read, and of all after `finish`: targets that have a record, and whether any has a tombstone.
        self.targets: set[str] = set()
        self.has_tombstones = False
        self._open_paths = contextlib.ExitStack()
        self._stream = self._files("registry")
        self._ahead: list[str] = []  # files that were read, without "registry/"
        self._place = 0  # among them: what comes before was asked for, or never will be
        self._last = ""  # the last file that was read
        self._passed = ""  # before this, files are forgotten
        self._aside: tuple[str, frozenset[str]] = ("", frozenset())

    def again(self) -> Recorded:
        """One for the same commit that was not asked yet."""
        return Recorded(self._repo, self._main)

    def ask(self, key: str) -> State:
        """What main has of the version of one blob."""
        return self.states([key]).get(key, LIVE)

    def states(self, keys: list[str]) -> Mapping[str, State]:
        """What main has of the versions of blobs, of all but those that are `LIVE`."""
        if keys[0] < self._passed or sorted(keys) != keys:
            return self._states_aside(keys)
        # All files of a version begin with it and a dot, after which comes the slash.
        files = self._between(keys[0][: -len(_RECORD)], keys[-1][: -len(_RECORD)] + "/")
        return _states(keys, files)

    def finish(self) -> None:
        """Read what is left, so that every target is known."""
        for files in self._stream:
            self._note(files)

    def close(self) -> None:
        """End the git that was read."""
        self._open_paths.close()

    def _between(self, first: str, beyond: str) -> Sequence[str]:
        """The files from `first` on and before `beyond`."""
        found = self._ahead
        while not found or found[-1] < beyond:
            more = next(self._stream, None)
            if more is None:
                break
            self._note(more)
            start = bisect_left(found, first, self._place) if found and found[-1] >= first else len(found)
            found, self._place = found[start:] + more, 0
        start = bisect_left(found, first, self._place)
        self._ahead, self._place, self._passed = found, bisect_left(found, beyond, start), beyond
        return found[start : self._place]

    def _files(self, directory: str) -> Iterator[list[str]]:
        """The files below a directory of main, without "registry/", many at once, in ascending order.

        Without those whose names are not ASCII: no record has such a name, and they would be in another order.
        """
        paths = self._open_paths.enter_context(contextlib.closing(self._repo.git.paths(self._main, directory)))
        last = ""
        for each in paths:
            self.has_tombstones = self.has_tombstones or _TOMBSTONE.encode() in each
            block = (
                each if each.isascii() else b"".join(path + b"\0" for path in each[:-1].split(b"\0") if path.isascii())
            )
            files = f"\0{block.decode()}".replace(f"\0{_ROOT}", "\0").split("\0")[1:-1]
            if not files:
                continue
            if files[0] < last or sorted(files) != files:  # nothing would find what stands elsewhere
                raise Problem(f"git tells the files of {directory} in an order that git does not write: run git fsck")
            last = files[-1]
            yield files

    def _states_aside(self, keys: Sequence[str]) -> Mapping[str, State]:
        found: dict[str, State] = {}
        for directory, group in groupby(keys, lambda key: key[: -_NAME - 1]):
            if self._aside[0] != directory:
                self._aside = directory, frozenset(chain.from_iterable(self._files(f"{_ROOT}{directory}")))
            for key in group:
                stone = f"{key[: -len(_RECORD)]}{_TOMBSTONE}"
                if (state := State(key in self._aside[1], stone in self._aside[1])) != LIVE:
                    found[key] = state
        return found

    def _note(self, files: Sequence[str]) -> None:
        """Remember the targets of those that are records."""
        place, target = 0, ""
        while place < len(files):
            parts = files[place].split("/")
            if len(parts) == 4 and len(parts[3]) == _NAME and parts[3].endswith(_RECORD):
                target = "/".join(parts[:2])
                self.targets.add(target)
                place = bisect_left(files, f"{target}0", place)  # what comes after the slash: the next target
            else:
                place += 1


def _states(keys: Sequence[str], files: Sequence[str]) -> Mapping[str, State]:
    known = set(files)
    found = {key: _NOTHING for key in keys if key not in known}
    if len(files) + len(found) > len(keys):  # there are others than the records of these
        stones = {file[: -len(_TOMBSTONE)] + _RECORD for file in files if file.endswith(_TOMBSTONE)}
        if stones:
            found.update((key, State(key in known, tombstone=True)) for key in stones.intersection(keys))
    return found
