"""Requests whose answers have one limit in time and one in bytes, and what the environment says of connections.

A server can send a byte a second, or never end. The timeouts of httpx begin anew with each byte, so a watch ends the
connection. Of proxies and certificates a sentence names the variable, never its secret.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pointsman.errors import one_line
from pointsman.progress import waiting

if TYPE_CHECKING:
    import httpx

OWN_CA = "if an own CA signed it, name the CA's file in SSL_CERT_FILE"


class Unfinished(Exception):
    """An answer came too slowly, or is too long."""


class Line:
    """A client of httpx, one request at a time, each answer within its limits."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._sockets: list[Any] = []  # of the connections that may be open
        self._opening: list[
            Any
        ] = []  # of those that this request opens, for TLS detaches a socket while it shakes hands
        self._late = threading.Event()

    def close(self) -> None:
        self._client.close()

    def ask(self, request: httpx.Request, seconds: float, most: int) -> httpx.Response:
        """The whole answer, of at most `most` bytes, `seconds` after now at the latest. Unfinished, or httpx's errors.

        `request`: one that the client has built.
        """
        with waiting(f"{request.url.netloc.decode()} has not answered", seconds):
            return self._ask(request, seconds, most)

    def _ask(self, request: httpx.Request, seconds: float, most: int) -> httpx.Response:
        import httpx

        request.extensions = {**request.extensions, "trace": self._see}
        late = self._late = threading.Event()

        def hang_up() -> None:
            late.set()
            _shut(*self._sockets, *self._opening)

        watch = threading.Timer(seconds, hang_up)
        watch.daemon = True
        watch.start()
        try:
            answer = self._client.send(request, stream=True)
            try:
                data = bytearray()
                for piece in answer.iter_bytes():
                    data += piece
                    if len(data) > most:
                        raise Unfinished(f"its answer has more than {most} bytes")
            finally:
                answer.close()
        except httpx.HTTPError as error:
            if late.is_set():
                raise Unfinished(f"its answer was not whole after {seconds:.0f} s") from error
            if isinstance(error, httpx.ReadTimeout):
                raise Unfinished("no answer came") from error
            raise
        finally:
            watch.cancel()
            while self._opening:
                self._opening.pop().close()
        if late.is_set():
            raise Unfinished(f"its answer was not whole after {seconds:.0f} s")
        kept = {name: value for name, value in answer.headers.items() if name not in _OF_THE_WAY}
        return httpx.Response(answer.status_code, headers=kept, content=bytes(data), request=request)

    def _see(self, event: str, info: dict[str, Any]) -> None:
        """Note the socket of a connection, of which httpx tells in this way."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            opened = info["return_value"].get_extra_info("socket")
            self._sockets = [*(each for each in self._sockets if each.fileno() >= 0), opened]
            if event == "connection.connect_tcp.complete":
                self._opening.append(opened.dup())
            if self._late.is_set():
                _shut(opened)


def _shut(*sockets: Any) -> None:
    """End connections, but not by TLS's own shutdown, which would wait for the other side."""
    import socket

    for each in sockets:
        with contextlib.suppress(OSError):  # it may be closed by now
            socket.socket.shutdown(each, socket.SHUT_RDWR)


_OF_THE_WAY = ("content-encoding", "content-length", "transfer-encoding")


def trouble(error: Exception, url: str) -> str:
    """What went wrong with a request to a URL, and what to look at."""
    says = one_line(str(error) or type(error).__name__)
    if "CERTIFICATE_VERIFY_FAILED" in says:
        return f"no secure connection can be made: {OWN_CA}"
    return says + through(url)


def through(url: str) -> str:
    """ ", sent through the proxy …": the proxy of a URL and the variable that names it; "" if there is none."""
    from urllib.request import proxy_bypass

    split = urlsplit(url)
    if proxy_bypass(split.netloc.rpartition("@")[2]):
        return ""
    for name in (f"{split.scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            if proxy := os.environ.get(variable):
                return f", sent through the proxy {_host(proxy)} of {variable}"
    return ""


def _host(proxy: str) -> str:
    """Host and port of a proxy's URL, which may be written without a scheme and with credentials."""
    split = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return split.netloc.rpartition("@")[2] or "(not a URL)"
