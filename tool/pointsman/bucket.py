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
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar
from urllib.parse import urlsplit

from pointsman.errors import MovedFirst, Problem, Unreachable
from pointsman.stored import Access, Held

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

_TIMEOUT = "8"  # seconds; with Python's and git's own time a dead endpoint is reported within ten
_TRIES = 10
_RATE = 1 << 20  # bytes a second: transfers may take that much longer than an answer
_CHUNK = 1 << 20
_Answer = TypeVar("_Answer")

_CREDENTIALS = {
    "s3": "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or this machine's role",
    "gs": "check GOOGLE_APPLICATION_CREDENTIALS, or this machine's service account",
    "az": "check AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or this machine's identity",
}
_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_ACCOUNT_KEY")
_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound"}
_NO_OBJECT = {"NoSuchKey", "BlobNotFound", "ResourceNotFound", "NoSuchVersion"}
_WRONG_CREDENTIALS = {
    "AuthenticationFailed", "ExpiredToken", "InvalidAccessKeyId", "InvalidSecurity", "InvalidToken", "NotSignedUp",
    "SignatureDoesNotMatch", "TokenRefreshRequired", "AuthenticationRequired",
}  # fmt: skip
_THROTTLED = {"SlowDown", "TooManyRequests", "ThrottlingException", "RequestLimitExceeded", "ServerBusy", "Throttling"}
_FULL = {
    "XMinioStorageFull",
    "QuotaExceeded",
    "InsufficientStorage",
    "EntityTooLarge",
    "XMinioAdminBucketQuotaExceeded",
}
_WRONG_REGION = {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"}


def store_timeout() -> float:
    """Seconds that one call may go unanswered, all tries together (POINTSMAN_STORE_TIMEOUT, 8 unless set)."""
    text = os.environ.get("POINTSMAN_STORE_TIMEOUT", _TIMEOUT)
    seconds = float(text) if re.fullmatch(r"\d{1,6}(\.\d+)?", text) else 0.0
    if seconds <= 0:
        raise Problem(f"POINTSMAN_STORE_TIMEOUT is not a number of seconds above 0: {text!r}")
    return seconds


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong with one request."""

    says: str  # why, and what to check
    kind: Literal["absent", "occupied", "passing", "lasting"]
    where: str = ""  # the endpoint that was asked


class _Short(Exception):
    """An answer ended before all of it had come."""


class _Patience:
    """How often and how long one call is tried."""

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

    at_once = 8

    def __init__(self, url: str, access: Access) -> None:
        self.url = url
        self._scheme, _, rest = url.partition("://")
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

    def keys(self, prefix: str, depth: int) -> Iterator[str]:
        """Every key exactly `depth` names below the directory `prefix`; names that begin with a dot are not ours.

        Reads the whole listing below `prefix`, a thousand keys to a request.
        """
        base = self._path(prefix).rstrip("/")

        def fetch() -> list[str]:
            pages = self._obstore.list(self._client(), base or None, chunk_size=1000)
            return [meta["path"][len(base) :].lstrip("/") for page in pages for meta in page]

        for found in sorted(self._ask("list", prefix, fetch) or ()):
            parts = found.split("/")
            if len(parts) == depth and not any(part.startswith(".") for part in parts):
                yield prefix + found

    # writing

    def create(self, key: str, data: bytes) -> bool:
        """Put `data` under a key that holds nothing. False if it holds something: read it. Durable either way."""
        patience = _Patience(self._timeout, len(data) / _RATE)
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
        mode: PutMode = "create" if was is None else {"version": was} if self._scheme == "gs" else {"e_tag": was}
        patience = _Patience(self._timeout, len(data) / _RATE)
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
        if size != got.meta["size"]:
            raise _Short
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
        client = self._client(math.ceil(len(data) / _RATE) if len(data) > _CHUNK // 8 else 0)
        put = self._try(lambda: self._obstore.put(client, self._path(key), data, mode=mode))
        return put if isinstance(put, Trouble) else None

    def _try(self, request: Callable[[], _Answer]) -> _Answer | Trouble:
        try:
            return request()
        except (self._errors.BaseError, OSError, _Short) as error:
            return trouble_of(error, self._scheme, self._name)
        except BaseException as error:
            if type(error).__name__ != "PanicException":
                raise
            # obstore's way of saying that what it was given makes no request at all.
            return Trouble(f"the request cannot be made: {_CREDENTIALS[self._scheme]} for stray characters", "lasting")

    def _fail(self, verb: str, key: str, trouble: Trouble) -> NoReturn:
        where = trouble.where or _host(self._access.endpoint)
        at = f" at {where}" if where else ""
        raise Unreachable(f"cannot {verb} {self.url}/{key}{at}: {trouble.says}")

    def _path(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    def _tag(self, meta: ObjectMeta) -> str:
        tag = meta["version"] if self._scheme == "gs" else meta["e_tag"]
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
        from obstore.store import AzureStore, GCSStore, S3Store

        for name in _SECRETS:
            if re.search(r"[\s\x00-\x1f\x7f]", os.environ.get(name, "")):
                raise Problem(f"{name} has a blank or a line break in it: take it out")
        options: ClientConfig = {
            "connect_timeout": timedelta(seconds=_one_try(self._timeout)),
            "read_timeout": timedelta(seconds=silence),
            "timeout": timedelta(days=1),  # of a whole transfer, which may be long as long as something comes
        }
        retry: RetryConfig = {"max_retries": 0, "retry_timeout": timedelta(seconds=self._timeout)}
        access = self._access
        try:
            if self._scheme == "gs":
                return GCSStore(self._name, client_options=options, retry_config=retry)
            if self._scheme == "az":
                return AzureStore(self._name, client_options=options, retry_config=retry)
            more: dict[str, Any] = {"region": access.region} if access.region else {}
            if access.endpoint:  # under both names: the environment may have the second, which would win
                more |= {"endpoint": access.endpoint, "aws_endpoint_url_s3": access.endpoint}
                options["allow_http"] = access.allow_http
            more |= {"conditional_put": "etag", "virtual_hosted_style_request": False, "disable_bulk_delete": True}
            return S3Store(self._name, **more, client_options=options, retry_config=retry)
        except (self._errors.BaseError, ValueError) as error:
            if "Account must be specified" in str(error):
                raise Problem(
                    f"{self.url}: set AZURE_STORAGE_ACCOUNT_NAME: az:// URLs do not name the account"
                ) from None
            # Not its text: it may quote the environment.
            raise Problem(f"{self.url} cannot be opened with these settings and this environment") from None


def trouble_of(error: BaseException, scheme: str, bucket: str) -> Trouble:
    """What an error of obstore means. Of its text nothing is passed on but numbers, codes and the host that was asked.

    An answer may quote what was signed, so its text belongs into no log.
    """
    text = str(error)
    asked = re.search(r"Error performing \w+ (https?://\S+) in ", text)
    where = _host(asked[1]) if asked else ""
    if re.search(r"token request|169\.254\.\d+\.\d+", text.partition("\n")[0]) or (
        asked is not None and bucket not in asked[1]
    ):
        return Trouble(f"no credentials were found: {_CREDENTIALS[scheme]}", "lasting")
    found = re.search(r"\bstatus(?: code)?: (\d{3})\b", text)
    if found is None:
        return Trouble(*_broken(text), where)
    status = int(found[1])
    named = re.search(r"<Code>(\w{1,64})</Code>", text)
    code = named[1] if named else ""
    says, kind = _refused(status, code, scheme, bucket)
    return Trouble(says, kind, where)


def _refused(
    status: int, code: str, scheme: str, bucket: str
) -> tuple[str, Literal["absent", "occupied", "passing", "lasting"]]:
    said = f"{status} {code}".rstrip()
    if code in _NO_BUCKET:
        return f"there is no bucket {bucket!r}: create it, or mend the URL in pointsman.toml", "lasting"
    if status == 404 and (code in _NO_OBJECT or scheme != "s3"):
        return "there is no such object", "absent"
    if code in _WRONG_CREDENTIALS or status == 401:
        return f"the credentials are wrong or have expired ({said}): {_CREDENTIALS[scheme]}", "lasting"
    if code == "RequestTimeTooSkewed":
        return f"this machine's clock is wrong, the store refuses its signatures ({said}): set it", "lasting"
    if status == 403:
        return f"no permission ({said}): the credentials must allow to read, list and write objects there", "lasting"
    if status in (409, 412):
        return f"the store reports a conflict ({said}) and nothing shows who won: run the command again", "occupied"
    if status == 507 or code in _FULL:
        return f"the store is full, or this is too large for it ({said}): make room and run again", "lasting"
    if status == 429 or code in _THROTTLED:
        return f"the store is throttling requests ({said}): run the command again later", "passing"
    if status >= 500 or status == 408 or code == "RequestTimeout":
        return f"the store answers with an error of its own ({said}): look at the store, then run again", "passing"
    if status in (301, 307) or code in _WRONG_REGION:
        return f"the bucket is in another region ({said}): set [store] region in pointsman.toml", "lasting"
    if status == 404:
        return "what answers there is no object store (404 without a code): check [store] endpoint", "lasting"
    return f"the store refuses the request ({said}): check [store] in pointsman.toml", "lasting"


def _broken(text: str) -> tuple[str, Literal["passing", "lasting"]]:
    if "BadScheme" in text:
        return "it is plain http: only [store] endpoint with allow_http = true permits that", "lasting"
    if re.search(r"kind: (ConnectionRefused|NetworkUnreachable|HostUnreachable)", text):
        return "nothing answers there: check [store] endpoint, the network, and that the store is running", "passing"
    if "dns error" in text:
        return "no such host: check [store] endpoint and the network", "passing"
    if re.search(r"InvalidCertificate|InvalidContentType|TLS|[Cc]ertificate", text):
        return "no secure connection can be made: check [store] endpoint, its certificate and https", "lasting"
    if re.search(r"kind: Timeout|TimedOut|timed out", text):
        more = "POINTSMAN_STORE_TIMEOUT=<seconds> gives it more time"
        return f"no answer: check [store] endpoint, the network, and that the store is well; {more}", "passing"
    return "the connection broke off: check the network and the store, then run again", "passing"


def _host(url: str) -> str:
    """Scheme, host and port of a URL: what names an endpoint, without anything that could be a secret."""
    split = urlsplit(url)
    return f"{split.scheme}://{split.netloc.rpartition('@')[2]}" if split.netloc else ""
