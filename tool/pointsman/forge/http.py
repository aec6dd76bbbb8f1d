"""Calls to a forge over HTTP: requests, waits, retries, and the limits of time, bytes and pages.

A call that reads is retried here. A call that writes is retried only if the forge says that it did nothing. After a
lost answer only reading back shows whether the write happened, so the caller gets `Lost` and checks.

Each kind of forge has a client of its own on top of this one. All waits of a run together have one limit.
"""

from __future__ import annotations

import random
import re
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import httpx

from pointsman import __version__
from pointsman.errors import Unreachable
from pointsman.forge.base import Silent
from pointsman.progress import LONG, waits
from pointsman.timeouts import forge_patience, remote_timeout
from pointsman.web import Line, Unfinished, trouble

REQUEST_TRIES = 5
_WRITES_A_MINUTE = 60  # GitHub's limit for what creates content is 80
_ANSWER_TIMEOUT = 30.0  # seconds without a byte
_LONGEST_LIMIT = 86400.0  # seconds
MOST_PAGES = 100
_ANOTHER = "something else may answer in its place, such as a proxy"
_MOST_BYTES = 1 << 25  # of one answer: a page of 100 pull requests with the longest bodies has 13 MB


class Lost(Silent):
    """The answer was lost. If the call was a write, it may have happened. `status`: that of HTTP; 0 without one."""

    def __init__(self, says: str, status: int = 0) -> None:
        super().__init__(says)
        self.status = status


class Denied(Unreachable):
    """The forge understood the call and did nothing. `status` is that of HTTP, `reason` in the forge's words."""

    def __init__(self, says: str, status: int, reason: str) -> None:
        super().__init__(says)
        self.status = status
        self.reason = reason


class Told(dict[str, Any]):
    """An object of an answer. A member that it has to have and lacks is the server's fault, and told as that.

    `says`: who was asked what.
    """

    __slots__ = ("says",)

    def __init__(self, members: Mapping[str, Any], says: str) -> None:
        super().__init__(members)
        self.says = says

    def __missing__(self, name: str) -> Any:
        raise Lost(f"{self.says} without {name!r}: {_ANOTHER}")


