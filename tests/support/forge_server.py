"""The HTTP of a stand-in for a forge: its calls, which a rule may spoil, and git by `git http-backend`."""

from __future__ import annotations

import base64
import contextlib
import gzip
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

Answer = tuple[int, bytes, dict[str, str]]
Rule = Callable[[str, str], str | None]
# A spoiled answer: status, body and headers. The call does not take place.
SPOILED: dict[str, Answer] = {
    "limited": (429, b'{"message": "Too many requests"}', {"Retry-After": "7"}),
    "forbidden": (
        403,
        b'{"message": "token does not have at least one of required scope(s): [write:repository]"}',
        {},
    ),
    "gone": (404, b'{"message": "not found"}', {}),
    "malformed": (200, b'{"number": ', {}),
    "another": (200, b'{"hello": "this is the proxy of the company"}', {}),
    "objects": (200, b'[{"hello": "this is the proxy of the company"}]', {}),
    "list": (200, b'[1, null, "x"]', {}),
    "text": (200, b'"hello"', {}),
    "null": (200, b"null", {}),
    "deep": (200, b"[" * 200_000, {}),
    "401": (401, b'{"message": "token is required"}', {}),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """The page of a pull request as people see it."""

    title: str
    body: str
    labels: list[str]
    comments: list[str]
    is_open: bool


class ForgeServer:
    """One bare repository behind HTTP, below a path. `rule` spoils calls one by one: "KIND" or "KIND after".

    `slug`: its path. `user`: whose password the token is for git. `spoiled`: the answers of a KIND that is no number.
    What all stand-ins have in common, tests of every forge use; the rest is for those of one.
    """

    kind = ""  # as `forge.kind` says it
    sign = "#"  # before the number of a pull request
    ways: tuple[str, ...] = ()  # the buttons that merge
    needs_review = True
    records_need_review = False
    first = "success"  # the pipeline of a ship's head, where the forge tells pipelines from checks
    slug = "o/r"
    user = "x-access-token"
    api = ""
    spoiled: Mapping[str, Answer] = SPOILED

    def __init__(self, root: Path, *, token: str, below: str = "") -> None:
        self.root = root
        self.repo = root / f"{self.slug}.git"
        self.repo.parent.mkdir(parents=True)
        self.git("init", "-q", "--bare", "-b", "main", str(self.repo), where=root)
        for name in ("http.receivepack", "uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
            self.git("config", name, "true")
        self.token = token
        self.path = below
        self.refuses_filter = False  # although it offers it
        self.calls: list[tuple[str, str]] = []
        self.wrong: list[str] = []
        self.rule: Rule = lambda method, path: None
        server = self

        class Handler(_Handler):
            def forge(self) -> ForgeServer:
                return server

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.host = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.host}{below}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def git(self, *words: str, where: Path | None = None, given: str | None = None) -> str:
        identity = ("-c", "user.name=Forge", "-c", "user.email=noreply@forge.example")
        ran = subprocess.run(
            ["git", *identity, *words], cwd=where or self.repo, input=given, capture_output=True, text=True, check=False
        )
        if ran.returncode != 0:
            raise ValueError(ran.stderr)
        return ran.stdout.strip()

    def head(self, branch: str) -> str:
        return self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")

    def look(self) -> None:
        """What it does by itself, after a push."""
        raise NotImplementedError

    # what people see and do

    def numbers(self, prefix: str, state: str = "") -> list[int]:
        """The pull requests from branches that begin so. `state`: "open", or of any."""
        raise NotImplementedError

    def branch(self, number: int) -> str:
        raise NotImplementedError

    def address(self, number: int) -> str:
        raise NotImplementedError

    def shown(self, number: int) -> Shown:
        raise NotImplementedError

    def is_merged(self, number: int) -> bool:
        raise NotImplementedError

    def approve(self, number: int, who: str = "ann") -> None:
        raise NotImplementedError

    def say(self, number: int, text: str, who: str = "mallory") -> None:
        raise NotImplementedError

    def shut(self, number: int) -> None:
        """Close it by hand; its branch stays."""
        raise NotImplementedError

    def button(self, number: int, how: str = "squash") -> str:
        """Merge with the message that is offered. The commit of main."""
        raise NotImplementedError

    def keep_branches(self) -> None:
        """From here on a branch stays when it is merged, where a project can be set up so."""

    def lose_lines(self, number: int) -> None:
        """From here on the squash button offers the title alone."""
        raise NotImplementedError

    def revert(self, number: int) -> int:
        """The Revert button: the number of the pull request that it opens."""
        raise NotImplementedError

    def protect(self) -> None:
        """From here on a push to main is refused, but for what may be pushed."""
        (self.repo / "protected").touch()

    def repeated(self) -> list[str]:
        """What was done twice, although it had an effect the first time."""
        return []

    def push(self, branch: str, text: str, *, onto: str = "") -> str:
        """Somebody pushes a commit to a branch that changes no file; by default on top of it. The commit."""
        head = self.head(branch)
        new = self.git("commit-tree", f"{head}^{{tree}}", "-p", onto or head, given=text)
        self.git("update-ref", f"refs/heads/{branch}", new)
        return new

    # HTTP

    def served(self, method: str, path: str, query: dict[str, str], sent: bytes, authorization: str) -> Answer:
        raise NotImplementedError


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def forge(self) -> ForgeServer:
        raise NotImplementedError

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it overrides
        return

    def _any(self) -> None:
        forge, url, body = self.forge(), urlsplit(self.path), self._body()
        if url.path.startswith(f"{forge.path}/{forge.slug}.git"):
            self._git(url.path.removeprefix(forge.path), url.query, body)
            return
        fault = forge.rule(self.command, url.path.removeprefix(forge.api)) or ""
        kind, _, after = fault.partition(" ")
        if kind and not after:
            self._spoil(kind)
            return
        query = dict(parse_qsl(url.query))
        answer = forge.served(self.command, url.path, query, body, self.headers.get("authorization", ""))
        if kind:
            self._spoil(kind)
        else:
            self._send(*answer)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _any  # noqa: N815 - the names that http.server calls

    def _spoil(self, kind: str) -> None:
        if kind == "cut":
            self.close_connection = True
        elif kind == "hang":
            self.rfile.read()  # until the caller hangs up
            self.close_connection = True
        elif kind == "flood":
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):  # until the caller hangs up
                while True:
                    self.wfile.write(b" " * 65536)
        elif kind in self.forge().spoiled:
            self._send(*self.forge().spoiled[kind])
        else:
            self._send(int(kind), b'{"message": "Server Error"}', {})

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline().strip() or b"0", 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
        return gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body

    def _git(self, path: str, query: str, body: bytes) -> None:
        forge = self.forge()
        wanted = "Basic " + base64.b64encode(f"{forge.user}:{forge.token}".encode()).decode()
        if self.headers.get_all("authorization") != [wanted]:
            self._send(401, b"", {"WWW-Authenticate": 'Basic realm="forge"'})
            return
        filters = "false" if forge.refuses_filter and self.command == "POST" else "true"
        env = {
            **os.environ,
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "uploadpack.allowFilter",
            "GIT_CONFIG_VALUE_0": filters,
            "GIT_PROJECT_ROOT": str(forge.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_USER": "bot",
            "REMOTE_ADDR": "127.0.0.1",
            "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
        }
        out = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=env, check=False).stdout
        head, _, content = out.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        forge.look()
        self._send(int(fields.pop("Status", "200").split()[0]), content, fields)

    def _send(self, code: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {"Content-Type": "application/json", **headers, "Content-Length": str(len(data))}.items():
            if code != 204 or name != "Content-Length":
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
