"""A directory as a store: files that are durable on return, pointers replaced under a lock.

Only regular files are objects. A directory, a pipe or a device under a key has no size and no digest, and whoever reads
or writes it is told what stands there (Blocked). Nothing is written through a link.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from pointsman.durable import sync_directory, write_durably
from pointsman.errors import Blocked, MovedFirst, NoAnswer, Unreachable
from pointsman.files import NO_LINKS, NO_ROOM, NoPlainFile, open_file, read_upto
from pointsman.store.base import MOST_OF_A_BLOB, MOST_OF_A_POINTER, Held
from pointsman.store.closed import Closed, ClosedDirectory, no_permission, pass_by
from pointsman.store.file_moves import FileMoves
from pointsman.store.file_tags import Tags, tag_of
from pointsman.store.own import as_readable_as, lock, make_like_parent, open_begun, open_new, own_directory

_ABSENT = (FileNotFoundError, NoPlainFile)
_HINTS = {
    **NO_ROOM,
    errno.EROFS: "the file system is read-only: mount it for writing and run again",
    errno.ENAMETOOLONG: "the name is too long for this file system",
    errno.ENOTDIR: "a file stands where a directory of it should be: take it away",
    errno.EEXIST: "a file stands where a directory of it should be: take it away",
    errno.EISDIR: "a directory stands there, not a file: take it away",
    errno.EXDEV: "these two places are on different file systems: a store, with its .pointsman, belongs on one",
    errno.EIO: "the disk has an error there: look at its health, and put back what it lost",
    errno.ELOOP: "a symbolic link on the way to it leads back to itself: take it away",
}
# What is in the way of one key, and says nothing of the others.
_OF_ONE_KEY = (
    errno.EINVAL, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ELOOP,
)  # fmt: skip

_AT_ONE_GO = 1 << 20  # bytes; the buffer of hashlib.file_digest costs more than to read a small file


class FileStore(FileMoves):
    """A directory. Keys are valid names joined by slashes. The path is that of the URL, not percent-decoded."""

    at_once = 1  # there is one disk, and tests check the order of its fsyncs
    reads_at_once = 4

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        self._root = os.fspath(root)
        self.url = url
        self._has_links = True  # until link() says otherwise
        self._locked: int | None = None  # descriptor of the directory `.pointsman` whose lock we hold
        self._tags = Tags(root, url)

    def _path(self, key: str) -> Path:
        return self.root / key

    def _name(self, key: str) -> str:
        """The same as text: where very many files are read, to make a Path costs as much as to read one."""
        return f"{self._root}/{key}"

    def read(self, key: str, most: int = MOST_OF_A_POINTER) -> Held | None:
        """The object under `key`, and of one that is longer than `most` bytes one byte too many; None if none."""
        with self._trouble("read", key):
            try:
                fd, _ = open_file(self._name(key))
            except FileNotFoundError:
                return None
            with open(fd, "rb", buffering=0):
                return Held(read_upto(fd, most), tag_of(os.fstat(fd)))

    def digest(self, key: str, most: int = MOST_OF_A_BLOB) -> tuple[int, str] | None:
        """Size in bytes and SHA-256 ("" beyond `most` bytes) of the object under `key`; None if there is none."""
        with self._trouble("read", key):
            try:
                fd, status = open_file(self._name(key))
            except _ABSENT:
                return None
            with open(fd, "rb", buffering=0) as file:
                if status.st_size > most:
                    return status.st_size, ""
                if status.st_size <= _AT_ONE_GO:
                    data = read_upto(fd, status.st_size)
                    return len(data), hashlib.sha256(data).hexdigest()
                return status.st_size, hashlib.file_digest(file, "sha256").hexdigest()

    def size(self, key: str) -> int | None:
        """Size in bytes of the object under `key`; None if there is none."""
        status = self._status(key)
        return status.st_size if status is not None else None

    def written(self, key: str) -> float | None:
        """When the object under `key` was written, by the file system's clock; None if there is none."""
        status = self._status(key)
        return status.st_mtime if status is not None else None

    def writer(self, key: str) -> str | None:
        """The user who owns the file under `key`; None if there is none."""
        status = self._status(key)
        if status is None:
            return None
        import pwd

        try:
            return pwd.getpwuid(status.st_uid).pw_name
        except KeyError:
            return f"uid {status.st_uid}"

    def _status(self, key: str) -> os.stat_result | None:
        with self._trouble("read", key):
            try:
                status = os.stat(self._name(key))
            except _ABSENT:
                return None
            return status if stat.S_ISREG(status.st_mode) else None

    def create(self, key: str, data: bytes) -> bool:
        """Put `data` under `key` if there is no object. False if there is one: read it. Durable either way."""
        path = self._path(key)
        with self._trouble("write", key):
            make_like_parent(path.parent, self.root)
            created = not path.exists() and self._create(path, data)
            if not created:
                _sync_file(path)
            sync_directory(path.parent)
            return created

    def keep(self, key: str) -> bool:
        """Make the object under `key`, which was read, durable as if we had put it there. False if there is none."""
        path = self._path(key)
        with self._trouble("write", key):
            try:
                _sync_file(path)
            except _ABSENT:
                return False
            sync_directory(path.parent)
            return True

    def _create(self, path: Path, data: bytes) -> bool:
        # The file has no name until it is complete, so a crash leaves nothing behind.
        try:
            fd = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o644) if self._has_links else -1
        except (AttributeError, OSError):
            fd = -1
        if fd < 0:
            return self._create_named(path, data)
        try:
            as_readable_as(path.parent, fd)
            write_durably(fd, data)
            try:
                # With src_dir_fd Python calls linkat(AT_SYMLINK_FOLLOW), which /proc needs. link() would fail.
                os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd, follow_symlinks=True)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                self._has_links = False
        finally:
            os.close(fd)
        return self._has_links or self._create_named(path, data)

    def _create_named(self, path: Path, data: bytes) -> bool:
        # Without O_TMPFILE: the file is completed under another name, in a directory where nobody looks for blobs.
        with own_directory(self.root / ".pointsman", self.root) as own:
            name, fd = open_begun(own)
            try:
                try:
                    as_readable_as(path.parent, fd)
                    write_durably(fd, data)
                finally:
                    os.close(fd)
                if not self._has_links:
                    return self._rename_new(name, own, path)
                try:
                    os.link(name, path, src_dir_fd=own)
                except FileExistsError:
                    return False
                except OSError as error:
                    if error.errno not in NO_LINKS:
                        raise
                    self._has_links = False
                    return self._rename_new(name, own, path)
                return True
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=own)

    def _rename_new(self, name: str, own: int, path: Path) -> bool:
        # A rename would overwrite, so whoever creates without links looks first, and only one does so at a time.
        with lock("creates", own, self.url):
            if os.path.lexists(path):
                return False
            os.rename(name, path, src_dir_fd=own)
            return True

    # serving pointers; the caller holds `locked`

    def replace(self, key: str, data: bytes, *, was: str | None) -> None:
        """Put `data` under `key` if its tag is still `was` (None: no object); MovedFirst if not. Durable on return."""
        path = self._path(key)
        with self._trouble("write", key):
            if self._tag_of(path) != was:
                raise MovedFirst(f"{self.url}/{key} was written by someone else meanwhile: run the command again")
            make_like_parent(path.parent, self.root)
            assert self._locked is not None, "pointers are written under the lock"
            fd = open_new("next", self._locked)
            try:
                as_readable_as(path.parent, fd)
                write_durably(fd, data)
            finally:
                os.close(fd)
            os.replace("next", path, src_dir_fd=self._locked)
            sync_directory(path.parent)

    def delete(self, key: str, *, was: str) -> None:
        """Delete the object under `key` if its tag is still `was`; MovedFirst if not. Durable on return."""
        path = self._path(key)
        with self._trouble("write", key):
            if self._tag_of(path) != was:
                raise MovedFirst(f"{self.url}/{key} was written by someone else meanwhile: run the command again")
            path.unlink()
            sync_directory(path.parent)

    def _tag_of(self, path: Path) -> str | None:
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):
            raise NoPlainFile.of(path, status)
        return tag_of(status)

    @contextlib.contextmanager
    def locked(self, directory: str) -> Iterator[None]:
        """Be the only writer of pointers below `directory` (a key prefix). Waits for the lock."""
        with contextlib.ExitStack() as stack:
            with self._trouble("lock", f"{directory}.pointsman/lock"):
                own = stack.enter_context(own_directory(self._path(f"{directory}.pointsman"), self.root))
                stack.enter_context(lock("lock", own, self.url))
            self._locked = own
            try:
                yield
            finally:
                self._locked = None

    def still(self, tags: Mapping[str, str]) -> bool:
        """Whether each key still has the tag it was read with."""
        found = ((self._status(key), tag) for key, tag in tags.items())
        return all(status is not None and tag_of(status) == tag for status, tag in found)

    def keys(self, prefix: str, depth: int, closed: Closed | None = None) -> Iterator[str]:
        """Every key exactly `depth` names below the directory `prefix`. Names that begin with a dot are left out.

        `closed` gets the directories that cannot be listed; without it, Blocked.
        """
        with self._trouble("list", prefix):
            yield from _keys(self, prefix, depth, closed)

    def tags(
        self, depth: int, others: Collection[str], name: str = "", closed: Closed | None = None
    ) -> Mapping[str, str | None]:
        """The tag of every key that `keys("", depth)` gives, and of those of `others` that are there.

        `name`: only of those that end with this name. None: the file is so new that its tag may stay the same if it is
        written again. `closed` gets the directories that cannot be listed; without it, Blocked.
        """
        with self._trouble("list", ""):
            return self._tags.of(depth, others, name, closed)

    @contextlib.contextmanager
    def _trouble(self, verb: str, key: str) -> Iterator[None]:
        """Turn an OSError into Unreachable with the key and what to do; Blocked if it is about this key alone."""
        try:
            yield
        except OSError as error:
            kind = Blocked if error.errno in _OF_ONE_KEY else NoAnswer if error.errno == errno.EIO else Unreachable
            key = error.key if isinstance(error, ClosedDirectory) else key
            raise kind(f"cannot {verb} {self.url}/{key}: {_hint(error, self._path(key))}") from error


