"""What gc asks of a directory: everything that is in it, renames, and deletes that leave no empty directories."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from pointsman.durable import sync_directory
from pointsman.files import NoPlainFile
from pointsman.store.base import Listed
from pointsman.store.own import make_like_parent

_TRIES = 8
_TRASH = ".pointsman/trash/"
_GONE = (FileNotFoundError, NotADirectoryError)


class FileMoves(ABC):
    """A directory as gc sees it."""

    root: Path

    def objects(self, prefix: str) -> Iterator[Listed]:
        """Every file below the directory `prefix` ("": all), in the order of the bytes of their keys."""
        with self._trouble("list", prefix):
            yield from _objects(self.root, prefix)

    def folders(self, prefix: str) -> list[str]:
        """The names of the directories directly in the directory `prefix`, sorted."""
        with self._trouble("list", prefix):
            return [name.rstrip("/") for name in _names(self.root / prefix) if name.endswith("/")]

    def move(self, key: str, to: str, size: int, still: Callable[[], bool]) -> bool:
        """Rename the file under `key`, which then counts as written now, if `still` says so. Durable on return."""
        with self._trouble("move", key):
            return still() and _move(self.root, key, to)

    def keeps_versions(self, key: str) -> Literal["yes", "no", "unknown"]:
        """No: a directory keeps no versions. A file system below it may keep snapshots."""
        return "no"

    def remove(self, key: str) -> None:
        """Delete the file under `key`, whatever it is now. It may be gone already. Durable on return."""
        with self._trouble("delete", key):
            _remove(self.root, key)

    @abstractmethod
    def _trouble(self, verb: str, key: str) -> contextlib.AbstractContextManager[None]:
        """Turn an OSError into a Problem."""


def _objects(root: Path, prefix: str) -> Iterator[Listed]:
    """Every file below the directory `prefix`, in the order of the bytes of their keys. Raises OSError.

    No link is followed: what it leads to is somebody else's.
    """
    for name in _names(root / prefix):
        if name.endswith("/"):
            yield from _objects(root, prefix + name)
            continue
        with contextlib.suppress(*_GONE):  # it went since
            status = os.lstat(f"{root}/{prefix}{name}")
            regular = stat.S_ISREG(status.st_mode)
            yield Listed(prefix + name, status.st_size if regular else None, status.st_mtime)


def _names(directory: Path) -> list[str]:
    """What is in a directory, in the order that keys have: a directory sorts by its name with a slash."""
    try:
        with os.scandir(directory) as entries:
            found = [entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name for entry in entries]
    except _GONE:
        return []
    return sorted(found, key=os.fsencode)


def _move(root: Path, key: str, to: str) -> bool:
    """Rename a file, which then counts as written now. False if there is none. Raises OSError."""
    path, goal = root / key, root / to
    try:
        status = os.lstat(path)
    except _GONE:
        return False
    if not stat.S_ISREG(status.st_mode):
        raise NoPlainFile.of(path, status)
    for again in range(_TRIES):
        make_like_parent(goal.parent, root)
        try:
            os.rename(path, goal)
            break
        except FileNotFoundError:
            if not path.exists():
                return False
            if again == _TRIES - 1:  # whoever empties the trash takes the directory away meanwhile
                raise
    os.utime(goal)
    sync_directory(goal.parent)
    sync_directory(path.parent)
    return True


def _remove(root: Path, key: str) -> None:
    """Delete a file, and those directories of the trash that are empty then. It may be gone. Raises OSError."""
    path = root / key
    with contextlib.suppress(*_GONE):
        path.unlink()
        sync_directory(path.parent)
    for parent in path.parents if key.startswith(_TRASH) else ():
        if parent == root / _TRASH:
            return
        try:
            parent.rmdir()
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return
            if not isinstance(error, FileNotFoundError):
                raise
