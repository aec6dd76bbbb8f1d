"""Calls to GitHub: requests, waits and retries.

A call that reads is retried here. A call that writes is retried only if GitHub says that it did nothing. After a lost
answer only reading back shows whether the write happened, so the caller gets `Lost` and checks.

Limits (docs.github.com, "Best practices for using the REST API" and "Rate limits for the REST API"): a second between
writes if there are many, Retry-After, x-ratelimit-reset. All waits of a run together have one limit.
"""

from __future__ import annotations

import random
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from pointsman import __version__
from pointsman.errors import Unreachable, one_line
from pointsman.forge.base import Silent
from pointsman.forge.github.place import TOKENS, Place
from pointsman.timeouts import forge_patience, remote_timeout
from pointsman.web import Line, Unfinished, trouble

REQUEST_TRIES = 5
_WRITES_A_MINUTE = 60  # GitHub's limit for what creates content is 80
_PER_PAGE = 100
_ANSWER_TIMEOUT = 30.0  # seconds without a byte
_LONGEST_LIMIT = 86400.0  # seconds
_MOST_PAGES = 100
_MOST_BYTES = 1 << 25  # of one answer: a page of 100 pull requests with the longest bodies has 13 MB
_LIMITED_KINDS = {"RATE_LIMIT", "RATE_LIMITED"}  # GraphQL's types of an error


class Lost(Silent):
    """The answer was lost. If the call was a write, it may have happened."""


class Denied(Unreachable):
    """GitHub understood the call and did nothing. `status` is that of HTTP, `reason` in GitHub's words."""

    def __init__(self, says: str, status: int, reason: str) -> None:
        super().__init__(says)
        self.status = status
        self.reason = reason


class Pacer:
    """Limits how long one run waits for GitHub in all, and how fast it writes."""

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
        self.sleep(seconds)

    def write(self) -> None:
        """Count one write, and wait if there were too many within a minute."""
        if len(self._writes) == self._writes.maxlen and (early := self._writes[0] + 60 - self.clock()) > 0:
            self.wait(early, f"more than {_WRITES_A_MINUTE} writes to GitHub need a pause of {early:.0f} s")
        self._writes.append(self.clock())