class Limited(Exception):
    """A rate limit stopped a call before it did anything. `seconds`: how long it asks to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Pacer:
    """Limits how long one run waits for a forge in all, and how fast it writes."""

    def __init__(
        self, clock: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep, patience: float = 0
    ) -> None:
        self.clock = clock
        self.sleep = sleep
        self.left = patience or forge_patience()
        self._writes: deque[float] = deque(maxlen=_WRITES_A_MINUTE)

    def wait(self, seconds: float, why: str) -> None:
        """Wait. If the run has no time left for that: Unreachable, with the time to run again."""
        if seconds > self.left:
            then = datetime.fromtimestamp(self.clock() + seconds, UTC).strftime("%H:%M:%S UTC")
            raise Unreachable(
                f"{why}, and that is longer than this run waits (POINTSMAN_FORGE_PATIENCE): run it again after {then}, "
                "it goes on where it stopped"
            )
        self.left -= seconds
        if seconds > LONG:
            waits(why, seconds)
        self.sleep(seconds)

    def write(self) -> None:
        """Count one write, and wait if there were too many within a minute."""
        if len(self._writes) == self._writes.maxlen and (early := self._writes[0] + 60 - self.clock()) > 0:
            self.wait(early, f"more than {_WRITES_A_MINUTE} writes to the forge need a pause of {early:.0f} s")
        self._writes.append(self.clock())


class HttpClient(ABC):
    """The calls of one run to a forge, for one repository: what a client of each kind stands on.

    `server`: the web address, for sentences. `api`: the URL that each path is added to. `authorization`: the headers
    with the token, a new one if necessary.
    """

    forge = "the forge"  # its name, at the beginning of sentences
    page_size = ("per_page", 100)  # the parameter of a list, and the most that the forge gives at once
    limit_headers = ("x-ratelimit-remaining", "x-ratelimit-reset")

    def __init__(
        self,
        server: str,
        api: str,
        authorization: Callable[[], Mapping[str, str]],
        pacer: Pacer | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.server = server
        self.api = api
        self.pacer = pacer or Pacer()
        self._authorization = authorization
        manners = {"User-Agent": f"pointsman/{__version__}", "Accept-Encoding": "gzip"}
        self._client = httpx.Client(
            headers={"Accept": "application/json", **manners, **(headers or {})},
            timeout=httpx.Timeout(min(remote_timeout(), _ANSWER_TIMEOUT)),
        )
        self._http = Line(self._client)

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **query: str | int) -> Any:
        """The object that answers GET; Denied with status 404 if there is nothing."""
        return self._object(self.read(path, **query)[0], "GET", path)

    def some(self, path: str, **query: str | int) -> list[Any]:
        """The objects of a list, of its first page."""
        return self.listed(self.read(path, **query)[0], path)

    def made(self, path: str, body: Mapping[str, Any], method: str = "POST") -> Any:
        """Send a write as `write` does; the object that answers it."""
        return self._object(self.write(method, path, body), method, path)

    def read(self, path: str, **query: str | int) -> tuple[Any, httpx.Headers]:
        """The answer to GET, and its headers."""
        return self._retried(lambda: self.call("GET", self.api + path, query=query))

    def pages(self, path: str, **query: str | int) -> Iterator[Any]:
        """Every item of a list, page after page. Unreachable for a list that does not end."""
        parameter, size = self.page_size
        for page in range(1, MOST_PAGES + 1):
            items = self.some(path, **query, **{parameter: size}, page=page)
            yield from items
            if len(items) < size:
                return
        raise Unreachable(f"{self.server} has more than {MOST_PAGES * size} entries in {path}: close some")

    def write(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a write once; Lost if it is not known whether it happened."""
        return self.within_limits(lambda: self.call(method, self.api + path, body=body))[0]

    def listed(self, content: Any, path: str) -> list[Any]:
        """`content` if it is a list of objects; Lost if not."""
        if not isinstance(content, list) or not all(isinstance(each, Told) for each in content):
            raise Lost(f"{self.server} answered GET {path} with no list of objects: {_ANOTHER}")
        return content

    def _object(self, content: Any, method: str, path: str) -> Any:
        if not isinstance(content, Told):
            raise Lost(f"{self.server} answered {method} {path} with no object: {_ANOTHER}")
        return content

    @cached_property
    def me(self) -> str:
        """The name of the token's user; "" for a token that may not ask for it, as that of a GitHub App."""
        try:
            said = self.get("/user")
        except Denied as error:
            if error.status not in (403, 404):
                raise
            return ""
        return str(said.get("login") or said.get("username") or "")

    # what a kind of forge says

    @abstractmethod
    def refusal(self, answer: httpx.Response, content: Any, what: str) -> Denied:
        """What the forge means by an answer of 300 to 499. `what`: the call, for the sentence."""

    def limit(self, answer: httpx.Response, content: Any) -> float | None:
        """Seconds to wait if a rate limit stopped the call; None if not."""
        return self.seconds(answer.headers) if answer.status_code == 429 else None

    # how often

    def _retried(self, call: Callable[[], tuple[Any, httpx.Headers]]) -> tuple[Any, httpx.Headers]:
        for again in range(REQUEST_TRIES):
            try:
                return self.within_limits(call)
            except Lost:
                if again == REQUEST_TRIES - 1:
                    raise
                self.pause(again)
        raise AssertionError("unreachable")

    def pause(self, again: int) -> None:
        """Wait a little before the next try, longer each time."""
        why = f"{self.forge} does not answer properly and needs a pause"
        self.pacer.wait(random.uniform(0.5, 1) * 0.2 * 2**again, why)

    def within_limits(self, call: Callable[[], tuple[Any, httpx.Headers]]) -> tuple[Any, httpx.Headers]:
        """Call. If a rate limit stopped the call, it did nothing: wait as the forge asks, and call again."""
        while True:
            try:
                return call()
            except Limited as limited:
                why = f"{self.forge}'s rate limit asks to wait {limited.seconds:.0f} s"
                self.pacer.wait(limited.seconds, why)

    def seconds(self, headers: httpx.Headers) -> float:
        """How long a rate limit asks to wait; a minute if it does not say."""
        remaining, until = self.limit_headers
        after, reset = headers.get("retry-after", ""), headers.get(until, "")
        seconds = 60.0  # GitHub: "wait for at least one minute before retrying"
        if re.fullmatch(r"\d{1,6}", after):
            seconds = float(after)
        elif headers.get(remaining) == "0" and re.fullmatch(r"\d{1,12}", reset):
            seconds = float(reset) - self.pacer.clock()
        return min(max(seconds, 1.0), _LONGEST_LIMIT)

    # one call

    def call(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> tuple[Any, httpx.Headers]:
        """One answer, JSON or nothing, and its headers. Lost, Limited or Denied."""
        if method != "GET":
            self.pacer.write()
        what = f"{method} {httpx.URL(url).path}"
        try:
            request = self._client.build_request(method, url, params=query, json=body, headers=self._authorization())
            answer = self._http.ask(request, min(remote_timeout(), 2 * _ANSWER_TIMEOUT), _MOST_BYTES)
        except Unfinished as error:
            raise Lost(f"{self.server} does not answer as it should ({what}: {error})") from error
        except httpx.HTTPError as error:
            says = trouble(error, url)
            raise Lost(f"{self.server} does not answer ({what}: {type(error).__name__}: {says})") from error
        if answer.status_code >= 500:
            raise Lost(f"{self.server} answered {answer.status_code} to {what}", answer.status_code)
        try:
            # Gitea tells by the status alone what became of a write.
            silent = answer.is_redirect or (not answer.content and (answer.is_error or method != "GET"))
            says = f"{self.server} answered {what}"
            content = None if silent else answer.json(object_hook=lambda members: Told(members, says))
        except (ValueError, RecursionError) as error:
            # So may a server answer a call that it does not know, or, as GitLab, one that is too many ("Retry later").
            if answer.status_code not in (404, 429):
                raise Lost(f"{self.server} answered {what} with something that is not JSON") from error
            content = None
        if answer.is_success:
            return content, answer.headers
        if (seconds := self.limit(answer, content)) is not None:
            raise Limited(seconds)
        raise self.refusal(answer, content, what)
