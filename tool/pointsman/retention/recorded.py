"""The recorded versions of a main, asked in the order in which a store lists its blobs: a merge join.

Both orders are those of bytes, so one `git ls-tree` is read once and memory stays the same for any number of versions.
A directory that comes in another order, as some stores list them, is read by itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from pointsman.repo.repository import Repository
from pointsman.state.objects import Oid

_ROOT = len(b"registry/")
_RECORD, _TOMBSTONE = b".json", b".retired.json"
_NAME = 64 + len(_RECORD)  # of a record: its version, and this ending


class State(NamedTuple):
    """What main has of a version."""

    record: bool = False
    tombstone: bool = False


_NOTHING, _LIVE = State(), State(record=True)


class Recorded:
    """Answers for one commit. In ascending order that is cheap, in any other it is right. `finish` at the end."""

    def __init__(self, repo: Repository, main: Oid) -> None:
        self._repo = repo
        self._main = main
        self.targets: set[str] = set()  # those that have a record, as far as was read; all of them after `finish`
        self._open_paths = contextlib.ExitStack()
        self._stream: Iterator[bytes] = self._paths("registry")
        self._path = next(self._stream, b"")  # the one to be looked at; b"" at the end
        self._asked = b""
        self._directory, self._prefix = "", b""
        self._known = b"registry/-/"  # the directory of the last record that was read
        self._aside: tuple[str, frozenset[bytes]] = ("", frozenset())

    def ask(self, directory: str, version: str) -> State:
        """What main has of a version of a directory, "tenant/surface/type"."""
        if directory != self._directory:
            self._directory, self._prefix = directory, f"registry/{directory}/".encode()
        wanted = self._prefix + version.encode()
        if wanted <= self._asked:
            return self._ask_aside(directory, wanted)
        self._asked = wanted
        if self._known == self._prefix and self._path == wanted + _RECORD:  # what is usual, without all that follows
            self._path = next(self._stream, b"")
            if not self._path.startswith(wanted):
                return _LIVE
            self._path, self._stream = wanted + _RECORD, chain([self._path], self._stream)
        path, stream, known, length = self._path, self._stream, self._known, len(self._known) + _NAME
        while path and path < wanted:
            if len(path) != length or not path.startswith(known):
                known = self._note(path)
                length = len(known) + _NAME
            path = next(stream, b"")
        self._path, self._known = path, known
        if not path.startswith(wanted):
            return _NOTHING
        endings = set()
        while self._path.startswith(wanted):
            endings.add(self._path[len(wanted) :])
            self._known = self._note(self._path)
            self._path = next(stream, b"")
        return State(_RECORD in endings, _TOMBSTONE in endings)

    def finish(self) -> None:
        """Read what is left, so that every target is known."""
        while self._path:
            self._known = self._note(self._path)
            self._path = next(self._stream, b"")

    def close(self) -> None:
        """End the git that was read."""
        self._open_paths.close()

    def _paths(self, directory: str) -> Iterator[bytes]:
        return self._open_paths.enter_context(contextlib.closing(self._repo.git.paths(self._main, directory)))

    def _ask_aside(self, directory: str, wanted: bytes) -> State:
        if self._aside[0] != directory:
            self._aside = directory, frozenset(self._paths(f"registry/{directory}"))
        return State(wanted + _RECORD in self._aside[1], wanted + _TOMBSTONE in self._aside[1])

    def _note(self, path: bytes) -> bytes:
        """Remember the target of a record; the directory of the last one."""
        if path.startswith(self._known) and len(path) == len(self._known) + _NAME:
            return self._known
        directory = path[: path.rindex(b"/") + 1]
        if len(path) != len(directory) + _NAME or not path.endswith(_RECORD):
            return self._known
        target = directory[_ROOT:].decode(errors="surrogateescape").split("/")
        if len(target) == 4:  # tenant, surface, type, and nothing after the last slash
            self.targets.add("/".join(target[:2]))
            return directory
        return self._known
