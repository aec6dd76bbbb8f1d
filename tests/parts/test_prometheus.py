"""What a Prometheus answers, and what must never be taken for an answer: each bad one is told in a sentence."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from answering import Answer, answering, plain

from pointsman.rollout.judge import judge, points
from pointsman.serving.prometheus import HEADERS, NoValues, Prometheus
from pointsman.state.check import Check

NOW = 1_800_000_000
SECRET = "s3cret-token"


def check(url: str) -> Check:
    return Check("empty", url, "x", 0.02, True, 60)


def series(*values: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    moments = points(check("http://p"), NOW)
    return {"metric": labels or {}, "values": [[at, values[n % len(values)]] for n, at in enumerate(moments)]}


def says(*found: Any, kind: str = "matrix", status: str = "success", **more: Any) -> bytes:
    data = {"resultType": kind, "result": list(found)}
    return json.dumps({"status": status, "data": data, **more}).encode()


class Server:
    """One server and one client for all tests of this file: a client takes its time to be made."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answer: Answer = plain(200)
        self.clients = {seconds: Prometheus(seconds) for seconds in (10, 0.3)}
        self.count = 0

    @contextmanager
    def asking(self, answer: Answer, seconds: float = 10) -> Iterator[tuple[Prometheus, Check]]:
        self.answer, self.count = answer, self.count + 1
        yield self.clients[seconds], check(f"{self.url}/{self.count}")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with answering(lambda to: made.answer(to)) as (url, _):  # noqa: PLW0108 - made below
        made = Server(url)
        yield made
        for client in made.clients.values():
            client.close()


def verdict(prometheus: Prometheus, of: Check) -> str:
    found = judge(of, prometheus.values(of, of.query, points(of, NOW), "grocer"), NOW)
    return f"{found.verdict}: {found.says}"


@pytest.mark.parametrize(
    "body, wanted",
    [
        (says(series("0.01")), "pass: 0.01, below 0.02"),
        (says(series("1e-3", "0")), "pass: 0 to 0.001"),
        (says(series("0.3")), "fail: 0.3, and it must be below 0.02"),
        (says(series("0.3", "0.01")), "undecided: 31 of 61 values are not below 0.02"),
        (says(series("NaN")), "undecided: not enough data: 61 of 61 values are no numbers"),
        (says(series("0", "+Inf")), "undecided: not enough data: 30 of 61 values are no numbers"),
        (says({"metric": {}, "values": series("0")["values"][1:]}), "undecided: not enough data: 1 of 61 values"),
        (says({"metric": {}, "values": []}), "undecided: not enough data: 61 of 61 values are missing"),
    ],
)
def test_one_series_with_every_value_decides(server: Server, body: bytes, wanted: str) -> None:
    with server.asking(plain(200, body)) as (prometheus, of):
        assert verdict(prometheus, of).startswith(wanted)


ODD = "the answer has no numbers as values"
NOT_ONE = "the answer is not one of Prometheus"


@pytest.mark.parametrize(
    "status, body, why",
    [
        (200, says(), "not enough data: the query has no value"),
        (200, says(series("0"), series("0", labels={"a": "b"})), "the query has several series"),
        (200, says(series("0"), kind="vector"), NOT_ONE),
        (200, says(series("0"), status="error"), NOT_ONE),
        (200, says(series("0"), warnings=["some stores are away"]), "the server warns: ['some stores are away']"),
        (200, says({"metric": {}, "histograms": []}), ODD),
        (200, says({"metric": {}, "values": [[NOW]]}), ODD),
        (200, says({"metric": {}, "values": [[NOW, 0.1]]}), ODD),
        (200, says({"metric": {}, "values": [["now", "0.1"]]}), ODD),
        (200, says({"metric": {}, "values": [[True, "0.1"]]}), ODD),
        (200, says({"metric": {}, "values": [[NOW, "a\x1b[31m"]]}), "a value that is no number: a\\u001b[31m"),
        (200, says({"metric": {}, "values": [[n, "0"] for n in range(70)]}), ODD),
        (200, says("x"), ODD),
        (200, b'{"status": "success"}', NOT_ONE),
        (200, b"<html>login</html>", NOT_ONE),
        (200, b"", NOT_ONE),
        (200, b"[" * 100_000, NOT_ONE),
        (204, b"", NOT_ONE),
        (400, b'{"status":"error","error":"parse error: bad"}', "answered HTTP 400: parse error: bad"),
        (401, f"no {SECRET}".encode(), "answered HTTP 401: no ***"),
        (302, b"", "answered HTTP 302"),
        (503, b"\x1b[2Jx", "answered HTTP 503: \\u001b[2Jx"),
        (200, b"x" * (1 << 20) + b"x", "its answer has more than 1048576 bytes"),
    ],
)
def test_anything_else_decides_nothing_and_is_told(
    server: Server, status: int, body: bytes, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HEADERS, f"Authorization: Bearer {SECRET}")
    with server.asking(plain(status, body)) as (prometheus, of), pytest.raises(NoValues) as told:
        verdict(prometheus, of)
    assert why in str(told.value)
    assert SECRET not in str(told.value)
    assert str(told.value).isprintable()


def test_a_server_that_is_away_is_told_and_asked_once() -> None:
    prometheus, of = Prometheus(), check("http://127.0.0.1:9")
    for why in ("http://127.0.0.1:9 gave no answer", "not asked: http://127.0.0.1:9 gave no answer before"):
        with pytest.raises(NoValues, match=why):
            verdict(prometheus, of)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["silent", "a byte a moment"])
def test_an_answer_that_does_not_end_is_not_waited_for(server: Server, kind: str) -> None:
    def answer(to: BaseHTTPRequestHandler) -> None:
        if kind == "silent":
            to.connection.recv(1)  # until the other side goes away
            return
        to.send_response(200)
        to.end_headers()
        while True:
            to.wfile.write(b" ")
            time.sleep(0.01)

    with server.asking(answer, seconds=0.3) as (prometheus, of), pytest.raises(NoValues, match="gave no answer"):
        verdict(prometheus, of)


def test_the_query_the_times_and_the_headers_are_sent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Any] = []

    def answer(to: Any) -> None:
        heard.append((to.path, to.headers["Authorization"], to.headers["Content-Type"]))
        plain(200, says(series("0")))(to)

    monkeypatch.setenv(HEADERS, "[other] Authorization: no\nAuthorization: of {tenant}")
    with server.asking(answer) as (prometheus, of):
        assert verdict(prometheus, of).startswith("pass")
    assert heard == [(f"/{server.count}/api/v1/query_range", "of grocer", "application/x-www-form-urlencoded")]
