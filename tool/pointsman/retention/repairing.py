"""Puts missing blobs back, create-only, from any place that has bytes which hash to their names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial

from msgspec import Struct

from pointsman.errors import Blocked, NoAnswer
from pointsman.settings import Settings
from pointsman.state.names import Target
from pointsman.state.store_url import can_be_asked
from pointsman.store.base import MOST_OF_A_BLOB, Store
from pointsman.store.open import open_store
from pointsman.store.parallel import ask_all


class Lost(Struct, frozen=True):
    """A version without a blob, and the URI that its record says, in one of the repository's stores."""

    target: Target
    type: str
    version: str
    uri: str


class Repaired(Struct, frozen=True):
    """What became of it: `why` its blob is not back, or "" if it is."""

    lost: Lost
    why: str


def repair(settings: Settings, source: str, lost: Sequence[Lost], *, dry_run: bool = False) -> list[Repaired]:
    """Put them back from a directory or store `source`. Each stands there under its key, or as `<version>.json`.

    With `dry_run` the source is read, and nothing is written.
    Unreachable if the source does not answer.
    """
    there = open_store(source, settings.access)
    stores = {url: open_store(url, settings.access) for url in (settings.store, *settings.former) if can_be_asked(url)}
    return list(ask_all(partial(_repair, there, stores, dry_run), lost, at_once=there.reads_at_once))


def _repair(source: Store, stores: dict[str, Store], dry_run: bool, lost: Lost) -> Repaired:
    key = lost.target.blob_key(lost.type, lost.version)
    store = stores.get(lost.uri.removesuffix(f"/{key}"))
    if store is None:
        return Repaired(lost, f"{lost.uri} is in no store that can be written")
    try:
        data = _bytes(source, lost, key)
        if data is None:
            return Repaired(lost, f"{source.url} has no bytes of this version")
        if dry_run:
            return Repaired(lost, "")
        store.create(key, data)
        put = store.digest(key, len(data))
    except (Blocked, NoAnswer) as trouble:
        return Repaired(lost, str(trouble))
    right = put is not None and put[1] == lost.version
    return Repaired(
        lost, "" if right else f"what stands at {lost.uri} now are not its bytes: find out who put them there"
    )


def _bytes(source: Store, lost: Lost, key: str) -> bytes | None:
    """The bytes of a version, proven by their hash; None if the source has none."""
    for each in (key, f"{lost.version}.json"):
        held = source.read(each, MOST_OF_A_BLOB)
        if held is not None and hashlib.sha256(held.data).hexdigest() == lost.version:
            return held.data
    return None
