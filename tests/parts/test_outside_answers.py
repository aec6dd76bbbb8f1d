"""Whatever a server sends, or a command does: one limit of time and one of bytes in all, and a sentence."""

from __future__ import annotations

import gzip
import os
import re
import shlex
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest
from answering import answering, own_certificate, plain

from pointsman.errors import Unreachable
from pointsman.forge import http
from pointsman.forge.github.client import Client
from pointsman.forge.github.place import Place
from pointsman.forge.http import Pacer
from pointsman.serving import calls
from pointsman.serving.calls import Calls
from pointsman.web import OWN_CA, Line, Unfinished

MOST = 1 << 16
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
Send = Callable[[Callable[[bytes], object]], None]


def _slowly(first: bytes, each: bytes) -> Send:
    def send(write: Callable[[bytes], object]) -> None:
        write(first)
        while True:
            write(each)
            Event().wait(0.02)

    return send


def _fast(first: bytes, each: bytes) -> Send:
    def send(write: Callable[[bytes], object]) -> None:
        write(first)
        while True:
            write(each)

    return send


BOMB = gzip.compress(bytes(200 * MOST))
SLOW: Mapping[str, Send] = {
    "nothing": _slowly(b"", b""),
    "a head byte by byte": _slowly(HEAD + b"X: ", b"a"),
    "heads without end": _slowly(HEAD, b"X: a\r\n"),
    "early hints without end": _slowly(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "a body byte by byte": _slowly(HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
    "chunks without end": _slowly(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}
LONG: Mapping[str, Send] = {
    "a body without end": _fast(HEAD + b"\r\n", b" " * 4096),
    "long chunks without end": _fast(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b" " * 4096 + b"\r\n"),
    "little that unpacks to much": lambda write: [  # type: ignore[dict-item]
        write(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB)
    ],
}
TOLD = dict.fromkeys(SLOW, "was not whole after|no answer came") | dict.fromkeys(LONG, "has more than 65536 bytes")


def server(name: str) -> Callable[[BaseHTTPRequestHandler], object]:
    send = {**SLOW, **LONG}[name]
    return lambda to: send(to.wfile.write)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_CALL_SECONDS", 0.3)
    monkeypatch.setattr(calls, "_POST_TRIES", 1)
    monkeypatch.setattr(calls, "_MOST_OF_AN_ANSWER", MOST)
    monkeypatch.setattr(http, "_MOST_BYTES", MOST)
    monkeypatch.setattr(http, "REQUEST_TRIES", 1)
    monkeypatch.setenv("POINTSMAN_REMOTE_TIMEOUT", "0.3")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.mark.slow
@pytest.mark.parametrize("name", TOLD)
def test_an_answer_that_drips_floods_or_never_ends_is_given_up_by_whoever_asked(name: str) -> None:
    with answering(server(name)) as (url, _):
        said = Calls().post(url, {"v": 1}, "POINTSMAN_NO_HEADERS")
        assert re.search(TOLD[name], said)
        client = Client(Place(url, "o", "r"), lambda: "token", Pacer(sleep=lambda _: None))
        with pytest.raises(Unreachable, match=TOLD[name]):
            client.get("/x")
        client.close()


def test_a_connection_that_was_used_before_is_watched_too() -> None:
    def answer(to: BaseHTTPRequestHandler) -> None:
        to.protocol_version = "HTTP/1.1"
        if to.path == "/slow":
            SLOW["a body byte by byte"](to.wfile.write)
        to.close_connection = False
        to.wfile.write(HEAD + b"Content-Length: 2\r\n\r\n{}")

    with answering(answer) as (url, _), httpx.Client(timeout=30) as client:
        line = Line(client)
        assert line.ask(client.build_request("GET", url), 30, MOST).json() == {}
        with pytest.raises(Unfinished, match="was not whole after"):
            line.ask(client.build_request("GET", f"{url}/slow"), 0.2, MOST)
        assert line.ask(client.build_request("GET", url), 30, MOST).json() == {}


def test_a_handshake_that_drips_has_the_same_limit(tmp_path: Path) -> None:
    """TLS asks for the rest of a record as often as a byte of it comes."""
    ended = Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            there, _ = listening.accept()
            with there, suppress(OSError):
                there.sendall(b"\x16\x03\x03\x3f\xff")  # RFC 8446, 5.1: a record of 16,383 bytes
                while not ended.is_set():
                    there.sendall(b"\x02")
                    ended.wait(0.02)

        thread = Thread(target=drip)
        thread.start()
        with httpx.Client(timeout=30) as client:
            url = f"https://127.0.0.1:{listening.getsockname()[1]}"
            with pytest.raises(Unfinished, match="was not whole after"):
                Line(client).ask(client.build_request("GET", url), 0.3, MOST)
        ended.set()
        thread.join()


def test_an_answer_within_its_limits_is_whole_and_unpacked() -> None:
    body = gzip.compress(b'{"a": 1}')

    def answer(to: BaseHTTPRequestHandler) -> None:
        to.wfile.write(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with answering(answer) as (url, _), httpx.Client() as client:
        assert Line(client).ask(client.build_request("GET", url), 30, 8).json() == {"a": 1}
        with pytest.raises(Unfinished):
            Line(client).ask(client.build_request("GET", url), 30, 7)


def test_a_webhook_is_told_of_a_proxy_that_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("HTTP_PROXY", "http://me:secret@127.0.0.1:1")
    with answering(plain(200)) as (url, asked):
        said = Calls().post(url, {}, "POINTSMAN_NO_HEADERS")
    assert said.endswith(", sent through the proxy 127.0.0.1:1 of HTTP_PROXY")
    assert "secret" not in said
    assert asked == []


@pytest.mark.slow
def test_an_own_ca_is_trusted_if_ssl_cert_file_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tools are told of is for stores: docs/settings.md."""
    with answering(plain(200), own_certificate(tmp_path)) as (url, _):
        for variable, ends in (("AWS_CA_BUNDLE", OWN_CA), ("REQUESTS_CA_BUNDLE", OWN_CA), ("SSL_CERT_FILE", "")):
            with monkeypatch.context() as patch:
                patch.setenv(variable, str(tmp_path / "ca.pem"))
                assert Calls().post(url, {}, "POINTSMAN_NO_HEADERS").endswith(ends), variable
                assert bool(Calls().post(url, {}, "POINTSMAN_NO_HEADERS")) == bool(ends), variable


COMMANDS = {  # what a command does → what is said of it
    "exit 0": "",
    "sleep 60 & echo $! > child; exit 0": "",
    "sleep 60 & echo $! > child; exit 3": "exit code 3",
    "head -c 9000000 /dev/zero | tr '\\0' x >&2; exit 4": "exit code 4: " + "x" * 200,
    "echo what is wrong >&2; exit 5": "exit code 5: what is wrong",
    "exec 2>&- <&-; exit 6": "exit code 6",
    "cat > given; exit 0": "",
    "yes >&2": "it took more than 1 s and was killed",
    "exec 2>&- <&-; sleep 60": "it took more than 1 s and was killed",
    "setsid sleep 60 & echo $! > child; sleep 60": "it took more than 1 s and was killed",
}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_waited_for_and_not_what_it_leaves_behind_or_writes(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(calls, "_CALL_SECONDS", 0.5 if "killed" in COMMANDS[command] else 30.0)
    document = {"text": "x" * 200_000}  # more than a pipe holds
    try:
        said = Calls().run(f"sh -c {shlex.quote(command)}", document)
    finally:
        if (tmp_path / "child").exists():
            os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)
    assert said.replace("more than 0 s", "more than 1 s") == COMMANDS[command]
    if "given" in command:
        assert len((tmp_path / "given").read_bytes()) > 200_000
