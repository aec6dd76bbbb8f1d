"""How a long command reports progress: lines with --verbose, a bar on a terminal; and everywhere what it waits for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Protocol


class Progress(Protocol):
    """Receives the progress of a verb."""

    def __call__(self, line: str) -> None:
        """One step is done; `line` says which."""

    def counted(self, what: str, done: int, total: int | None) -> None:
        """`done` of `total` are done; `what` is a plural such as "blobs read". `total` is None if it is not known."""


class Silence:
    """Ignores all progress."""

    def __call__(self, line: str) -> None:
        return

    def counted(self, what: str, done: int, total: int | None) -> None:
        return


SILENCE = Silence()
LONG = 1.0  # seconds; who waits longer than that for somebody else says so

_tell: Callable[[str, float], None] | None = None


@contextlib.contextmanager
def telling(tell: Callable[[str, float], None]) -> Iterator[None]:
    """Give each wait for somebody else to `tell`, once: what is waited for, and for how many seconds at most."""
    global _tell  # noqa: PLW0603 - one process speaks for one command line, and who waits is far from it
    told: set[str] = set()

    def once(why: str, seconds: float) -> None:
        if why not in told:
            told.add(why)
            tell(why, seconds)

    before, _tell = _tell, once
    try:
        yield
    finally:
        _tell = before


def waits(why: str, seconds: float) -> None:
    """Say what this command waits for, and for how many seconds from now at most. Not for waits of less than `LONG`."""
    if _tell is not None:
        _tell(why, seconds)


@contextlib.contextmanager
def waiting(why: str, seconds: float) -> Iterator[None]:
    """Say what this block waits for if it takes longer than `LONG`. It must end by itself within `seconds`."""
    if _tell is None or seconds <= LONG:
        yield
        return
    late = threading.Timer(LONG, waits, (why, seconds - LONG))
    late.daemon = True
    late.start()
    try:
        yield
    finally:
        late.cancel()
        late.join()  # nothing is said after the block
