"""Artifacts of a wanted size, indented as recsys-pipelines writes them.

`python artifacts.py TYPE BYTES SURFACE FILE [TENANT]` writes one. It is a process of its own, so that the one that
measures stays small: a child's peak memory begins with its parent's.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

_WINDOW = {"start": "2026-03-02T00:00:00Z", "end": "2026-03-03T00:00:00Z"}
_ITEMS_PER_USER = 20


def _items(draw: random.Random) -> Iterator[dict[str, Any]]:
    place = 0
    while True:
        place += 1
        yield {"item_id": f"shop-item-{place:08d}", "count": draw.randrange(1, 100_000)}


def _users(draw: random.Random) -> Iterator[dict[str, Any]]:
    place = 0
    while True:
        place += 1
        items = []
        for _ in range(_ITEMS_PER_USER):
            whole = draw.randrange(1, 50)
            score = whole if draw.random() < 0.3 else whole + draw.randrange(1, 10_000) / 10_007
            items.append({"item_id": f"shop-item-{draw.randrange(100_000):08d}", "score": score})
        yield {"user_id": f"user-{place:08d}", "items": items}


_ROWS: dict[str, tuple[str, Callable[[random.Random], Iterator[dict[str, Any]]]]] = {
    "popularity": ("items", _items),
    "implicit": ("users", _users),
}


def write(artifact_type: str, size: int, surface: str, path: str, tenant: str = "shop-000") -> None:
    """Write an artifact of about `size` bytes; its version is that of the canonical payload, hashed on the way."""
    member, rows = _ROWS[artifact_type]
    head = {"v": 1, "artifact_type": artifact_type, "tenant": tenant, "surface": surface, "segment": "default"}
    envelope = {**head, "window": _WINDOW}
    version = hashlib.sha256((json.dumps(envelope, separators=(",", ":"))[:-1] + f',"{member}":[').encode())
    with open(path, "w", encoding="utf-8") as file:
        written = file.write(json.dumps(envelope, indent=2)[:-2] + f',\n  "{member}": [')
        comma = ""
        for row in rows(random.Random(size)):
            indented = json.dumps(row, indent=2).replace("\n", "\n    ")
            written += file.write(f"{comma}\n    {indented}")
            version.update((comma + json.dumps(row, separators=(",", ":"))).encode())
            comma = ","
            if written + 300 > size:
                break
        version.update(b'],"build":{"built_at":"","version":""}}')
        name = version.hexdigest()
        build = {"built_at": "2026-03-03T00:05:00Z", "version": name, "source_hash": name}
        file.write('\n  ],\n  "build": ' + json.dumps(build, indent=2).replace("\n", "\n  ") + "\n}\n")


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
