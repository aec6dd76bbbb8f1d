"""Our own names in a directory store: the directory `.pointsman`, its locks, and the modes of what we make.

Whoever may write there can plant a link under one of these names. It is never followed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from pointsman.durable import make_directory, sync_directory
from pointsman.errors import Unreachable
from pointsman.files import NoPlainFile, open_file
from pointsman.patterns import pattern
from pointsman.progress import LONG, waits
from pointsman.timeouts import lock_timeout

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_LOOK = 0.05  # seconds between two looks at a lock that another has: no system call waits for one with a limit
BEGUN = r"new-[0-9a-f]{16}"  # an object before it has its name, where a file cannot be without one
_begun = pattern(BEGUN)
_DAY = 86400  # seconds, after which what is begun was begun by a process that was killed
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)


@contextlib.contextmanager
def own_directory(path: Path, root: Path) -> Iterator[int]:
    """A descriptor of one of our own directories below `root`, which is made if it is missing."""
    make_like_parent(path, root)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except NotADirectoryError:
        raise NoPlainFile(path, "something that is no directory") from None
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def lock(name: str, directory: int, url: str) -> Iterator[None]:
    """Hold the lock file `name` of one of our own directories. `url`: the store, for a sentence.

    Waits for it; Unreachable when the time for that is over (POINTSMAN_LOCK_TIMEOUT).
    """
    how = os.O_RDWR | os.O_NOFOLLOW
    try:
        fd, _ = open_file(name, how, directory=directory)
    except FileNotFoundError:
        fd, _ = open_file(name, how | os.O_CREAT, directory=directory)
        as_readable_as(directory, fd, writable=True)
    try:
        began = time.monotonic()
        until = began + lock_timeout()
        while not _is_ours(fd, url, until):
            if (now := time.monotonic()) > began + LONG:
                waits(f"another command holds the lock of {url}", until - now)
            time.sleep(_LOOK)
        yield
    finally:
        os.close(fd)


def _is_ours(fd: int, url: str, until: float) -> bool:
    """Whether the lock could be had; Unreachable if it never can be, or if another process has it past `until`."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        if time.monotonic() < until:
            return False
        says = f"another command holds the lock of {url} for longer than this one waits (POINTSMAN_LOCK_TIMEOUT)"
        raise Unreachable(f"{says}: see what it waits for, or end it; running again goes on from there") from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        says = f"the file system of {url} gives no locks ({errno.errorcode[error.errno]}): on NFS start its lock "
        raise Unreachable(f"{says}service (rpc.statd), or use another file system or a bucket as store") from error
    return True


def open_new(name: str, directory: int) -> int:
    """A new file in one of our own directories, to be renamed: only its owner can read it as yet.

    What stands under its name, left by a crash or planted, is taken away unopened.
    """
    with contextlib.suppress(FileExistsError):
        return os.open(name, _NEW, 0o600, dir_fd=directory)
    os.unlink(name, dir_fd=directory)
    return os.open(name, _NEW, 0o600, dir_fd=directory)


def open_begun(directory: int) -> tuple[str, int]:
    """A new file for an object in the making, and its name. Old ones that a killed process left are deleted."""
    name = f"new-{os.urandom(8).hex()}"
    fd = open_new(name, directory)
    old = os.fstat(fd).st_mtime - _DAY
    for each in filter(_begun.fullmatch, os.listdir(directory)):
        with contextlib.suppress(OSError):
            if os.stat(each, dir_fd=directory, follow_symlinks=False).st_mtime < old:
                os.unlink(each, dir_fd=directory)
    return name, fd


def make_like_parent(path: Path, root: Path) -> None:
    """Like `mkdir -p`, durably. Each new directory below `root` has the mode of the one that it is in."""
    if path.is_dir():
        return
    if path == root:
        make_directory(path)
        return
    make_like_parent(path.parent, root)
    with contextlib.suppress(FileExistsError):
        path.mkdir()
        with contextlib.suppress(OSError):  # not every file system has modes
            path.chmod(path.parent.stat().st_mode & 0o2775 | 0o700)
    sync_directory(path.parent)


def as_readable_as(directory: Path | int, fd: int, *, writable: bool = False) -> None:
    """Give a new file the readers (`writable`: and writers) of the directory that it goes into, whatever the umask."""
    mode = os.stat(directory).st_mode
    with contextlib.suppress(OSError):  # not every file system has modes
        os.fchmod(fd, mode & (0o664 if writable else 0o444) | 0o600)
