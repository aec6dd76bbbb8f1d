"""Work that is shared by several processes, because threads of Python use one core."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
from collections.abc import Callable
from typing import IO, Any, NoReturn, TypeVar

_Found = TypeVar("_Found")
_MOST = 8  # processes


def cores() -> int:
    """How many processes are useful: the processors that this one may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return max(1, min(len(affinity(0)) if affinity is not None else os.cpu_count() or 1, _MOST))


def in_processes(work: Callable[[int], _Found], count: int) -> list[_Found]:
    """What `work` returns for each number below `count`, each in a process of its own but for 0, which is done here.

    The processes are copies of this one. So it may have no other threads yet and no open connection that several would
    use. An exception of `work` is raised here, and the others are ended.
    """
    children: list[tuple[int, IO[bytes]]] = []
    try:
        children.extend(_start(work, number) for number in range(1, count))
        mine = work(0)
        return [mine, *(_received(answer.read()) for _, answer in children)]
    finally:
        for child, answer in children:
            answer.close()
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _start(work: Callable[[int], object], number: int) -> tuple[int, IO[bytes]]:
    """The id of a new process, and what it will send."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_child(work, number, writing)
    os.close(writing)
    return child, open(reading, "rb")


def _be_child(work: Callable[[int], object], number: int, writing: int) -> NoReturn:
    """Send what was found, or what went wrong, and end without anything that the parent will do, too."""
    code = 1
    with contextlib.suppress(BaseException):  # an interrupt is the parent's to tell
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        try:
            sent = pickle.dumps((work(number), None))
        except Exception as error:  # noqa: BLE001 - it is raised again in the parent
            sent = pickle.dumps((None, error))
        with open(writing, "wb") as pipe:
            pipe.write(sent)
        code = 0
    os._exit(code)


def _received(sent: bytes) -> Any:
    if not sent:
        raise RuntimeError("a process that read a part of the blobs was killed")
    found, error = pickle.loads(sent)  # noqa: S301 - our own child sent it
    if error is not None:
        raise error
    return found
