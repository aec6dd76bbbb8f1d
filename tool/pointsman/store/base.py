"""What every store promises, whether it is a directory or a bucket, and how to ask one for many things at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


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
