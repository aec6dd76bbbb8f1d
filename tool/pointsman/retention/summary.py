"""What the last run of gc left, beside the blobs, for `status` and metrics: `.pointsman/gc.json`."""

from __future__ import annotations

import json
from typing import Annotated

from msgspec import Struct

from pointsman.errors import Problem
from pointsman.outcome import as_document
from pointsman.store.base import Store
from pointsman.values import Count, Moment

SUMMARY = ".pointsman/gc.json"
_MOST = 1 << 16  # bytes


class Summary(Struct, frozen=True):
    """Counts and bytes of the store after a run of gc that deleted."""

    at: Moment
    live: Count
    live_bytes: Count
    orphans: Annotated[Count, "blobs that no record names and that were left"]
    orphan_bytes: Count
    retired: Annotated[Count, "blobs with a ripe tombstone that were left"]
    retired_bytes: Count
    trash: Count
    trash_bytes: Count
    unknown: Count
    taken: Count
    purged: Count
    restored: Count


def write_summary(store: Store, summary: Summary) -> None:
    """Leave the summary of a run in the place of the last one."""
    store.remove(SUMMARY)
    store.create(SUMMARY, json.dumps({"v": 1, **as_document(summary)}, indent=2).encode() + b"\n")


def read_summary(store: Store) -> Summary | None:
    """What the last run left; None if there was none, or if it cannot be read: nothing depends on it."""
    try:
        held = store.read(SUMMARY, _MOST)
        document = json.loads(held.data) if held is not None else {}
        found = {name: document[name] for name in Summary.__struct_fields__}
    except (Problem, ValueError, TypeError, KeyError, RecursionError):
        return None
    at, *counts = found.values()
    if not isinstance(at, str) or not all(type(count) is int and count >= 0 for count in counts):
        return None
    return Summary(**found)
