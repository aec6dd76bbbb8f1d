"""The recorded versions of a main, asked in the order in which a store lists its blobs: a merge join.

Both orders are those of bytes, so one `git ls-tree` is read once and memory stays the same for any number of versions.
A directory that comes in another order, as some stores list them, is read by itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from pointsman.repo.repository import Repository
from pointsman.state.names import is_version
from pointsman.state.objects import Oid

_ROOT = b"registry/"


class State(NamedTuple):
    """What main has of a version."""

    record: bool = False
    tombstone: bool = False


_NOTHING = State()
_Found = tuple[str, State]  # version, what main has of it


class Recorded:
    """Answers for one commit. In ascending order that is cheap, in any other it is right. `finish` at the end."""

    def __init__(self, repo: Repository, main: Oid) -> None:
        self._repo = repo
        self._main = main
        self.targets: set[str] = set()  # those that have a record, as far as was read; all of them after `finish`
        self._open_paths = contextlib.ExitStack()
        self._stream = groupby(self._paths("registry"), _directory)
        self._next: tuple[bytes, Iterator[bytes]] | None = next(self._stream, None)
        self._directory = self._asked = ""
        self._streams = False  # whether `_versions` reads the group that is next
        self._versions: Iterator[_Found] = iter(())
        self._at: _Found | None = None

    def ask(self, directory: str, version: str) -> State:
        """What main has of a version of a directory, "tenant/surface/type"."""
        if directory != self._directory or version <= self._asked:
            self._open(directory)
        self._asked = version
        while self._at is not None and self._at[0] < version:
            self._at = next(self._versions, None)
        return self._at[1] if self._at is not None and self._at[0] == version else _NOTHING

    def finish(self) -> None:
        """Read what is left, so that every target is known."""
        self._skip_before(None)

    def close(self) -> None:
        """End the git that was read."""
        self._open_paths.close()

    def _paths(self, directory: str) -> Iterator[bytes]:
        return self._open_paths.enter_context(contextlib.closing(self._repo.git.paths(self._main, directory)))

    def _open(self, directory: str) -> None:
        wanted = f"registry/{directory}/".encode(errors="surrogateescape")
        self._skip_before(wanted)
        self._directory = directory
        if self._next is not None and self._next[0] == wanted:
            self._versions, self._streams = self._told(*self._next), True
            self._at = next(self._versions, None)
            return
        paths = self._paths(f"registry/{directory}")
        self._versions = _versions(path for path in paths if _directory(path) == wanted)
        self._at = next(self._versions, None)

    def _skip_before(self, wanted: bytes | None) -> None:
        for _ in self._versions:  # what is left of the directory before
            pass
        if self._streams:  # a group can be read once
            self._next, self._streams = next(self._stream, None), False
        while self._next is not None and (wanted is None or self._next[0] < wanted):
            for _ in self._told(*self._next):
                pass
            self._next = next(self._stream, None)

    def _told(self, directory: bytes, paths: Iterator[bytes]) -> Iterator[_Found]:
        target = directory[len(_ROOT) :].decode(errors="surrogateescape").split("/")[:2]
        for version, state in _versions(paths):
            if state.record and len(target) == 2:
                self.targets.add("/".join(target))
            yield version, state


def _directory(path: bytes) -> bytes:
    return path[: path.rindex(b"/") + 1]


def _versions(paths: Iterator[bytes]) -> Iterator[_Found]:
    """The versions that a directory's paths tell of. Names sort by their version first."""
    named = (path[path.rindex(b"/") + 1 :].decode(errors="surrogateescape") for path in paths)
    for version, names in groupby(named, lambda name: name[:64]):
        endings = {name[64:] for name in names}
        if is_version(version):
            yield version, State(".json" in endings, ".retired.json" in endings)