def _keys(store: FileStore, prefix: str, depth: int, closed: Closed | None) -> Iterator[str]:
    try:
        with os.scandir(store.root / prefix) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except PermissionError:
        pass_by(prefix, store.url, store.root, closed)
        return
    for entry in found:
        if entry.name.startswith("."):
            continue
        if depth == 1:
            if entry.is_file():
                yield prefix + entry.name
        elif entry.is_dir():
            yield from _keys(store, f"{prefix}{entry.name}/", depth - 1, closed)


def _sync_file(path: Path) -> None:
    """Make a file durable that another process may just have written: what we write next depends on it."""
    try:
        fd, _ = open_file(path)
    except FileNotFoundError:
        if path.is_symlink():
            raise NoPlainFile(path, "a symbolic link that leads nowhere") from None
        raise
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _hint(error: OSError, path: Path) -> str:
    """What is wrong, and what to do about it."""
    if isinstance(error, NoPlainFile):
        return str(error.strerror)
    if error.errno in (errno.ENOTDIR, errno.EEXIST) and (file := _file_on_the_way(path)) is not None:
        return f"{file} is a file, and a directory of the store should stand there: take it away"
    if error.errno in (errno.EACCES, errno.EPERM):
        return no_permission(path)
    return _HINTS.get(error.errno or 0) or error.strerror or str(error)


def _file_on_the_way(path: Path) -> Path | None:
    """The first on the way to a path, and with it, that is no directory; None if all are, by now."""
    return next((each for each in (*reversed(path.parents), path) if os.path.lexists(each) and not each.is_dir()), None)
