"""The interface of every store, a directory or a bucket.

`create` never overwrites, `replace` depends on what was read, and both are durable on return.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Literal, NamedTuple, Protocol

from msgspec import Struct

from pointsman.errors import Unreachable
from pointsman.store.closed import Closed

MOST_OF_A_POINTER = 16 << 20  # bytes; also of a fence and of the calls that are owed
MOST_OF_A_BLOB = 1 << 30  # bytes, where nothing says how many it should have


class NoConditions(Unreachable):
    """The store cannot do conditional writes."""


class Held(Struct, frozen=True):
    """The object under a key when it was read: its bytes, and a tag that any write of other bytes changes."""

    data: bytes
    tag: str


class Listed(NamedTuple):
    """An object as a listing tells of it. `written`: seconds since 1970, by the store's clock."""

    key: str
    size: int | None  # bytes; None for what a directory has in it and is no file
    written: float


class Page(NamedTuple):
    """A part of a listing, in columns: an object for each key would cost as much as the listing itself."""

    keys: list[str]
    sizes: list[int | None]
    written: list[float]

    def objects(self) -> Iterator[Listed]:
        """One object at a time, for whoever looks at each."""
        return map(Listed, self.keys, self.sizes, self.written)


class Store(Protocol):
    """Blobs and pointers by key under one URL.

    Each call raises Unreachable if it fails or its result is unknown, and Blocked, which is one, if only this key is
    to blame.
    """

    @property
    def url(self) -> str:
        """The store's URL, without a trailing slash and without credentials."""

    @property
    def at_once(self) -> int:
        """How many writes at the same time are useful."""

    @property
    def reads_at_once(self) -> int:
        """How many reads of blobs at the same time are useful."""

    def read(self, key: str, most: int = MOST_OF_A_POINTER) -> Held | None:
        """The object under `key`, and of one that is longer than `most` bytes one byte too many; None if none."""

    def digest(self, key: str, most: int = MOST_OF_A_BLOB) -> tuple[int, str] | None:
        """Size in bytes and SHA-256 ("" beyond `most` bytes) of the object under `key`; None if there is none."""

    def size(self, key: str) -> int | None:
        """Size in bytes of the object under `key`; None if there is none."""

    def written(self, key: str) -> float | None:
        """When the object under `key` was written, seconds since 1970 by the store's clock; None if there is none."""

    def writer(self, key: str) -> str | None:
        """The owner of the object under `key`; None if there is none or the store does not say."""

    def create(self, key: str, data: bytes) -> bool:
        """Put `data` under `key` if there is no object. False if there is one: read it. Durable either way."""

    def keep(self, key: str) -> bool:
        """Make the object under `key`, which was read, durable as if we had put it there. False if there is none."""

    def replace(self, key: str, data: bytes, *, was: str | None) -> None:
        """Put `data` under `key` if its tag is still `was` (None: no object); MovedFirst if not. Durable on return."""

    def delete(self, key: str, *, was: str) -> None:
        """Delete the object under `key` if its tag is still `was`; MovedFirst if not. Durable on return."""

    def locked(self, directory: str) -> AbstractContextManager[None]:
        """Be the only writer of pointers below `directory` (a key prefix), in a store without conditional writes."""

    def still(self, tags: Mapping[str, str]) -> bool:
        """Whether each key still has the tag it was read with."""

    def keys(self, prefix: str, depth: int, closed: Closed | None = None) -> Iterator[str]:
        """Every key exactly `depth` names below the directory `prefix`. Names that begin with a dot are left out.

        `closed` gets the directories that cannot be listed, and what is in them is missing then; without it, Blocked.
        """

    def tags(
        self, depth: int, others: Collection[str], name: str = "", closed: Closed | None = None
    ) -> Mapping[str, str | None]:
        """The tag of every key that `keys("", depth)` gives, and of those of `others` that are there, in one listing.

        `name`: only of those that end with this name. None: the listing does not tell, or the object is so new that its
        tag may stay the same if it is written again. `closed`: as for `keys`.
        """

    def objects(self, prefix: str) -> Iterator[Page]:
        """Every object below the directory `prefix` ("": all), page by page, those with dotted names too.

        What is directly in one directory comes in the order of its bytes.
        """

    def parts(self) -> Sequence[Callable[[], Iterator[Page]]]:
        """The pages of every object in a few parts, which several processes may list: each key is in one part."""

    def folders(self, prefix: str) -> list[str]:
        """The names of the directories directly in the directory `prefix`, sorted."""

    def move(self, key: str, to: str, size: int, still: Callable[[], bool]) -> bool:
        """Move the object under `key`, of so many bytes, in the store. Durable on return.

        It is proven under `to` before it goes from `key`; whatever was under `to` is replaced. False if there is none,
        or if it may not go any more: `still` is asked right before.
        """

    def keeps_versions(self, key: str) -> Literal["yes", "no", "unknown"]:
        """Whether what is deleted stays as an earlier version, as far as the object under `key` tells."""

    def remove(self, key: str) -> None:
        """Delete the object under `key`, whatever it is now. It may be gone already. Durable on return."""


def listed(store: Store, prefix: str = "") -> Iterator[Listed]:
    """Every object below the directory `prefix` of a store, one at a time."""
    for page in store.objects(prefix):
        yield from page.objects()
