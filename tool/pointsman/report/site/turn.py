"""Whose turn it is to write a site: one run at a time works in a directory, and the others wait for it.

The lock is on the directory itself. So no file of it is published, and a run that is killed leaves none.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from pointsman.errors import Problem, Unreachable
from pointsman.files import unwritten
from pointsman.progress import LONG, Progress, waits
from pointsman.timeouts import lock_timeout

_LOOK = 0.05  # seconds between two looks at a lock that another has: no system call waits for one with a limit
# What a file system says that gives no locks: NFS gives none on a directory.
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EINVAL)


@contextlib.contextmanager
def turn(directory: str, progress: Progress) -> Iterator[None]:
    """Make the directory if it is missing, and have it for oneself. Unreachable if another run has it too long.

    Where the file system gives no locks nobody waits.
    """
    began, told = time.monotonic(), False
    until = began + lock_timeout()
    try:
        while (fd := _try(Path(directory))) is None:
            if (now := time.monotonic()) >= until:
                says = "for longer than this one waits (POINTSMAN_LOCK_TIMEOUT): see what it waits for, or end it"
                raise Unreachable(f"another pointsman site works in {directory} {says}")
            if not told:
                progress(f"waiting for another run that works in {directory}")
            told = True
            if now > began + LONG:
                waits(f"another pointsman site works in {directory}", until - now)
            time.sleep(_LOOK)
    except FileExistsError:
        raise Problem(f"{directory} is a file: name a directory") from None
    except OSError as error:
        raise unwritten(error, directory) from error
    try:
        yield
    finally:
        os.close(fd)


def _try(directory: Path) -> int | None:
    """A descriptor that holds the lock of a directory; None if another has it."""
    directory.mkdir(parents=True, exist_ok=True)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return fd
        os.close(fd)
        if isinstance(error, BlockingIOError):
            return None
        raise
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(fd), directory.stat()):
            return fd
    os.close(fd)  # somebody removed it meanwhile: what stands there now is another one
    return None
