"""Standard input, output and error: there from the start, and one place that knows when output was lost."""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TextIO

# What stands in for a stream that was closed. Output that goes nowhere is lost, and whoever writes it is told: EBADF.
_IN_ITS_PLACE = (os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)


class NotWritten(OSError):
    """Standard output did not take what was written: `errno` and `strerror` say why."""


class _Output(io.FileIO):
    """Writes all or raises NotWritten, also where the other side made the pipe one that does not wait."""

    def write(self, data: object) -> int:
        try:
            while (count := super().write(data)) is None:  # type: ignore[arg-type]
                select.select((), (self,), ())
        except OSError as error:
            raise NotWritten(error.errno, error.strerror) from error
        return count


class _Errors(io.FileIO):
    """Writes what can be written: no command stops, or ends otherwise, because nobody can be told of something."""

    def write(self, data: object) -> int:
        try:
            count = super().write(data)  # type: ignore[arg-type]
        except OSError:
            count = None
        return len(memoryview(data)) if count is None else count  # type: ignore[arg-type]


def prepare() -> None:
    """Open what was closed at the start, so that no file that is written gets its number, and watch over the rest."""
    for number, flags in enumerate(_IN_ITS_PLACE):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # the lowest number that is free, which is this one
            os.set_inheritable(number, True)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8")
    sys.stdout = output(1, sys.stdout)
    sys.stderr = _text(_Errors(2, "w", closefd=False), sys.stderr, line_buffering=True)


def output(number: int, like: TextIO | None = None) -> TextIO:
    """Text on a descriptor that raises NotWritten, encoded as `like` is."""
    return _text(_Output(number, "w", closefd=False), like, line_buffering=getattr(like, "line_buffering", False))


def _text(raw: io.FileIO, like: TextIO | None, *, line_buffering: bool) -> TextIO:
    encoding, errors = (like.encoding, like.errors) if like is not None else ("utf-8", "backslashreplace")
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors, line_buffering=line_buffering)


def give_up_output() -> None:
    """What is still to be written goes nowhere: Python must not complain of it once more at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    sys.stdout.flush()