class Client:
    """The calls of one run to GitHub, for one repository."""

    def __init__(self, place: Place, token: Callable[[], str], pacer: Pacer | None = None) -> None:
        self.place = place
        self.pacer = pacer or Pacer()
        self._token = token
        self._client = httpx.Client(
            headers={
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
                "User-Agent": f"pointsman/{__version__}",
                "Accept-Encoding": "gzip",
            },
            timeout=httpx.Timeout(min(remote_timeout(), _ANSWER_TIMEOUT)),
        )
        self._http = Line(self._client)

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **query: str | int) -> Any:
        """The answer to GET; Denied with status 404 if there is nothing."""
        return self._retried(lambda: self._call("GET", self.place.api + path, query=query))[0]

    def pages(self, path: str, **query: str | int) -> Iterator[Any]:
        """Every item of a list, page after page. Unreachable for a list that does not end."""
        for page in range(1, _MOST_PAGES + 1):
            items = self.get(path, **query, per_page=_PER_PAGE, page=page)
            yield from items
            if len(items) < _PER_PAGE:
                return
        raise Unreachable(f"{self.place.server} has more than {_MOST_PAGES * _PER_PAGE} entries in {path}: close some")

    def write(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a write once; Lost if it is not known whether it happened."""
        return self._within_limits(lambda: self._call(method, self.place.api + path, body=body))[0]

    def graphql(self, query: str, variables: Mapping[str, Any]) -> Any:
        """The data of a mutation; Denied with status 200 and GitHub's words if there are errors."""
        body = {"query": query, "variables": variables}
        return self._within_limits(lambda: self._mutation(body))[0]

    def _mutation(self, body: Mapping[str, Any]) -> tuple[Any, httpx.Headers]:
        """The data of one call. A rate limit, too, comes with status 200 ("Rate limits … for the GraphQL API")."""
        answer, headers = self._call("POST", self.place.graphql, body=body)
        if not isinstance(answer, dict):
            raise Lost(f"{self.place.server} answered POST {httpx.URL(self.place.graphql).path} with something odd")
        if not (errors := answer.get("errors")):
            return answer.get("data"), headers
        reason = _reason({"errors": errors})
        kinds = {str(error.get("type", "")) for error in errors if isinstance(error, dict)}
        if kinds & _LIMITED_KINDS or "rate limit" in reason.lower():
            raise _Limited(self._seconds(headers))
        raise Denied(f"GitHub says: {one_line(reason)}", 200, reason)

    # how often

    def _retried(self, call: Callable[[], tuple[Any, httpx.Headers]]) -> tuple[Any, httpx.Headers]:
        for again in range(REQUEST_TRIES):
            try:
                return self._within_limits(call)
            except Lost:
                if again == REQUEST_TRIES - 1:
                    raise
                self.pause(again)
        raise AssertionError("unreachable")

    def pause(self, again: int) -> None:
        """Wait a little before the next try, longer each time."""
        self.pacer.wait(random.uniform(0.5, 1) * 0.2 * 2**again, "GitHub does not answer properly and needs a pause")

    def _within_limits(self, call: Callable[[], tuple[Any, httpx.Headers]]) -> tuple[Any, httpx.Headers]:
        """Call. If a rate limit stopped the call, it did nothing: wait as GitHub asks, and call again."""
        while True:
            try:
                return call()
            except _Limited as limited:
                self.pacer.wait(limited.seconds, "GitHub's rate limit asks to wait " + f"{limited.seconds:.0f} s")

    # one call

    def _call(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> tuple[Any, httpx.Headers]:
        if method != "GET":
            self.pacer.write()
        what = f"{method} {httpx.URL(url).path}"
        headers = {"Authorization": f"Bearer {self._token()}"}
        try:
            request = self._client.build_request(method, url, params=query, json=body, headers=headers)
            answer = self._http.ask(request, min(remote_timeout(), 2 * _ANSWER_TIMEOUT), _MOST_BYTES)
        except Unfinished as error:
            raise Lost(f"{self.place.server} does not answer as it should ({what}: {error})") from error
        except httpx.HTTPError as error:
            says = trouble(error, url)
            raise Lost(f"{self.place.server} does not answer ({what}: {type(error).__name__}: {says})") from error
        if answer.status_code >= 500:
            raise Lost(f"{self.place.server} answered {answer.status_code} to {what}")
        if answer.status_code == 204:
            return None, answer.headers
        try:
            content = answer.json()
        except ValueError as error:
            raise Lost(f"{self.place.server} answered {what} with something that is not JSON") from error
        if answer.is_success:
            return content, answer.headers
        raise self._trouble(answer, content, what)

    def _trouble(self, answer: httpx.Response, content: Any, what: str) -> Exception:
        reason = _reason(content)
        if (seconds := self._limit(answer, reason)) is not None:
            return _Limited(seconds)
        status, slug = answer.status_code, self.place.slug
        if status == 401:
            return Denied(f"GitHub does not accept the token ({' or '.join(TOKENS)}): make a new one", status, reason)
        if status == 403:
            needs = answer.headers.get("x-accepted-github-permissions", "")
            hint = f" (it needs {one_line(needs)})" if needs else ""
            return Denied(f"the token does not allow {what}{hint}: {one_line(reason)}", status, reason)
        if status == 404:
            return Denied(f"GitHub has no {what.partition(' ')[2]} that this token may see ({slug})", status, reason)
        if answer.is_redirect:
            return Denied(f"{slug} has moved on GitHub: give origin its new URL (git remote set-url)", status, reason)
        return Denied(f"GitHub refused {what}: {one_line(reason)}", status, reason)

    def _limit(self, answer: httpx.Response, reason: str) -> float | None:
        """Seconds to wait if a rate limit stopped the call; None if not."""
        if answer.status_code not in (403, 429):
            return None
        told = "retry-after" in answer.headers or answer.headers.get("x-ratelimit-remaining") == "0"
        if told or answer.status_code == 429 or "rate limit" in reason.lower():
            return self._seconds(answer.headers)
        return None

    def _seconds(self, headers: httpx.Headers) -> float:
        """How long a rate limit asks to wait; a minute if it does not say."""
        after, reset = headers.get("retry-after", ""), headers.get("x-ratelimit-reset", "")
        seconds = 60.0  # "wait for at least one minute before retrying"
        if re.fullmatch(r"\d{1,6}", after):
            seconds = float(after)
        elif headers.get("x-ratelimit-remaining") == "0" and re.fullmatch(r"\d{1,12}", reset):
            seconds = float(reset) - self.pacer.clock()
        return min(max(seconds, 1.0), _LONGEST_LIMIT)


class _Limited(Exception):
    """A rate limit stopped a call before it did anything."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def _reason(content: Any) -> str:
    if not isinstance(content, dict):
        return ""
    texts = [str(content.get("message", ""))]
    errors = content.get("errors")
    texts += [
        str(error.get("message") or error.get("code", "")) if isinstance(error, dict) else str(error)
        for error in (errors if isinstance(errors, list) else ())
    ]
    return "; ".join(text for text in texts if text)
