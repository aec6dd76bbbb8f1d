"""What gc asks of a directory: everything that is in it, renames, and deletes that leave no empty directories."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from pointsman.durable import sync_directory
from pointsman.files import NoPlainFile
from pointsman.store.base import Page
from pointsman.store.closed import ClosedDirectory, may_be_ours
from pointsman.store.own import make_like_parent

_TRIES = 8
_TOGETHER = 256  # files that are looked at together: what the kernel says of many more leaves the processor's cache
_PAGE = 1024  # files of a page, or a few more: small directories come together
_ENOUGH = 16  # parts of a listing, so that small ones make up for large ones
_MOST = 64  # parts
_TRASH = ".pointsman/trash/"
_GONE = (FileNotFoundError, NotADirectoryError)


class BehindLink(NoPlainFile):
    """A directory on the way is a link: no listing would have what is moved there."""

    def __init__(self, link: Path) -> None:
        says = f"{link} is a symbolic link, and gc and find look behind none: make it a directory"
        OSError.__init__(self, errno.EINVAL, says, os.fspath(link))


class FileMoves(ABC):
    """A directory as gc sees it."""

    root: Path

    def objects(self, prefix: str) -> Iterator[Page]:
        """Every file below the directory `prefix` ("": all), in the order of the bytes of their keys."""
        with self._trouble("list", prefix):
            yield from _pages(self.root, _files(os.fspath(self.root), prefix))

    def parts(self) -> Sequence[Callable[[], Iterator[Page]]]:
        """Every file in parts: what is in the root now, or in its directories, their directories, their files."""
        with self._trouble("list", ""):
            parts = _parts(os.fspath(self.root))
        share = -(-len(parts) // _MOST)
        return [partial(self._listed, parts[start : start + share]) for start in range(0, len(parts), share or 1)]

    def _listed(self, parts: Sequence[tuple[str, str]]) -> Iterator[Page]:
        with self._trouble("list", ""):
            yield from _pages(self.root, _files_of(os.fspath(self.root), parts))

    def folders(self, prefix: str) -> list[str]:
        """The names of the directories directly in the directory `prefix`, sorted."""
        with self._trouble("list", prefix):
            return [name.rstrip("/") for name in _names(self.root / prefix) if name.endswith("/")]

    def move(self, key: str, to: str, size: int, still: Callable[[], bool]) -> bool:
        """Rename the file under `key`, which then counts as written now, if `still` says so. Durable on return."""
        with self._trouble(f"move {key} to", to):
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


def _pages(root: Path, files: Iterator[tuple[str, list[str]]]) -> Iterator[Page]:
    """Files, given as directories and names in them. Raises OSError.

    No link is followed: what it leads to is somebody else's.
    """
    page = Page([], [], [])
    for directory, names in files:
        for start in range(0, len(names), _TOGETHER):
            _look(os.fspath(root), directory, names[start : start + _TOGETHER], page)
            if len(page.keys) >= _PAGE:
                yield page
                page = Page([], [], [])
    if page.keys:
        yield page


def _files(root: str, directory: str) -> Iterator[tuple[str, list[str]]]:
    """Every file below a directory, in the order of the bytes of their keys: directories, and names in them."""
    for place, names in _opened(root, directory):
        if names:
            yield place, names
        else:
            yield from _files(root, place)


def _opened(root: str, directory: str) -> Iterator[tuple[str, list[str]]]:
    """What is in a directory, in the order of keys: names of files that follow each other, and directories without."""
    try:
        names = _names(f"{root}/{directory}")
    except PermissionError:
        if may_be_ours(directory):
            raise ClosedDirectory(directory) from None
        return
    start = len(names) if "/" not in "".join(names) else 0
    if start:
        yield directory, names
    for place in range(start, len(names)):
        if names[place][-1] == "/":
            if start < place:
                yield directory, names[start:place]
            yield directory + names[place], []
            start = place + 1
    if start < len(names):
        yield directory, names[start:]


def _parts(root: str) -> list[tuple[str, str]]:
    """All that is below the root, in the order of keys: directories, and names of files that are directly in them.

    The names, with a slash between two of them, take little memory; "": all files below that directory.
    """
    parts = [("", "")]
    while len(parts) < _ENOUGH and not all(names for _, names in parts):
        parts = [new for place, names in parts for new in ([(place, names)] if names else _smaller(root, place))]
    return parts


def _files_of(root: str, parts: Sequence[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    for place, names in parts:
        if names:
            yield place, names.split("/")
        else:
            yield from _files(root, place)


def _smaller(root: str, directory: str) -> Iterator[tuple[str, str]]:
    for place, names in _opened(root, directory):
        if not names:
            yield place, ""
        for start in range(0, len(names), _PAGE):
            yield place, "/".join(names[start : start + _PAGE])


def _look(root: str, directory: str, names: list[str], page: Page) -> None:
    """Add files of a directory to a page, but for those that went since."""
    try:
        fd = os.open(f"{root}/{directory}", os.O_RDONLY | os.O_DIRECTORY)  # a short way to each of very many
    except _GONE:
        return
    except PermissionError:
        raise ClosedDirectory(directory) from None
    try:
        try:
            found = [os.stat(name, dir_fd=fd, follow_symlinks=False) for name in names]
        except _GONE:
            there = {name: status for name in names if (status := _status(name, fd)) is not None}
            names, found = list(there), list(there.values())
    except PermissionError:
        raise ClosedDirectory(directory) from None
    finally:
        os.close(fd)
    page.keys.extend([directory + name for name in names])
    page.sizes.extend([each.st_size if stat.S_ISREG(each.st_mode) else None for each in found])
    page.written.extend([each.st_mtime for each in found])


def _status(name: str, directory: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except _GONE:
        return None


def _names(directory: Path | str) -> list[str]:
    """What is in a directory, in the order that keys have: a directory sorts by its name with a slash."""
    try:
        with os.scandir(directory) as entries:
            found = [entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name for entry in entries]
    except _GONE:
        return []
    return sorted(found) if "".join(found).isascii() else sorted(found, key=os.fsencode)


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
        if (link := _link_on_the_way(goal, root)) is not None:
            raise BehindLink(link)
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
    _tidy(root, key)
    return True


def _link_on_the_way(path: Path, root: Path) -> Path | None:
    """The first directory between a root and a path that is a link; None if there is none."""
    return next((each for each in reversed(path.parents) if root in each.parents and each.is_symlink()), None)


def _remove(root: Path, key: str) -> None:
    """Delete a file. It may be gone. Raises OSError."""
    path = root / key
    with contextlib.suppress(*_GONE):
        path.unlink()
        sync_directory(path.parent)
    _tidy(root, key)


def _tidy(root: Path, key: str) -> None:
    """Take away those directories of the trash that an object was in and that are empty now. Raises OSError."""
    for parent in (root / key).parents if key.startswith(_TRASH) else ():
        if parent == root / _TRASH:
            return
        try:
            parent.rmdir()
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return
            if not isinstance(error, FileNotFoundError):
                raise
