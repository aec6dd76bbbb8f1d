"""Prometheus, asked for the values of one query (HTTP API v1, query_range). What cannot be understood has no values.

A server can be away, slow or endless, and can answer anything: each answer has a limit in time, bytes, series and
points, and a server that gave no answer is not asked again in the same run. No redirect is followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pointsman import __version__
from pointsman.errors import Problem, one_line, without_secrets
from pointsman.serving.calls import read_headers, reason
from pointsman.state.check import Check
from pointsman.state.strict_json import read
from pointsman.web import Line, Unfinished, trouble

if TYPE_CHECKING:
    import httpx

HEADERS = "POINTSMAN_PROMETHEUS_HEADERS"
_SECONDS = 10.0  # for one answer
_MOST = 1 << 20  # bytes of one
_SHOWN = 200  # characters of what a server says


class NoValues(Exception):
    """There are no values to judge by; the text says why."""


class Prometheus:
    """The servers that a run asks, each over one connection. `seconds`: the longest time for one answer."""

    def __init__(self, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._lines: dict[str, tuple[httpx.Client, Line]] = {}
        self._silent: dict[str, str] = {}  # the URL of a server that gave no answer → why

    def close(self) -> None:
        for _, line in self._lines.values():
            line.close()
        self._lines.clear()

    def values(self, check: Check, query: str, moments: range, tenant: str) -> Mapping[int, float]:
        """The value of a query at each of these moments, seconds since 1970, where it has one. NoValues if it has none.

        `tenant`: whom the query is about, for headers that depend on it.
        """
        answer = self._ask(check, query, moments, tenant)
        document = read(answer, "")
        data = document.get("data") if isinstance(document, dict) and document.get("status") == "success" else None
        found = data.get("result") if isinstance(data, dict) and data.get("resultType") == "matrix" else None
        if not isinstance(found, list) or not isinstance(document, dict):
            raise NoValues("the answer is not one of Prometheus: look at the URL")
        if len(found) > 1:
            raise NoValues("the query has several series: make it one, such as by sum(…)")
        if warnings := document.get("warnings"):
            raise NoValues(f"the server warns: {_shown(str(warnings))}")
        if not found:
            raise NoValues("not enough data: the query has no value")
        return _values(found[0], moments)

    def _ask(self, check: Check, query: str, moments: range, tenant: str) -> bytes:
        import httpx

        url = f"{check.prometheus}/api/v1/query_range"
        if wrong := self._silent.get(check.prometheus):
            raise NoValues(f"not asked: {check.prometheus} gave no answer before ({wrong})")
        try:
            headers = {"User-Agent": f"pointsman/{__version__}", **read_headers(HEADERS, tenant)}
        except Problem as problem:
            raise NoValues(str(problem)) from problem
        if check.prometheus not in self._lines:
            client = httpx.Client(timeout=self._seconds)
            self._lines[check.prometheus] = client, Line(client)
        client, line = self._lines[check.prometheus]
        form = {
            "query": query,
            "start": str(moments[0]),
            "end": str(moments[-1]),
            "step": str(moments.step),
            "timeout": f"{self._seconds:.0f}s",
            "limit": "2",
        }
        try:
            answer = line.ask(client.build_request("POST", url, data=form, headers=headers), self._seconds, _MOST)
        except (httpx.HTTPError, httpx.InvalidURL, Unfinished) as error:
            says = trouble(error, url)
            self._silent[check.prometheus] = says
            raise NoValues(f"{check.prometheus} gave no answer: {says}") from error
        if not answer.is_success:
            says = reason(answer.content, headers)
            raise NoValues(f"{check.prometheus} answered HTTP {answer.status_code}{says}")
        return answer.content


def _values(series: Any, moments: range) -> Mapping[int, float]:
    """Seconds since 1970 → value, of the one series of an answer."""
    points = series.get("values") if isinstance(series, dict) else None
    if not isinstance(points, list) or len(points) > len(moments):
        raise NoValues("the answer has no numbers as values: the query must have one number at each moment")
    values: dict[int, float] = {}
    for each in points:
        at, text = each if isinstance(each, list) and len(each) == 2 else (None, None)
        if isinstance(at, bool) or not isinstance(at, int | float) or not isinstance(text, str):
            raise NoValues("the answer has no numbers as values: the query must have one number at each moment")
        try:
            values[round(at)] = float(text)
        except (ValueError, OverflowError) as error:
            raise NoValues(f"the answer has a value that is no number: {_shown(text)}") from error
    return values


def _shown(text: str) -> str:
    return one_line(without_secrets(" ".join(text.split()))[:_SHOWN])
