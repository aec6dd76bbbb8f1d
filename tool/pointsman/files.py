"""Files that others may have put there: only regular files are opened, and none is written through its name.

Whoever may write into a directory can plant a pipe, which blocks its reader, a device, which never ends, or a link to a
file of somebody else. Each is an OSError here, whose text says what stands there.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from pointsman.errors import Problem, Unreachable

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a symbolic link",
}
# What link() answers where a file system has no hard links: gcsfuse, SMB, exFAT, virtiofs.
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
_NO_FILE = (errno.EISDIR, errno.ENXIO, errno.ELOOP)  # what open says of a directory, a socket, a link with O_NOFOLLOW


class NoPlainFile(OSError):
    """Something else than a regular file stands under a name."""

    def __init__(self, path: str | Path, kind: str) -> None:
        super().__init__(errno.EINVAL, f"{kind} stands there, not a file: take it away", os.fspath(path))

    @classmethod
    def of(cls, path: str | Path, status: os.stat_result) -> NoPlainFile:
        """The error for what has this status."""
        return cls(path, _KINDS.get(stat.S_IFMT(status.st_mode), "something else"))


# What a disk says that did not take a write, and what to do then.
NO_ROOM = {
    errno.ENOSPC: "the disk is full: make room and run again",
    errno.EFBIG: "a file may not grow that large here: raise the limit (ulimit -f) and run again",
    errno.EDQUOT: "the quota is used up: make room and run again",
}


def unwritten(error: OSError, path: str | Path, verb: str = "write") -> Problem:
    """What stops a command that could not write a file: Unreachable if the disk is to blame, not its name."""
    says = f"cannot {verb} {error.filename or path}: {NO_ROOM.get(error.errno or 0) or error.strerror}"
    return (Unreachable if error.errno in (*NO_ROOM, errno.EIO) else Problem)(says)


def why(error: OSError) -> str:
    """Why a file cannot be read that a user named: what stands there is theirs, and nobody is told to take it away."""
    text = str(error.strerror or error)
    return text.partition(":")[0] if isinstance(error, NoPlainFile) else text


class TooLong(OSError):
    """A file is longer than its reader has use for."""

    def __init__(self, path: str | Path, most: int) -> None:
        super().__init__(errno.EFBIG, f"it has more than {most} bytes, and no more are read", os.fspath(path))


def open_file(
    path: str | Path, flags: int = os.O_RDONLY, mode: int = 0o644, directory: int | None = None
) -> tuple[int, os.stat_result]:
    """A descriptor of a regular file, and its status. NoPlainFile if something else stands there; it never waits.

    `directory`: the descriptor of a directory to which `path` is relative.
    """
    try:
        fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, mode, dir_fd=directory)
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        found = os.stat(path, dir_fd=directory, follow_symlinks=not flags & os.O_NOFOLLOW)
        raise NoPlainFile.of(path, found) from error
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise NoPlainFile.of(path, status)
    return fd, status


def read_file(path: str | Path, most: int) -> bytes:
    """The bytes of a regular file. NoPlainFile, or TooLong for one of more than `most` bytes."""
    fd, _ = open_file(path)
    with open(fd, "rb", buffering=0) as file:
        data = read_upto(file.fileno(), most)
    if len(data) > most:
        raise TooLong(path, most)
    return data


def read_upto(fd: int, most: int) -> bytes:
    """What can be read from a descriptor, and of more than `most` bytes one byte too many."""
    pieces, left = [], most + 1
    while left > 0 and (piece := os.read(fd, min(left, 1 << 24))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def write_new(path: str | Path, data: bytes, mode: int = 0o644) -> None:
    """Make a file. FileExistsError if anything stands there, a link too."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
