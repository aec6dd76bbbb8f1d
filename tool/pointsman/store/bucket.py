"""Buckets: `s3://`, `gs://` and `az://` through obstore, which is imported with the first request.

The answer to a write may be misleading. An error may come back although the write happened. "Already exists" may mean
our own write, if its first answer was lost. A conflict may mean that there is no object. So after each of these the key
is read back, and the object decides. obstore's own retries are off, because they would hide which case it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pointsman.errors import MovedFirst, Unreachable
from pointsman.state.store_url import Access
from pointsman.store.base import MOST_OF_A_BLOB, MOST_OF_A_POINTER, Held
from pointsman.store.bucket_errors import Trouble, host, trouble_of
from pointsman.store.bucket_listing import read_listing
from pointsman.store.schemes import SCHEMES
from pointsman.timeouts import store_timeout

if TYPE_CHECKING:
    from obstore import GetResult, ObjectMeta, PutMode
    from obstore.store import ClientConfig, ObjectStore

_CALL_TRIES = 10
_AT_ONCE = 8
_SLOWEST = 1 << 20  # bytes a second, shared by all that is moved at once; on a slower line it may be given up
_Answer = TypeVar("_Answer")


class _Patience:
    """How long and how often one call is tried. A call that always fails late would otherwise be retried for ever."""

    def __init__(self, seconds: float, extra: float = 0.0) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds + extra
        self._tries = 0

    def allow(self, seconds: float) -> None:
        """Do not count these seconds: data came in them."""
        self._until += seconds

    def is_over(self) -> bool:
        """Whether the time for this call has run out."""
        return time.monotonic() > self._until

    def again(self) -> bool:
        """Wait a little and return True. False at once if there is no time for another try."""
        self._tries += 1
        pause = min(self._seconds / 8, self._seconds / 80 * 2 ** (self._tries - 1)) * random.uniform(0.5, 1)
        if self._tries == _CALL_TRIES or time.monotonic() + pause + _one_try(self._seconds) > self._until:
            return False
        time.sleep(pause)
        return True


def _seconds_for(size: int) -> float:
    """How long so many bytes may be on their way if others share the line."""
    return size * _AT_ONCE / _SLOWEST


def _errors() -> Any:
    from obstore import exceptions

    return exceptions


def _one_try(seconds: float) -> float:
    return seconds * 0.3


class Bucket:
    """A prefix of a bucket, with conditional requests instead of locks. Nothing is contacted before the first call."""

    at_once = reads_at_once = _AT_ONCE

    def __init__(self, url: str, access: Access) -> None:
        self.url = url
        name, _, rest = url.partition("://")
        self._scheme = SCHEMES[name]
        self._name, _, self._prefix = rest.partition("/")
        self._access = access
        self._timeout = store_timeout()
        self._clients: dict[tuple[int, bool], ObjectStore] = {}

    # reading

    def read(self, key: str, most: int = MOST_OF_A_POINTER) -> Held | None:
        """The object under `key`, and of one that is longer than `most` bytes one byte too many; None if none."""
        patience = _Patience(self._timeout)
        return self._ask("read", key, lambda: self._fetch(key, most, patience), patience)

    def digest(self, key: str, most: int = MOST_OF_A_BLOB) -> tuple[int, str] | None:
        """Size in bytes and SHA-256 ("" beyond `most` bytes) of the object under `key`; None if there is none."""
        patience = _Patience(self._timeout)
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

    def keys(self, prefix: str, depth: int) -> Iterator[str]:
        """Every key exactly `depth` names below the directory `prefix`. Names that begin with a dot are left out.

        Reads the whole listing below `prefix`, a thousand keys per request.
        """
        yield from (prefix + found for found in sorted(self._list(prefix)) if _is_at(found, depth))

    def tags(self, depth: int, others: Collection[str]) -> Mapping[str, str | None]:
        """The tag of every key that `keys("", depth)` gives, and of `others`, by one listing; None: not told."""
        found = self._list("").items()
        return {key: meta[self._scheme.tag] for key, meta in found if key in others or _is_at(key, depth)}

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
        patience = _Patience(self._timeout, _seconds_for(len(data)))
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
        patience = _Patience(self._timeout, _seconds_for(len(data)))
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
        patience, asked = _Patience(self._timeout), False
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

    # one request

    def _ask(
        self, verb: str, key: str, fetch: Callable[[], _Answer], patience: _Patience | None = None
    ) -> _Answer | None:
        """The answer to a request that only reads, retried while that may help; None if there is no such object."""
        patience = patience or _Patience(self._timeout)
        while True:
            answer = self._try(fetch)
            if not isinstance(answer, Trouble):
                return answer
            if answer.kind == "absent":
                return None
            if answer.kind == "lasting" or not patience.again():
                self._fail(verb, key, answer)

    def _fetch(self, key: str, most: int, patience: _Patience) -> Held:
        got = self._obstore.get(self._client(streams=True), self._path(key))
        data = bytearray()
        for chunk in self._pieces(got, patience):
            data += chunk
            if len(data) > most:
                break
        return Held(bytes(data[: most + 1]), self._tag(got.meta))

    def _hash(self, key: str, most: int, patience: _Patience) -> tuple[int, str]:
        got = self._obstore.get(self._client(streams=True), self._path(key))
        size: int = got.meta["size"]
        if size > most:
            return size, ""
        hashed, size = hashlib.sha256(), 0
        for chunk in self._pieces(got, patience):
            hashed.update(chunk)
            size += len(chunk)
        return size, hashed.hexdigest()

    def _pieces(self, got: GetResult, patience: _Patience) -> Iterator[bytes]:
        """The body of an answer as it comes. TimeoutError if it comes more slowly than any line: it may never end."""
        for piece in got.stream(min_chunk_size=1):
            yield piece
            patience.allow(_seconds_for(len(piece)))
            if patience.is_over():
                raise TimeoutError("timed out")

    def _head(self, key: str) -> ObjectMeta:
        try:
            head: ObjectMeta = self._obstore.head(self._client(), self._path(key))
            return head
        except (FileNotFoundError, _errors().PermissionDeniedError):
            # Only the body of an answer says what is missing or wrong, and the answer to a HEAD has none.
            meta: ObjectMeta = self._obstore.get(self._client(), self._path(key)).meta
            return meta

    def _put(self, key: str, data: bytes, mode: PutMode) -> Trouble | None:
        client = self._client(math.floor(_seconds_for(len(data))))
        put = self._try(lambda: self._obstore.put(client, self._path(key), data, mode=mode))
        return put if isinstance(put, Trouble) else None

    def _try(self, request: Callable[[], _Answer]) -> _Answer | Trouble:
        try:
            return request()
        except (_errors().BaseError, OSError) as error:
            return trouble_of(error, self._scheme, self._name)
        except BaseException as error:
            if type(error).__name__ != "PanicException":
                raise
            # obstore panics if it cannot make a request from its input.
            return Trouble(f"the request cannot be made: {self._scheme.credentials} for stray characters", "lasting")

    def _fail(self, verb: str, key: str, trouble: Trouble) -> NoReturn:
        where = trouble.where or host(self._access.endpoint)
        at = f" at {where}" if where else ""
        raise (trouble.raises if verb != "list" else Unreachable)(f"cannot {verb} {self.url}/{key}{at}: {trouble.says}")

    def _path(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    def _tag(self, meta: ObjectMeta) -> str:
        tag = meta[self._scheme.tag]
        if not tag:
            says = "the store gives no entity tags, but conditional writes need them: use another store"
            raise Unreachable(f"cannot use {self.url}: {says}")
        return tag

    # obstore

    @cached_property
    def _obstore(self) -> Any:
        import obstore

        return obstore

    def _client(self, extra: int = 0, *, streams: bool = False) -> ObjectStore:
        """A client that waits `extra` seconds longer for an answer, because the upload takes long.

        `streams`: whoever reads the answer watches how long it takes.
        """
        if (extra, streams) not in self._clients:
            in_all = timedelta(days=1) if streams else timedelta(seconds=self._timeout + extra)
            one = timedelta(seconds=_one_try(self._timeout))
            options: ClientConfig = {
                "connect_timeout": one,
                "read_timeout": one + timedelta(seconds=extra),
                "timeout": in_all,  # also of an answer that comes byte by byte and never ends
            }
            self._clients[extra, streams] = self._scheme.client(self.url, self._access, options)
        return self._clients[extra, streams]


def _is_at(key: str, depth: int) -> bool:
    """Whether a key has so many names, none of which begins with a dot."""
    return key.count("/") == depth - 1 and not key.startswith(".") and "/." not in key
