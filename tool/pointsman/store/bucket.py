"""Buckets: `s3://`, `gs://` and `az://` through obstore, which is imported with the first request.

The answer to a write may be misleading. An error may come back although the write happened. "Already exists" may mean
our own write, if its first answer was lost. A conflict may mean that there is no object. So after each of these the key
is read back, and the object decides. obstore's own retries are off, because they would hide which case it was.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from pointsman.errors import MovedFirst
from pointsman.store.base import MOST_OF_A_BLOB, MOST_OF_A_POINTER, Held
from pointsman.store.bucket_errors import Trouble
from pointsman.store.bucket_listing import read_listing
from pointsman.store.bucket_moves import Moves
from pointsman.store.bucket_requests import AT_ONCE, Patience, seconds_for
from pointsman.store.closed import Closed

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode


class Bucket(Moves):
    """A prefix of a bucket, with conditional requests instead of locks. Nothing is contacted before the first call."""

    at_once = reads_at_once = AT_ONCE

    # reading

    def read(self, key: str, most: int = MOST_OF_A_POINTER) -> Held | None:
        """The object under `key`, and of one that is longer than `most` bytes one byte too many; None if none."""
        patience = Patience(self._timeout)
        return self._ask("read", key, lambda: self._fetch(key, most, patience), patience)

    def digest(self, key: str, most: int = MOST_OF_A_BLOB) -> tuple[int, str] | None:
        """Size in bytes and SHA-256 ("" beyond `most` bytes) of the object under `key`; None if there is none."""
        patience = Patience(self._timeout)
        return self._ask("read", key, lambda: self._hash(key, most, patience), patience)

    def size(self, key: str) -> int | None:
        """Size in bytes of the object under `key`; None if there is none."""
        meta = self._ask("read", key, lambda: self._head(key))
        return meta["size"] if meta is not None else None

    def written(self, key: str) -> float | None:
        """When the object under `key` was written, by the store's clock; None if there is none."""
        meta = self._ask("read", key, lambda: self._head(key))
        return meta["last_modified"].timestamp() if meta is not None else None

    def writer(self, key: str) -> str | None:
        """None: a bucket says that its owner owns all objects, not who wrote them."""
        return None

    def still(self, tags: Mapping[str, str]) -> bool:
        """Whether each key still has the tag it was read with. A listing answers it if listings have tags."""
        if not tags:
            return True
        listed = self._list("")
        if any(key not in listed for key in tags):
            return False
        return all((listed[key][self._scheme.tag] or self._current_tag(key)) == tag for key, tag in tags.items())

    def keys(self, prefix: str, depth: int, closed: Closed | None = None) -> Iterator[str]:
        """Every key exactly `depth` names below the directory `prefix`. Names that begin with a dot are left out.

        Reads the whole listing below `prefix`, a thousand keys per request.
        """
        yield from (prefix + found for found in sorted(self._list(prefix)) if _is_at(found, depth))

    def tags(
        self, depth: int, others: Collection[str], name: str = "", closed: Closed | None = None
    ) -> Mapping[str, str | None]:
        """The tag of every key that `keys("", depth)` gives, and of `others`, by one listing; None: not told.

        `name`: only of those that end with this name.
        """
        found = self._list("").items()
        return {key: meta[self._scheme.tag] for key, meta in found if key in others or _is_at(key, depth, name)}

    def _list(self, prefix: str) -> dict[str, ObjectMeta]:
        """The objects below the directory `prefix`: rest of the key → metadata."""
        base = self._path(prefix).rstrip("/")

        def fetch() -> dict[str, ObjectMeta]:
            pages = self._obstore.list(self._client(), base or None, chunk_size=1000)
            found = read_listing(pages, self._timeout, f"{self.url}/{prefix}")
            return {meta["path"][len(base) :].lstrip("/"): meta for meta in found}

        return self._ask("list", prefix, fetch) or {}

    def _current_tag(self, key: str) -> str | None:
        meta = self._ask("read", key, lambda: self._head(key))
        return self._tag(meta) if meta is not None else None

    # writing

    def create(self, key: str, data: bytes) -> bool:
        """Put `data` under `key` if there is no object. False if there is one: read it. Durable either way."""
        patience = Patience(self._timeout, seconds_for(len(data)))
        may_be_ours = False
        while True:
            trouble = self._put(key, data, "create")
            if trouble is None:
                return True
            if trouble.kind in ("lasting", "absent"):
                self._fail("write", key, trouble)
            may_be_ours = may_be_ours or trouble.kind == "passing"
            stored = self._ask("write", key, lambda: self._hash(key, len(data), patience), patience)
            if stored is not None:
                return may_be_ours and stored == (len(data), hashlib.sha256(data).hexdigest())
            if not patience.again():
                self._fail("write", key, trouble)

    def keep(self, key: str) -> bool:
        """Whether there is an object under `key`: what can be read from a bucket is durable already."""
        return self.size(key) is not None

    def replace(self, key: str, data: bytes, *, was: str | None) -> None:
        """Put `data` under `key` if its tag is still `was` (None: no object); MovedFirst if not. Durable on return.

        Also succeeds if the object has exactly these bytes, no matter who put them there.
        """
        mode: PutMode = (
            "create" if was is None else {"version": was} if self._scheme.tag == "version" else {"e_tag": was}
        )
        patience = Patience(self._timeout, seconds_for(len(data)))
        while (trouble := self._put(key, data, mode)) is not None:
            if trouble.kind == "lasting":
                self._fail("write", key, trouble)
            now = self._ask("write", key, lambda: self._fetch(key, len(data), patience), patience)
            if now is not None and now.data == data:
                return
            if (now.tag if now is not None else None) != was:
                raise MovedFirst(f"{self.url}/{key} was written by someone else meanwhile: run the command again")
            if not patience.again():
                self._fail("write", key, trouble)

    def delete(self, key: str, *, was: str) -> None:
        """Delete the object under `key` if its tag is still `was`; MovedFirst if not. Durable on return.

        obstore has no conditional delete, so a write between the look and the delete is lost. Sync, the only caller,
        reads main again afterwards and puts back what belongs there.
        """
        patience, asked = Patience(self._timeout), False
        while True:
            meta = self._ask("delete", key, lambda: self._head(key), patience)
            if meta is None and asked:
                return
            if meta is None or self._tag(meta) != was:
                raise MovedFirst(f"{self.url}/{key} was written by someone else meanwhile: run the command again")
            asked = True
            trouble = self._try(lambda: self._obstore.delete(self._client(), self._path(key)))
            if not isinstance(trouble, Trouble) or trouble.kind == "absent":
                return
            if trouble.kind == "lasting" or not patience.again():
                self._fail("delete", key, trouble)

    def locked(self, directory: str) -> contextlib.AbstractContextManager[None]:
        """No lock: every write is conditional on what was read."""
        return contextlib.nullcontext()


def _is_at(key: str, depth: int, name: str = "") -> bool:
    """Whether a key has so many names, none of which begins with a dot. `name`: what the last has to be, "": any."""
    said = not name or key.rpartition("/")[2] == name
    return said and key.count("/") == depth - 1 and not key.startswith(".") and "/." not in key
