"""A directory as a store: files that are durable on return, pointers replaced under a lock."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from pointsman.durable import make_directory, sync_directory, write_durably
from pointsman.errors import MovedFirst, Unreachable
from pointsman.store.base import Held


class FileStore:
    """A directory. Keys are valid names joined by slashes. The path is that of the URL, not percent-decoded."""

    at_once = 1  # there is one disk, and tests check the order of its fsyncs
    reads_at_once = 4

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        self.url = url

    def _path(self, key: str) -> Path:
        return self.root / key

    def read(self, key: str) -> Held | None:
        """The object under `key`; None if there is none."""
        with self._trouble("read", key):
            try:
                fd = os.open(self._path(key), os.O_RDONLY)
            except (FileNotFoundError, NotADirectoryError):
                return None
            with open(fd, "rb") as file:
                return Held(file.read(), _tag(os.fstat(fd)))

    def digest(self, key: str) -> tuple[int, str] | None:
        """Size in bytes and SHA-256 of the object under `key`, read in pieces; None if there is none."""
        with self._trouble("read", key):
            try:
                fd = os.open(self._path(key), os.O_RDONLY)
            except (FileNotFoundError, NotADirectoryError):
                return None
            with open(fd, "rb", buffering=0) as file:
                return os.fstat(fd).st_size, hashlib.file_digest(file, "sha256").hexdigest()

    def size(self, key: str) -> int | None:
        """Size in bytes of the object under `key`; None if there is none."""
        with self._trouble("read", key):
            try:
                return self._path(key).stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return None

    def written(self, key: str) -> float | None:
        """When the object under `key` was written, by the file system's clock; None if there is none."""
        with self._trouble("read", key):
            try:
                return self._path(key).stat().st_mtime
            except (FileNotFoundError, NotADirectoryError):
                return None

    def writer(self, key: str) -> str | None:
        """The user who owns the file under `key`; None if there is none."""
        with self._trouble("read", key):
            try:
                owner = self._path(key).stat().st_uid
            except (FileNotFoundError, NotADirectoryError):
                return None
        import pwd

        try:
            return pwd.getpwuid(owner).pw_name
        except KeyError:
            return f"uid {owner}"

    def create(self, key: str, data: bytes) -> bool:
        """Put `data` under `key` if there is no object. False if there is one: read it. Durable either way."""
        path = self._path(key)
        with self._trouble("write", key):
            make_directory(path.parent)
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
            except (FileNotFoundError, NotADirectoryError):
                return False
            sync_directory(path.parent)
            return True

    def _create(self, path: Path, data: bytes) -> bool:
        # The file has no name until it is complete, so a crash leaves nothing behind.
        try:
            fd = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o644)
        except (AttributeError, OSError):
            return self._create_named(path, data)
        try:
            write_durably(fd, data)
            try:
                # With src_dir_fd Python calls linkat(AT_SYMLINK_FOLLOW), which /proc needs. link() would fail.
                os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd, follow_symlinks=True)
            except FileExistsError:
                return False
            return True
        finally:
            os.close(fd)

    def _create_named(self, path: Path, data: bytes) -> bool:
        # Without O_TMPFILE: the file is completed under another name, in a directory where nobody looks for blobs.
        scratch = self.root / ".pointsman" / "scratch"
        make_directory(scratch)
        temporary = scratch / secrets.token_hex(8)
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            try:
                write_durably(fd, data)
            finally:
                os.close(fd)
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            return True
        finally:
            temporary.unlink(missing_ok=True)

    # serving pointers; the caller holds `locked`

    def replace(self, key: str, data: bytes, *, was: str | None) -> None:
        """Put `data` under `key` if its tag is still `was` (None: no object); MovedFirst if not. Durable on return."""
        path = self._path(key)
        with self._trouble("write", key):
            now = self._tag_of(path)
            if now != was:
                raise MovedFirst(f"{self.url}/{key} was written by someone else meanwhile: run the command again")
            make_directory(path.parent)
            temporary = self._path(self._lock_directory) / "next"
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            try:
                write_durably(fd, data)
            finally:
                os.close(fd)
            os.replace(temporary, path)
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
            return _tag(path.stat())
        except (FileNotFoundError, NotADirectoryError):
            return None

    _lock_directory = ""

    @contextlib.contextmanager
    def locked(self, directory: str) -> Iterator[None]:
        """Be the only writer of pointers below `directory` (a key prefix). Waits for the lock."""
        self._lock_directory = f"{directory}.pointsman"
        with self._trouble("lock", directory):
            make_directory(self._path(self._lock_directory))
            fd = os.open(self._path(self._lock_directory) / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def still(self, tags: Mapping[str, str]) -> bool:
        """True, because every writer of pointers holds the lock."""
        return True

    def keys(self, prefix: str, depth: int) -> Iterator[str]:
        """Every key exactly `depth` names below the directory `prefix`. Names that begin with a dot are left out."""
        with self._trouble("list", prefix):
            yield from self._keys(prefix, depth)

    def _keys(self, prefix: str, depth: int) -> Iterator[str]:
        try:
            with os.scandir(self._path(prefix)) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in found:
            if entry.name.startswith("."):
                continue
            if depth == 1:
                if not entry.is_dir():
                    yield prefix + entry.name
            elif entry.is_dir():
                yield from self._keys(f"{prefix}{entry.name}/", depth - 1)

    @contextlib.contextmanager
    def _trouble(self, verb: str, key: str) -> Iterator[None]:
        """Turn an OSError into Unreachable with the key and what to do."""
        try:
            yield
        except OSError as error:
            hint = {
                errno.ENOSPC: "the disk is full: make room and run again",
                errno.EFBIG: "a file may not grow that large here: raise the limit (ulimit -f) and run again",
                errno.EDQUOT: "the quota is used up: make room and run again",
                errno.EACCES: "no permission: check the owner and mode of the directory",
                errno.EPERM: "no permission: check the owner and mode of the directory",
                errno.EROFS: "the file system is read-only: mount it for writing and run again",
                errno.ENAMETOOLONG: "the name is too long for this file system",
            }.get(error.errno or 0, os.strerror(error.errno) if error.errno else str(error))
            raise Unreachable(f"cannot {verb} {self.url}/{key}: {hint}") from error


def _sync_file(path: Path) -> None:
    """Make a file durable that another process may just have written: what we write next depends on it."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _tag(stat: os.stat_result) -> str:
    return f"{stat.st_ino}-{stat.st_mtime_ns}-{stat.st_size}"
