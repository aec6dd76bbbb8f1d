"""Lines of logs: from files and pipes, to their end or for as long as they come."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from pointsman.errors import Problem
from pointsman.state.log_line import MOST

STDIN = "-"
LONG = b"\n"  # stands for a line that is too long; no line has a line feed in it
_AT_ONCE = 1 << 16  # bytes
_READ = os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK  # a named pipe that nobody writes to yet is opened all the same
_PAUSE = 1.0  # seconds between two looks at files that are followed, and at what stops it


class Sources:
    """The lines of some files and pipes. None now and then while there are none, so that others get their turn.

    A file that is followed may be moved away and made anew, or be cut: it is opened again. Problem if one cannot be
    read.
    """

    def __init__(self, names: Sequence[str], follow: bool, stopped: Callable[[], bool]) -> None:
        self._follow = follow
        self._stopped = stopped
        self._open: list[_Source] = []
        with contextlib.ExitStack() as stack:
            for name in dict.fromkeys(names or (STDIN,)):
                self._open.append(_Source(name))
                stack.callback(self._open[-1].close)
            self._close = stack.pop_all()

    def __enter__(self) -> Sources:
        return self

    def __exit__(self, *_: object) -> None:
        self._close.close()

    def __iter__(self) -> Iterator[bytes | None]:
        while self._open and not self._stopped():
            came = False
            for source in list(self._open):
                data = source.read()
                if data:
                    came = True
                    yield from source.lines(data)
                elif data is not None and not (self._follow and source.is_file):  # its end
                    yield from source.rest()
                    self._open.remove(source)
                    came = True
                elif data is not None and source.is_moved():
                    yield from source.reopen()
                    came = True
            yield None
            if not came:
                self._wait()
        for source in self._open:
            yield from source.rest()

    def _wait(self) -> None:
        pipes = [source.fd for source in self._open if not source.is_file]
        if pipes:
            select.select(pipes, [], [], _PAUSE)
        else:
            time.sleep(_PAUSE)


class _Source:
    """One file or pipe, and the part of a line that has come so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fd = -1
        self._part = b""
        self._skips = False  # until the end of a line that is too long
        with self._trouble():
            self.fd = sys.stdin.fileno() if name == STDIN else os.open(name, _READ)
            self.is_file = stat.S_ISREG(os.fstat(self.fd).st_mode)

    def close(self) -> None:
        if self.name != STDIN and self.fd >= 0:
            os.close(self.fd)

    def read(self) -> bytes | None:
        """What is there to read: nothing at its end, None if a pipe has nothing yet."""
        with self._trouble():
            if not self.is_file and not select.select([self.fd], [], [], 0)[0]:
                return None
            return os.read(self.fd, _AT_ONCE)

    def lines(self, data: bytes) -> Iterator[bytes]:
        """The lines that end in what was read."""
        *ended, part = (self._part + data).split(b"\n")
        for line in ended:
            if self._skips or len(line) > MOST:
                yield LONG
                self._skips = False
            elif line.strip():
                yield line
        if len(part) > MOST:
            self._skips, part = True, b""
        self._part = part

    def rest(self) -> Iterator[bytes]:
        """A last line that has no end."""
        if self._skips:
            yield LONG
        elif self._part.strip():
            yield self._part
        self._part, self._skips = b"", False

    def is_moved(self) -> bool:
        """Whether another file stands under its name, or it was cut."""
        try:
            now, here = os.stat(self.name), os.fstat(self.fd)
        except OSError:  # it is being moved: the next look finds the new one
            return False
        if (now.st_dev, now.st_ino) == (here.st_dev, here.st_ino):
            return here.st_size < os.lseek(self.fd, 0, os.SEEK_CUR)
        return stat.S_ISREG(now.st_mode)

    def reopen(self) -> Iterator[bytes]:
        """The last lines of the file as it was; from then on those of the one that stands there now."""
        while data := self.read():
            yield from self.lines(data)
        yield from self.rest()
        with contextlib.suppress(OSError):
            new = os.open(self.name, _READ)
            os.close(self.fd)
            self.fd = new

    @contextlib.contextmanager
    def _trouble(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            says = getattr(error, "strerror", None) or "it cannot be read"
            raise Problem(f"{self.name if self.name != STDIN else 'standard input'}: {says}") from error
