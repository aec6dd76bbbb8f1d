"""Buckets: `s3://`, `gs://` and `az://` through obstore, which is imported when the first request is made.

What a request answers is never taken for what it did. A write may have happened although an error came back, "already
exists" may be our own write whose answer was lost, and a conflict may mean that nothing is there. So after any of these
the key is read back, and what stands there decides. obstore's own retries are off: they would hide which of these it
was.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pointsman.errors import MovedFirst, Problem, Unreachable
from pointsman.state.store_url import Access
from pointsman.store.base import Held
from pointsman.store.bucket_errors import Trouble, host, trouble_of
from pointsman.store.schemes import SCHEMES
from pointsman.timeouts import store_timeout

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

_TRIES = 10
_RATE = 1 << 20  # bytes a second: the slowest line, shared by all uploads, on which none of them is given up
_CHUNK = 1 << 20
_Answer = TypeVar("_Answer")


class _Patience:
    """How long one call is tried, and how often: what always breaks off after a while never runs out of time."""

    def __init__(self, seconds: float, extra: float = 0.0) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds + extra
        self._tries = 0

    def allow(self, seconds: float) -> None:
        """Time that went by usefully does not count."""
        self._until += seconds

    def again(self) -> bool:
        """Wait a little, and True; False at once if the budget would not hold another try."""
        self._tries += 1
        pause = min(self._seconds / 8, self._seconds / 80 * 2 ** (self._tries - 1)) * random.uniform(0.5, 1)
        if self._tries == _TRIES or time.monotonic() + pause + _one_try(self._seconds) > self._until:
            return False
        time.sleep(pause)
        return True


def _one_try(seconds: float) -> float:
    return seconds * 0.3


class Bucket:
    """A prefix of a bucket, by conditional requests alone. Nothing is contacted before the first call."""

    at_once = reads_at_once = 8

    def __init__(self, url: str, access: Access) -> None:
        self.url = url
        name, _, rest = url.partition("://")
        self._scheme = SCHEMES[name]
        self._name, _, self._prefix = rest.partition("/")
        self._access = access
        self._timeout = store_timeout()
        self._clients: dict[int, ObjectStore] = {}

    # reading

    def read(self, key: str) -> Held | None:
        """What stands under `key`, None if nothing does."""
        return self._ask("read", key, lambda: self._fetch(key))

    def digest(self, key: str) -> tuple[int, str] | None:
        """Size in bytes and SHA-256 of what stands under `key`, read in pieces; None if nothing does."""
        patience = _Patience(self._timeout)
        return self._ask("read", key, lambda: self._hash(key, patience), patience)

    def size(self, key: str) -> int | None:
        """Size in bytes of what stands under `key`, None if nothing does."""
        meta = self._ask("read", key, lambda: self._head(key))
        return meta["size"] if meta is not None else None

    def written(self, key: str) -> float | None:
        """When what stands under `key` was written, by the store's clock; None if nothing does."""
        meta = self._ask("read", key, lambda: self._head(key))
        return meta["last_modified"].timestamp() if meta is not None else None

    def writer(self, key: str) -> str | None:
        """None: buckets tell who owns an object, which is the bucket's owner, not who wrote it."""
        return None

    def still(self, tags: Mapping[str, str]) -> bool:
        """Whether each key still has the tag that it was read with, told by a listing where that has tags."""
        if not tags:
            return True
        listed = self._list("")
        if any(key not in listed for key in tags):
            return False
        return all((listed[key][self._scheme.tag] or self._now(key)) == tag for key, tag in tags.items())

    def keys(self, prefix: str, depth: int) -> Iterator[str]:
        """Every key exactly `depth` names below the directory `prefix`; names that begin with a dot are not ours.

        Reads the whole listing below `prefix`, a thousand keys to a request.
        """
        for found in sorted(self._list(prefix)):
            parts = found.split("/")
            if len(parts) == depth and not any(part.startswith(".") for part in parts):
                yield prefix + found

    def _list(self, prefix: str) -> dict[str, ObjectMeta]:
        """What stands below the directory `prefix`, by the rest of its key."""
        base = self._path(prefix).rstrip("/")

        def fetch() -> dict[str, ObjectMeta]:
            pages = self._obstore.list(self._client(), base or None, chunk_size=1000)
            return {meta["path"][len(base) :].lstrip("/"): meta for page in pages for meta in page}

        return self._ask("list", prefix, fetch) or {}

    def _now(self, key: str) -> str | None:
        meta = self._ask("read", key, lambda: self._head(key))
        return self._tag(meta) if meta is not None else None

    # writing

    def create(self, key: str, data: bytes) -> bool:
        """Put `data` under a key that holds nothing. False if it holds something: read it. Durable either way."""
        patience = _Patience(self._timeout, self._on_its_way(data))
        may_be_ours = False
        while True:
            trouble = self._put(key, data, "create")
            if trouble is None:
                return True
            if trouble.kind in ("lasting", "absent"):
                self._fail("write", key, trouble)
            may_be_ours = may_be_ours or trouble.kind == "passing"
            there = self._ask("write", key, lambda: self._hash(key, patience), patience)
            if there is not None:
                return may_be_ours and there == (len(data), hashlib.sha256(data).hexdigest())
            if not patience.again():
                self._fail("write", key, trouble)

    def keep(self, key: str) -> bool:
        """What a bucket lets one read is durable already."""
        return True

    def replace(self, key: str, data: bytes, *, was: str | None) -> None:
        """Put `data` under `key` if its tag is still `was` (None: nothing there); MovedFirst if not. Durable.

        Also done if these very bytes stand there: whoever put them.
        """
        mode: PutMode = (
            "create" if was is None else {"version": was} if self._scheme.tag == "version" else {"e_tag": was}
        )
        patience = _Patience(self._timeout, self._on_its_way(data))
        while (trouble := self._put(key, data, mode)) is not None:
            if trouble.kind == "lasting":
                self._fail("write", key, trouble)
            now = self._ask("write", key, lambda: self._fetch(key), patience)
            if now is not None and now.data == data:
                return
            if (now.tag if now is not None else None) != was:
                raise MovedFirst(f"{self.url}/{key} was written by someone else meanwhile: run the command again")
            if not patience.again():
                self._fail("write", key, trouble)

    def delete(self, key: str, *, was: str) -> None:
        """Take away what stands under `key` if its tag is still `was`; MovedFirst if not. Durable on return.

        Buckets have no conditional delete through obstore: a write between the look and the delete is lost. Sync, the
        one caller, looks at main once more afterwards and puts back what belongs there.
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
        """Nothing to wait for: every write is conditional on what was read."""
        return contextlib.nullcontext()

    # one request

    def _ask(
        self, verb: str, key: str, fetch: Callable[[], _Answer], patience: _Patience | None = None
    ) -> _Answer | None:
        """The answer to a request that changes nothing, asked again while that may help; None: no such object."""
        patience = patience or _Patience(self._timeout)
        while True:
            answer = self._try(fetch)
            if not isinstance(answer, Trouble):
                return answer
            if answer.kind == "absent":
                return None
            if answer.kind == "lasting" or not patience.again():
                self._fail(verb, key, answer)

    def _fetch(self, key: str) -> Held:
        got = self._obstore.get(self._client(), self._path(key))
        return Held(bytes(got.bytes()), self._tag(got.meta))

    def _hash(self, key: str, patience: _Patience) -> tuple[int, str]:
        got = self._obstore.get(self._client(), self._path(key))
        hashed, size = hashlib.sha256(), 0
        for chunk in got.stream(min_chunk_size=_CHUNK):
            hashed.update(chunk)
            size += len(chunk)
            patience.allow(len(chunk) / _RATE)
        return size, hashed.hexdigest()

    def _head(self, key: str) -> ObjectMeta:
        try:
            head: ObjectMeta = self._obstore.head(self._client(), self._path(key))
            return head
        except (FileNotFoundError, self._errors.PermissionDeniedError):
            # The answer to a HEAD has no body, and only the body says what is missing or wrong.
            meta: ObjectMeta = self._obstore.get(self._client(), self._path(key)).meta
            return meta

    def _put(self, key: str, data: bytes, mode: PutMode) -> Trouble | None:
        client = self._client(self._on_its_way(data))
        put = self._try(lambda: self._obstore.put(client, self._path(key), data, mode=mode))
        return put if isinstance(put, Trouble) else None

    def _on_its_way(self, data: bytes) -> int:
        """Whole seconds that data may take to the store, while as much of others' goes the same way."""
        return math.floor(len(data) * self.at_once / _RATE)

    def _try(self, request: Callable[[], _Answer]) -> _Answer | Trouble:
        try:
            return request()
        except (self._errors.BaseError, OSError) as error:
            return trouble_of(error, self._scheme, self._name)
        except BaseException as error:
            if type(error).__name__ != "PanicException":
                raise
            # obstore's way of saying that what it was given makes no request at all.
            return Trouble(f"the request cannot be made: {self._scheme.credentials} for stray characters", "lasting")

    def _fail(self, verb: str, key: str, trouble: Trouble) -> NoReturn:
        where = trouble.where or host(self._access.endpoint)
        at = f" at {where}" if where else ""
        raise Unreachable(f"cannot {verb} {self.url}/{key}{at}: {trouble.says}")

    def _path(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    def _tag(self, meta: ObjectMeta) -> str:
        tag = meta[self._scheme.tag]
        if not tag:
            says = "the store gives no entity tags, without which no write can be made conditional: use another store"
            raise Unreachable(f"cannot use {self.url}: {says}")
        return tag

    # obstore

    @cached_property
    def _obstore(self) -> Any:
        import obstore

        return obstore

    @cached_property
    def _errors(self) -> Any:
        from obstore import exceptions

        return exceptions

    def _client(self, extra: int = 0) -> ObjectStore:
        """A client that gives an answer `extra` seconds more, for what takes long to send."""
        if extra not in self._clients:
            self._clients[extra] = self._open(_one_try(self._timeout) + extra)
        return self._clients[extra]

    def _open(self, silence: float) -> ObjectStore:
        self._scheme.check_environment()
        options: ClientConfig = {
            "connect_timeout": timedelta(seconds=_one_try(self._timeout)),
            "read_timeout": timedelta(seconds=silence),
            "timeout": timedelta(days=1),  # of a whole transfer, which may be long as long as something comes
        }
        retry: RetryConfig = {"max_retries": 0, "retry_timeout": timedelta(seconds=self._timeout)}
        try:
            return self._scheme.open(self._name, self._access, options, retry)
        except (self._errors.BaseError, ValueError) as error:
            if "Account must be specified" in str(error):
                raise Problem(
                    f"{self.url}: set AZURE_STORAGE_ACCOUNT_NAME: az:// URLs do not name the account"
                ) from None
            # Not its text: it may quote the environment.
            raise Problem(f"{self.url} cannot be opened with these settings and this environment") from None
