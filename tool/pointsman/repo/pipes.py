"""The pipes of a git: what is read from them has an end, in time and in bytes.

A git may speak for another machine, which floods, drips, or says nothing for ever. What git started itself, such as
ssh, may hold its pipes open after it was killed.
"""

from __future__ import annotations

import contextlib
import io
import os
import selectors
import signal
import subprocess
import time
from typing import IO

from pointsman.progress import LONG, waits

_CHUNK = 1 << 16  # bytes
_AT_A_TIME = 4096  # bytes that a pipe takes without waiting, if it takes any (POSIX, PIPE_BUF)
_MOST_OF_WORDS = 1 << 15  # bytes of the beginning, and of the end, of what goes to stderr
_LAST_WORDS = 1.0  # seconds


class TooMuch(Exception):
    """More came than its reader has use for."""


class Patient(io.RawIOBase):
    """A pipe to read from. TimeoutError after so many seconds without a byte."""

    def __init__(self, fd: int, seconds: float) -> None:
        super().__init__()
        self._fd = fd
        self._seconds = seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with selectors.DefaultSelector() as ready:
            ready.register(self._fd, selectors.EVENT_READ)
            if not ready.select(min(LONG, self._seconds)):
                if (left := self._seconds - LONG) > 0:
                    waits("git fetches contents that this clone lacks", left)
                if not ready.select(max(0.0, left)):
                    raise TimeoutError
        return os.readv(self._fd, [buffer])


def exchange(
    process: subprocess.Popen[bytes], given: bytes | None, seconds: float | None, most: int | None
) -> tuple[bytes, bytes]:
    """Send `given` and wait for the end; all of stdout, and the beginning and the end of stderr.

    TimeoutError after so many seconds, TooMuch if stdout has more than `most` bytes.
    """
    until = time.monotonic() + seconds if seconds is not None else None
    out, err, rest = bytearray(), bytearray(), memoryview(given or b"")
    stdin, stdout, stderr = _pipes(process)
    with selectors.DefaultSelector() as ready:
        for pipe, event in (
            (stdin, selectors.EVENT_WRITE),
            (stdout, selectors.EVENT_READ),
            (stderr, selectors.EVENT_READ),
        ):
            ready.register(pipe, event)
        while ready.get_map():
            for key, _ in ready.select(_left(until)):
                if key.fileobj is stdin:
                    rest = _send(stdin, rest)
                    piece = bytes(rest[:1])
                else:
                    piece = os.read(key.fd, _CHUNK)
                    (out if key.fileobj is stdout else err).extend(piece)
                if not piece:
                    ready.unregister(key.fileobj)
                    if key.fileobj is stdin:
                        _close(stdin)
            if most is not None and len(out) > most:
                raise TooMuch
            del err[_MOST_OF_WORDS:-_MOST_OF_WORDS]
    stdout.close()
    stderr.close()
    try:
        process.wait(_left(until))
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    return bytes(out), bytes(err)


def last_words(stderr: IO[bytes]) -> bytes:
    """What a process that has ended left there. Does not wait for long if others have the pipe open."""
    err, until = bytearray(), time.monotonic() + _LAST_WORDS
    with selectors.DefaultSelector() as ready:
        ready.register(stderr, selectors.EVENT_READ)
        while ready.select(max(0.0, until - time.monotonic())) and (piece := os.read(stderr.fileno(), _CHUNK)):
            err += piece
            del err[_MOST_OF_WORDS:-_MOST_OF_WORDS]
    return bytes(err)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and what it started, such as ssh, which would go on for as long as the other side does."""
    started = [process.pid]
    for pid in started:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children") as children:
            started += map(int, children.read().split())
    process.kill()
    for pid in started[1:]:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and leave its pipes."""
    kill(process)
    for pipe in _pipes(process):
        _close(pipe)
    process.wait()


def _left(until: float | None) -> float | None:
    if until is None:
        return None
    if (left := until - time.monotonic()) <= 0:
        raise TimeoutError
    return left


def _send(stdin: IO[bytes], rest: memoryview) -> memoryview:
    """What is left to send; nothing if nobody reads it."""
    try:
        return rest[os.write(stdin.fileno(), rest[:_AT_A_TIME]) :]
    except BrokenPipeError:
        return rest[:0]


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except OSError:  # what was to be flushed has no reader
        return


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    return process.stdin, process.stdout, process.stderr
