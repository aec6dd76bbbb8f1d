"""One replica of recsys-service, as far as cache invalidation goes: it refuses what the real one refuses.

    POST /v1/admin/tenants/{tenant_id}/cache/invalidate   {"targets": ["popularity"], "surface": "home"}

The order of the checks, the status codes and the sentences are those of the service: authentication, tenant scope,
role, strict JSON, targets, tenant. `hears` says what came in.
"""

from __future__ import annotations

import http.server
import json
import re
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_PATH = re.compile(r"/v1/admin/tenants/([^/]+)/cache/invalidate")
_TARGETS = ("rules", "config", "popularity")
Refusal = tuple[int, str, str]


@dataclass
class Replica:
    """`keys`: the API key of each tenant that the service knows. `out_of_order`: the answers before the right ones."""

    keys: dict[str, str]
    port: int = 0
    hears: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # tenant, document: what was obeyed
    refused: list[Refusal] = field(default_factory=list)
    out_of_order: list[int] = field(default_factory=list)
    before: Callable[[], object] = lambda: None  # called with each request, before it is judged

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/admin/tenants/{{tenant}}/cache/invalidate"

    def judge(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Refusal | None:
        """Why a request is refused; None after it was obeyed."""
        found = _PATH.fullmatch(path)
        if found is None:
            return 404, "", "404 page not found"
        if method != "POST":
            return 405, "", ""
        tenant = found[1]
        owners = [name for name, key in self.keys.items() if key == headers.get("x-api-key")]
        if "x-api-key" not in headers:
            return 401, "RECSYS_AUTH_REQUIRED", "authentication required"
        if not owners:
            return 401, "RECSYS_AUTH_INVALID", "invalid api key"
        if headers.get("x-org-id", tenant) != tenant or tenant not in owners:
            return 403, "RECSYS_TENANT_SCOPE_MISMATCH", "tenant scope mismatch"
        if "application/json" not in headers.get("content-type", ""):
            return 415, "", "content-type must be application/json"
        try:
            document = json.loads(body)
        except ValueError:
            return 400, "RECSYS_INVALID_REQUEST", "invalid character"
        unknown = [name for name in document if name not in ("targets", "surface")]
        if unknown:
            return 400, "RECSYS_INVALID_REQUEST", f'json: unknown field "{unknown[0]}"'
        targets = [each.strip().lower() for each in document.get("targets", []) if each.strip()]
        if not targets:
            return 400, "RECSYS_INVALID_TARGETS", "targets are required"
        for each in targets:
            if each not in _TARGETS:
                return 422, "RECSYS_INVALID_TARGETS", f"invalid cache invalidation target: {each}"
        self.hears.append((tenant, document))
        return None


def _handler(replica: Replica) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            replica.before()
            if replica.out_of_order:
                refusal: Refusal | None = (replica.out_of_order.pop(0), "RECSYS_INTERNAL", "internal error")
            else:
                headers = {name.lower(): value for name, value in self.headers.items()}
                refusal = replica.judge(self.command, self.path, headers, body)
            status, code, detail = refusal or (200, "", "")
            said: dict[str, Any] = {"status": "applied", "invalidated": {"popularity": 3}}
            if refusal is not None:
                replica.refused.append(refusal)
                said = {"type": "about:blank", "title": "", "status": status, "detail": detail, "code": code}
            data = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if status == 200 else "application/problem+json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = answer  # noqa: N815 - the name that http.server looks for

        def log_message(self, *_: Any) -> None:
            return

    return Handler


@contextmanager
def replicas(count: int, *tenants: str) -> Generator[list[Replica]]:
    """So many replicas of one service, each with a cache of its own."""
    made = [Replica({tenant: f"key-of-{tenant}" for tenant in tenants}) for _ in range(count)]
    ends: list[Callable[[], None]] = []
    try:
        for replica in made:
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(replica))
            replica.port = server.server_port
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            ends += [server.shutdown, thread.join, server.server_close]
        yield made
    finally:
        for end in ends:
            end()
