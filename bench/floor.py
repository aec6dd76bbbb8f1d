"""The least that publishing a file can cost: read it, decode it typed, encode it, hash it twice, write it durably.

Run as a process of its own, `python floor.py FILE NEW`, and as `python floor.py FILE` for one SHA-256 and nothing else.
"""

from __future__ import annotations

import gc
import hashlib
import os
import sys
from pathlib import Path

import msgspec


class Window(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    start: str
    end: str


class Build(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    built_at: str
    version: str
    source_hash: str


class Item(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    item_id: str
    count: int


class Scored(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    item_id: str
    score: int | float


class User(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    user_id: str
    items: list[Scored]


class Envelope(msgspec.Struct, gc=False, kw_only=True, forbid_unknown_fields=True):
    v: int
    artifact_type: str
    tenant: str
    surface: str
    segment: str
    window: Window


class Popularity(Envelope, kw_only=True):
    items: list[Item]
    build: Build


class Implicit(Envelope, kw_only=True):
    users: list[User]
    build: Build


def floor(source: str, destination: str) -> None:
    gc.disable()  # a million rows and no cycle: the collector would only slow the floor down
    data = Path(source).read_bytes()
    kind: type[Popularity | Implicit] = Implicit if b'"implicit"' in data[:200] else Popularity
    document = msgspec.json.decode(data, type=kind)
    del data
    document.build = Build("", "", "")
    encoded = msgspec.json.encode(document)
    del document
    once, twice = hashlib.sha256(encoded), hashlib.sha256(encoded)
    assert once.digest() == twice.digest()
    fd = os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    rest = memoryview(encoded)
    while rest:
        rest = rest[os.write(fd, rest) :]
    os.fsync(fd)
    os.close(fd)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        hashlib.sha256(Path(sys.argv[1]).read_bytes()).hexdigest()
    else:
        floor(*sys.argv[1:])
