"""Work that is shared by several processes, because threads of Python use one core."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import IO, Any, NoReturn, TypeVar

from pointsman.errors import trouble_of

_Found = TypeVar("_Found")
_Mine = TypeVar("_Mine")
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
    with contextlib.ExitStack() as children:
        answers = [children.enter_context(_child(partial(map, work, [number]))) for number in range(1, count)]
        mine = work(0)
        return [mine, *(found for answer in answers for found in answer)]


def both(mine: Callable[[], _Mine], other: Callable[[], _Found], *, at_once: bool) -> tuple[_Mine, _Found]:
    """What two functions return. `at_once`: where there are cores for it, the second runs in a copy of this process."""
    if not at_once or cores() == 1:
        return mine(), other()
    with _child(lambda: iter([other()])) as answer:
        return mine(), next(answer)


def shared(mine: Callable[[int], _Found], others: Callable[[], Callable[[int], _Found]], count: int) -> list[_Found]:
    """What a function returns for each number below `count`, in this order: whoever is free takes the next number.

    `mine` works here; `others` makes one that works like it in a copy of this process. `count`: at most 256.
    """
    if cores() == 1 or count < 2:
        return [mine(number) for number in range(count)]
    reading, writing = os.pipe()
    os.write(writing, bytes(range(count)))  # a number is a byte, which only one process can read
    os.close(writing)
    asking = os.getpid()

    def answered(work: Callable[[int], _Found]) -> dict[int, _Found]:
        found = {}
        while asking in (os.getpid(), os.getppid()) and (number := os.read(reading, 1)):  # it may have been killed
            found[number[0]] = work(number[0])
        return found

    with contextlib.ExitStack() as children:
        children.callback(os.close, reading)
        copies = min(cores(), count) - 1
        answers = [children.enter_context(_child(lambda: iter([answered(others())]))) for _ in range(copies)]
        found = answered(mine)
        for answer in answers:
            found.update(next(answer))
    return [found[number] for number in range(count)]


@contextlib.contextmanager
def _child(make: Callable[[], Iterable[_Found]]) -> Iterator[Iterator[_Found]]:
    """What a copy of this process makes, as it comes; the copy is ended with the context."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_child(make, writing)
    os.close(writing)
    with open(reading, "rb") as answer:
        try:
            yield _received(answer)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _be_child(make: Callable[[], Iterable[object]], writing: int) -> NoReturn:
    """Send what is made, or what went wrong, and end without anything that the parent will do, too."""
    import pickle

    code = 1
    with contextlib.suppress(BaseException):  # an interrupt is the parent's to tell
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with open(writing, "wb") as pipe:
            try:
                for each in make():
                    pipe.write(pickle.dumps(("one", each)))
                    pipe.flush()
                last: tuple[str, object] = ("end", None)
            except Exception as error:  # noqa: BLE001 - it is raised again in the parent
                last = ("error", _sendable(error))
            pipe.write(pickle.dumps(last))
        code = 0
    os._exit(code)


def _sendable(error: Exception) -> Exception:
    """The same, or what is to be told of it where nobody can make it again."""
    import pickle

    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception:  # noqa: BLE001 - whatever its class does there
        return trouble_of(error)
    return error


def _received(answer: IO[bytes]) -> Iterator[Any]:
    import pickle

    while True:
        try:
            kind, sent = pickle.load(answer)  # noqa: S301 - our own child sent it
        except (EOFError, pickle.UnpicklingError):
            raise RuntimeError("a process that did a part of the work was killed") from None
        if kind == "error":
            raise sent
        if kind == "end":
            return
        yield sent
