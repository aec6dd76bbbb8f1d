"""What a watching command tells over HTTP: its metrics, and whether it is alive."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from pointsman.cli.console import say
from pointsman.errors import Problem, without_secrets
from pointsman.state.documents import rfc3339

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

PATIENCE = 600.0  # seconds that a pass may take, beside three times the time between two
_AT_ONCE = 32  # connections; more are closed unanswered
_SLOW = 10  # seconds without a byte of a request, then its connection is closed
_WHOLE = 30.0  # seconds for all of a request and its answer: a few that drip would hold all connections


class Watched:
    """When the last pass ended and what it found. It is fresh for ten minutes and three times `every` (seconds)."""

    def __init__(self, every: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = PATIENCE + 3 * every
        self._clock = clock
        self._since = clock()
        self._ended_at: int | None = None
        self._trouble = ""
        self.metrics: Callable[[], CollectorRegistry] | None = None

    def ended(self, trouble: str = "") -> None:
        """A pass has ended, well or not."""
        self._trouble, self._ended_at = without_secrets(trouble), int(time.time())
        self._since = self._clock()

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether a pass ended lately, however it went, and that as a document. Before the first: since the start."""
        age = self._clock() - self._since
        fresh = age <= self.limit
        return fresh, {
            "fresh": fresh,
            "last_pass": None if self._ended_at is None else rfc3339(self._ended_at),
            "age_seconds": int(age),
            "limit_seconds": int(self.limit),
            "trouble": self._trouble,
        }

    @contextlib.contextmanager
    def served(self, address: tuple[str, int] | None) -> Generator[None]:
        """Tell it over HTTP as long as the context lasts, if there is an address. Problem if it cannot be had."""
        if address is None:
            yield
            return
        host, port = address
        try:
            server = _Server((host, port), self)
        except OSError as error:
            raise Problem(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        say(f"pointsman: metrics are at http://{_bracketed(host)}:{server.server_port}/metrics", err=True)
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class _Server(ThreadingHTTPServer):
    """A few connections at once, none of which holds up the end of the command."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], watched: Watched) -> None:
        self.watched = watched
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Answer)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked is gone, or asked nonsense: nobody need hear of it."""


class _Answer(BaseHTTPRequestHandler):
    timeout = _SLOW
    server: _Server
    server_version, sys_version = "pointsman", ""

    def setup(self) -> None:
        super().setup()
        self._watch = threading.Timer(_WHOLE, self._hang_up)
        self._watch.daemon = True
        self._watch.start()

    def finish(self) -> None:
        self._watch.cancel()
        super().finish()

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):  # it may be closed by now
            self.connection.shutdown(socket.SHUT_RDWR)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

            metrics = self.server.watched.metrics
            self._send(200, CONTENT_TYPE_LATEST, generate_latest(metrics()) if metrics is not None else b"")
        elif path == "/healthz":
            fresh, document = self.server.watched.health()
            self._send(200 if fresh else 503, "application/json", json.dumps(document).encode() + b"\n")
        else:
            self._send(404, "text/plain; charset=utf-8", b"there are /metrics and /healthz\n")

    do_HEAD = do_GET  # noqa: N815

    def _send(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Requests are no news."""
