"""What every store promises, whether it is a directory or a bucket, and how to ask one for many things at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Held:
    """What a key held when it was read: its bytes and a tag that a write of other bytes changes."""

    data: bytes
    tag: str


class Store(Protocol):
    """Blobs and pointers by key under one URL. Every call raises Unreachable if it cannot be done or be known."""

    @property
    def url(self) -> str:
        """The store's URL, without a trailing slash and without credentials."""

    @property
    def at_once(self) -> int:
        """How many writes at once are worth it."""

    @property
    def reads_at_once(self) -> int:
        """How many blobs read at once are worth it."""

    def read(self, key: str) -> Held | None:
        """What stands under `key`, None if nothing does."""

    def digest(self, key: str) -> tuple[int, str] | None:
        """Size in bytes and SHA-256 of what stands under `key`, read in pieces; None if nothing does."""

    def size(self, key: str) -> int | None:
        """Size in bytes of what stands under `key`, None if nothing does."""

    def written(self, key: str) -> float | None:
        """When what stands under `key` was written, in seconds since 1970 by the store's clock; None for nothing."""

    def writer(self, key: str) -> str | None:
        """Whose what stands under `key` is, where the store tells; None if it does not or nothing stands there."""

    def create(self, key: str, data: bytes) -> bool:
        """Put `data` under a key that holds nothing. False if it holds something: read it. Durable either way."""

    def keep(self, key: str) -> bool:
        """Make what stands under `key`, and was read, as durable as if this had put it. False if nothing does."""

    def replace(self, key: str, data: bytes, *, was: str | None) -> None:
        """Put `data` under `key` if its tag is still `was` (None: nothing there); MovedFirst if not. Durable."""

    def delete(self, key: str, *, was: str) -> None:
        """Take away what stands under `key` if its tag is still `was`; MovedFirst if not. Durable on return."""

    def locked(self, directory: str) -> AbstractContextManager[None]:
        """Be the only writer of pointers below `directory` (a key prefix), where conditions alone would not do."""

    def still(self, tags: Mapping[str, str]) -> bool:
        """Whether each key still has the tag that it was read with, where `locked` does not see to that."""

    def keys(self, prefix: str, depth: int) -> Iterator[str]:
        """Every key exactly `depth` names below the directory `prefix`; names that begin with a dot are not ours."""


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
