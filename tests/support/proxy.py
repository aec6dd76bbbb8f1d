"""A proxy between a command and a store that spoils what passes through it, one request at a time, on loopback.

It runs in a thread of the test. Requests are forwarded as they are, so that their signatures hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

FAULTS = ("500", "503", "429", "409", "reset", "half sent", "lost answer", "truncated", "hang")
_SAYS = {"500": "InternalError", "503": "SlowDown", "429": "TooManyRequests", "409": "ConditionalRequestConflict",
         "403": "AccessDenied"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One request: what is asked of the store."""

    method: str
    path: str
    condition: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}{f' if {self.condition}' if self.condition else ''}"


Rule = Callable[[Call], str | None]


def _passes(call: Call) -> str | None:
    return None


class Proxy:
    """Forwards to `upstream` (host:port); `rule` says for each call which fault it meets, None: it passes."""

    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.partition(":")
        self.upstream = host, int(port)
        self.rule: Rule = _passes
        self.calls: list[Call] = []
        self.spoilt: list[Call] = []
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._port = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._listening.wait()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def forget(self, rule: Rule = _passes) -> None:
        """Begin again under another rule."""
        self.calls, self.spoilt, self.rule = [], [], rule

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await self._answer(reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                writer.transport.abort()
            finally:
                writer.close()
                tasks.discard(task)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._stop.wait()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        condition = re.search(rb"(?i)\r\n(if-(?:none-)?match): *([^\r]*)", head)
        call = Call(method, unquote(urlsplit(target).path), condition[1].decode().lower() if condition else "")
        self.calls.append(call)
        fault = self.rule(call)
        if fault is not None:
            self.spoilt.append(call)
        match fault:
            case "hang":
                await reader.read()  # until the other side gives up
                return
            case "reset":
                _reset(writer)
                return
            case "500" | "503" | "429" | "409" | "403":
                says = f"<Error><Code>{_SAYS[fault]}</Code><Message>made up</Message></Error>".encode()
                writer.write(b"HTTP/1.1 %s Made up\r\ncontent-length: %d\r\n" % (fault.encode(), len(says)))
                writer.write(b"connection: close\r\n\r\n" + (b"" if method == "HEAD" else says))
                await writer.drain()
                return
        if fault == "half sent":
            if body:  # without one there is no half of a request
                await self._ask(head, body, sent=len(body) // 2)
            _reset(writer)
            return
        answer = await self._ask(head, body)
        if fault == "lost answer":
            _reset(writer)
            return
        writer.write(answer[: _middle(answer)] if fault == "truncated" else answer)
        await writer.drain()

    async def _ask(self, head: bytes, body: bytes, sent: int | None = None) -> bytes:
        """The whole answer of the store to one request, of whose body so much is sent, on a connection of its own."""
        head = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head)
        reader, writer = await asyncio.open_connection(*self.upstream)
        try:
            writer.write(head[:-2] + b"connection: close\r\n\r\n" + body[:sent])
            await writer.drain()
            if sent is not None:
                return b""
            return await reader.read()
        finally:
            writer.close()


def _middle(answer: bytes) -> int:
    """Where to cut: in the middle of the body, of the head if there is no body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return len(head) + 4 + len(body) // 2 if body else len(head) // 2


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close as a machine does that has lost power: the other side gets a reset, not an end."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.contextmanager
def running(upstream: str) -> Iterator[Proxy]:
    proxy = Proxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
