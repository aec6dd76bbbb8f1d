"""One instance of recsys-service, as far as manifests go: it loads, caches, logs and forgets as the real one does.

A manifest is read at the first request after its time in the cache, and logged with the SHA-256 of its bytes. `log` is
what the instance wrote so far, in the form of its production logger.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Instance:
    """`pointers`: the directory of the pointers. `clock`: seconds since 1970."""

    pointers: Path
    log: Path
    clock: Callable[[], float]
    ttl: float = 60.0
    cache: dict[tuple[str, str], tuple[bytes, float]] = field(default_factory=dict)

    def request(self, tenant: str = "grocer", surface: str = "home") -> bytes:
        """Serve one request: the manifest that it is served by."""
        now = self.clock()
        data, until = self.cache.get((tenant, surface), (b"", 0.0))
        if now >= until:
            path = self.pointers / tenant / surface / "manifest.json"
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            self.say(
                "artifact manifest loaded", tenant=tenant, surface=surface, uri=f"file://{path}", hash=digest,
                updated_at=json.loads(data)["updated_at"],
            )  # fmt: skip
            self.cache[tenant, surface] = data, now + self.ttl
        self.say("http request", status=200)
        return data

    def invalidate(self) -> None:
        """What a call to its invalidation does for `popularity`."""
        self.cache.clear()

    def say(self, msg: str, **fields: object) -> None:
        line = {"level": "info", "ts": self.clock(), "caller": "artifacts/loader.go:171", "msg": msg, **fields}
        with self.log.open("a") as log:
            log.write(json.dumps(line, separators=(",", ":")) + "\n")
