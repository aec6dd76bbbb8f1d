"""Make many calls to a store at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def ask_all(function: Callable[[_Item], _Result], items: Sequence[_Item], *, at_once: int) -> Iterator[_Result]:
    """The results in the order of `items`, at most `at_once` calls at a time. After an error no new call starts."""
    if at_once < 2 or len(items) < 2:
        yield from map(function, items)
        return
    from concurrent.futures import ThreadPoolExecutor

    failed = threading.Event()

    def call(group: Sequence[_Item]) -> list[_Result]:
        results = []
        for item in group:
            if failed.is_set():
                raise _NotStarted
            try:
                results.append(function(item))
            except BaseException:
                failed.set()
                raise
        return results

    # Very many items go to the threads in groups: handing over one costs as much as reading a small file.
    group_size = max(1, len(items) // (8 * at_once))
    with ThreadPoolExecutor(min(at_once, len(items))) as pool:
        futures = [pool.submit(call, items[start : start + group_size]) for start in range(0, len(items), group_size)]
        try:
            for future in futures:
                try:
                    yield from future.result()
                except _NotStarted:
                    raise next(error for other in futures if (error := _error(other.exception()))) from None
        finally:
            failed.set()


class _NotStarted(Exception):
    """Another call failed before this one started."""


def _error(error: BaseException | None) -> BaseException | None:
    return None if isinstance(error, _NotStarted) else error
