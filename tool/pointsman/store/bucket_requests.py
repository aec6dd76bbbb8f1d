"""One request to a bucket: how it is made and tried again, how long it may take, and what its error means."""

from __future__ import annotations

import hashlib
import math
import random
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pointsman.errors import Blocked, NoAnswer, Unreachable
from pointsman.progress import LONG, waits
from pointsman.state.store_url import Access
from pointsman.store.base import Held
from pointsman.store.bucket_errors import Trouble, host, trouble_of
from pointsman.store.schemes import SCHEMES
from pointsman.timeouts import store_timeout

if TYPE_CHECKING:
    from obstore import GetResult, ObjectMeta, PutMode
    from obstore.store import ClientConfig, ObjectStore

_CALL_TRIES = 10
AT_ONCE = 8
_SLOWEST = 1 << 20  # bytes a second, shared by all that is moved at once; on a slower line it may be given up
_MANY = 8  # keys without an answer, so that it is the bucket. Each of them takes a whole timeout
_NOTHING = ".pointsman/nothing"  # no object is ever there
_Answer = TypeVar("_Answer")


class Patience:
    """How long and how often one call is tried. A call that always fails late would otherwise be retried for ever."""

    def __init__(self, seconds: float, extra: float = 0.0) -> None:
        self._seconds = seconds
        self._began = time.monotonic()
        self._until = self._began + seconds + extra
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
        if (now := time.monotonic()) > self._began + LONG:
            waits("the bucket does not answer, and is asked again", self._until - now)
        time.sleep(pause)
        return True


def seconds_for(size: int) -> float:
    """How long so many bytes may be on their way if others share the line."""
    return size * AT_ONCE / _SLOWEST


def _errors() -> Any:
    from obstore import exceptions

    return exceptions


def _one_try(seconds: float) -> float:
    return seconds * 0.3


class Requests:
    """What a bucket is asked by. Nothing is contacted before the first call."""

    def __init__(self, url: str, access: Access) -> None:
        self.url = url
        name, _, rest = url.partition("://")
        self._scheme = SCHEMES[name]
        self._name, _, self._prefix = rest.partition("/")
        self._access = access
        self._timeout = store_timeout()
        self._clients: dict[tuple[int, bool], ObjectStore] = {}
        self._unanswered: set[str] = set()  # keys that had no answer when they were last asked for

    # one request

    def _ask(
        self, verb: str, key: str, fetch: Callable[[], _Answer], patience: Patience | None = None
    ) -> _Answer | None:
        """The answer to a request that only reads, retried while that may help; None if there is no such object."""
        patience = patience or Patience(self._timeout)
        while True:
            answer = self._try(fetch)
            if not isinstance(answer, Trouble) or answer.kind == "absent":
                self._unanswered.discard(key)
                return None if isinstance(answer, Trouble) else answer
            if answer.kind == "lasting" or not patience.again():
                self._fail(verb, key, answer)

    def _fetch(self, key: str, most: int, patience: Patience) -> Held:
        got = self._obstore.get(self._client(streams=True), self._path(key))
        data = bytearray()
        for chunk in self._pieces(got, patience):
            data += chunk
            if len(data) > most:
                break
        return Held(bytes(data[: most + 1]), self._tag(got.meta))

    def _hash(self, key: str, most: int, patience: Patience) -> tuple[int, str]:
        got = self._obstore.get(self._client(streams=True), self._path(key))
        size: int = got.meta["size"]
        if size > most:
            return size, ""
        hashed, size = hashlib.sha256(), 0
        for chunk in self._pieces(got, patience):
            hashed.update(chunk)
            size += len(chunk)
        return size, hashed.hexdigest()

    def _pieces(self, got: GetResult, patience: Patience) -> Iterator[bytes]:
        """The body of an answer as it comes. TimeoutError if it comes more slowly than any line: it may never end."""
        for piece in got.stream(min_chunk_size=1):
            yield piece
            patience.allow(seconds_for(len(piece)))
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
        client = self._client(math.floor(seconds_for(len(data))))
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
        says = f"cannot {verb} {self.url}/{key}{at}: {trouble.says}"
        if verb != "list" and trouble.kind == "passing" and self._answers_for_others(key):
            raise NoAnswer(f"{says}. The store answers for other keys, so look at this object there")
        raise (trouble.raises if verb != "list" else Unreachable)(says)

    def _answers_for_others(self, key: str) -> bool:
        """Whether the store answers, though not for `key`, and not for too many others."""
        self._unanswered.add(key)
        if len(self._unanswered) > _MANY:
            return False
        other = self._try(lambda: self._head(_NOTHING))
        return not isinstance(other, Trouble) or other.kind == "absent" or other.raises is Blocked

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
