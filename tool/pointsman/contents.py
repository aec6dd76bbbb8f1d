"""Contents: what is inside stored artifacts, for those who compare two versions. Fetched once, proven by their hash.

A blob that cannot be had, or is not what its name says, is no error here: `Missing` says why, and whoever compares
says that in turn. What comes from a bucket is kept by version in the user's cache directory.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pointsman import metrics
from pointsman.case import Likeness
from pointsman.content import Content, decode
from pointsman.documents import Record
from pointsman.errors import Problem
from pointsman.settings import Settings
from pointsman.store import BUCKETS, open_store
from pointsman.stored import Store, ask_all

_KEPT = 1_000_000_000  # bytes in the cache directory; beyond that the versions unused for longest go


@dataclass(frozen=True, slots=True)
class Missing:
    """Why the content of a version is not available."""

    why: str


class Contents:
    """Reads contents by record. `at_hand` has payloads by version that need no fetching; `offline` asks no store."""

    def __init__(self, *, offline: bool = False, at_hand: Mapping[str, Callable[[], bytes]] | None = None) -> None:
        self.offline = offline
        self._at_hand = at_hand or {}
        self._stores: dict[str, Store] = {}
        self._down: dict[str, Missing] = {}  # URL of a store that did not answer: asked once

    def read(self, settings: Settings, record: Record) -> Content | Missing:
        """The decoded content of one version, of a kind that `content` knows."""
        data = self.payload(settings, record)
        if isinstance(data, Missing):
            return data
        content = decode(record.type, data)
        return content if content is not None else Missing("its content cannot be compared")

    def read_all(self, settings: Settings, records: Iterable[Record]) -> Mapping[str, Content | Missing]:
        """Version → content, fetched from buckets several at a time."""
        every = list({record.version: record for record in records}.values())
        at_once = max((store.reads_at_once for store in self._all(settings)), default=1)
        read = ask_all(lambda record: self.read(settings, record), every, at_once=at_once)
        return {record.version: content for record, content in zip(every, read, strict=True)}

    def likeness(self, settings: Settings, pairs: Iterable[tuple[Record, Record]]) -> dict[tuple[str, str], Likeness]:
        """(Version before, version after) → how much the two have in common."""
        every = list(pairs)
        contents = self.read_all(settings, [record for pair in every for record in pair])
        return {(old.version, new.version): alike(contents[old.version], contents[new.version]) for old, new in every}

    def payload(self, settings: Settings, record: Record) -> bytes | Missing:
        """The bytes of one version's blob, which hash to it."""
        if record.version in self._at_hand:
            return self._at_hand[record.version]()
        cached = _cached(record.version)
        if cached is not None:
            return cached
        if self.offline:
            return Missing("the store was not asked (--offline)")
        url = next((url for url in (settings.store, *settings.former) if _is_in(url, record)), None)
        if url is None or url.partition("://")[0] not in ("file", *BUCKETS):
            return Missing(f"{record.uri} is in no store that can be asked")
        if url in self._down:
            return self._down[url]
        try:
            held = self._store(url, settings).read(record.uri[len(url) + 1 :])
        except Problem as problem:
            self._down[url] = Missing(str(problem))
            return self._down[url]
        if held is None:
            return Missing(f"no blob at {record.uri}")
        if hashlib.sha256(held.data).hexdigest() != record.version:
            return Missing(f"the bytes at {record.uri} are not those of its version")
        if not url.startswith("file:"):
            _cache(record.version, held.data)
        return held.data

    def _all(self, settings: Settings) -> list[Store]:
        urls = (settings.store, *settings.former)
        return [self._store(url, settings) for url in urls if url.partition("://")[0] in ("file", *BUCKETS)]

    def _store(self, url: str, settings: Settings) -> Store:
        if url not in self._stores:
            self._stores[url] = open_store(url, settings.access)
        return self._stores[url]


def alike(before: Content | Missing, after: Content | Missing) -> Likeness:
    """How much two contents have in common, or why that cannot be told."""
    if isinstance(before, Missing):
        return Likeness(why=before.why)
    if isinstance(after, Missing):
        return Likeness(why=after.why)
    return Likeness(metrics.kept(before, after), metrics.overlap(before, after))


def _is_in(url: str, record: Record) -> bool:
    return record.uri == f"{url}/{record.target.blob_key(record.type, record.version)}"


def _directory() -> Path:
    """Where fetched blobs are kept (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path.home() / ".cache") / "pointsman"


def _cached(version: str) -> bytes | None:
    """The kept bytes of a version; whatever else stands there is as good as nothing."""
    with suppress(OSError, RuntimeError):
        path = _directory() / f"{version}.json"
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() == version:
            os.utime(path)
            return data
    return None


def _cache(version: str, data: bytes) -> None:
    """Keep a version. A cache that cannot be written is none."""
    with suppress(OSError, RuntimeError):
        directory = _directory()
        directory.mkdir(parents=True, exist_ok=True)
        temporary = directory / f".{version}.{secrets.token_hex(4)}"
        try:
            temporary.write_bytes(data)
            temporary.replace(directory / f"{version}.json")
        finally:
            temporary.unlink(missing_ok=True)
        _make_room(directory)


def _make_room(directory: Path) -> None:
    kept = sorted(((path.stat(), path) for path in directory.iterdir()), key=lambda each: each[0].st_mtime)
    size = sum(stat.st_size for stat, _ in kept)
    for stat, path in kept[:-1]:
        if size <= _KEPT:
            return
        path.unlink(missing_ok=True)
        size -= stat.st_size
