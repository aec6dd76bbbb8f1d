"""Ask a store for many things at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def ask_all(function: Callable[[_Item], _Result], items: Sequence[_Item], *, at_once: int) -> Iterator[_Result]:
    """The results in the order of `items`, at most `at_once` calls at a time; after an error no call is begun."""
    if at_once < 2 or len(items) < 2:
        yield from map(function, items)
        return
    from concurrent.futures import ThreadPoolExecutor

    failed = threading.Event()

    def call(some: Sequence[_Item]) -> list[_Result]:
        results = []
        for item in some:
            if failed.is_set():
                raise _NotBegun
            try:
                results.append(function(item))
            except BaseException:
                failed.set()
                raise
        return results

    # Of very many items some go together: what a thread has to be told costs as much as reading a small file.
    together = max(1, len(items) // (8 * at_once))
    with ThreadPoolExecutor(min(at_once, len(items))) as pool:
        futures = [pool.submit(call, items[place : place + together]) for place in range(0, len(items), together)]
        try:
            for future in futures:
                try:
                    yield from future.result()
                except _NotBegun:
                    raise next(error for other in futures if (error := _error(other.exception()))) from None
        finally:
            failed.set()


class _NotBegun(Exception):
    """Another call had failed before this one's turn came."""


def _error(error: BaseException | None) -> BaseException | None:
    return None if isinstance(error, _NotBegun) else error
