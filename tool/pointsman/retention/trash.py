"""The trash of a store, `.pointsman/trash/<UTC date>/<key>`: what gc took stays there until it is purged.

A gc that was paused between its look and its delete may take what became live meanwhile. So whoever misses a blob looks
here: gc itself, publish, ship, rollback and sync.

What is purged goes to `.pointsman/trash/going-…/<key>` first: whoever takes a tombstone back does not count on that.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime

from pointsman.errors import Blocked
from pointsman.gate.blobs import Blobs
from pointsman.patterns import pattern
from pointsman.progress import SILENCE, Progress
from pointsman.repo.snapshot import Snapshot
from pointsman.rules.evidence import Blob
from pointsman.settings import Settings
from pointsman.state.names import NAME, VERSION, Target, is_name
from pointsman.state.paths import is_target
from pointsman.store.base import MOST_OF_A_BLOB, Store
from pointsman.store.open import open_store

TRASH = ".pointsman/trash/"
_KEY = pattern(rf"({NAME})/({NAME})/({NAME})/({VERSION})\.json")
_GOING = "going-"
_PLACE = pattern(rf"{re.escape(TRASH)}(?:(\d{{4}}-\d\d-\d\d)|{_GOING}[^/]+)/(.+)", re.DOTALL)
_DAY = 86400
Slot = tuple[Target, str, str]  # target, type, version


def slot_of(key: str) -> Slot | None:
    """What a blob's key names; None for a key that the grammar of names does not produce."""
    found = _KEY.fullmatch(key)
    if found is None or not is_target(found[1], found[2]) or not is_name(found[3]):
        return None
    return Target(found[1], found[2]), found[3], found[4]


def place_in_trash(key: str, now: float) -> str:
    """Where a blob goes that is taken at this time, seconds since 1970."""
    return f"{TRASH}{datetime.fromtimestamp(now, UTC):%Y-%m-%d}/{key}"


def place_of_going(place: str, run: str) -> str:
    """Where a blob that has this place in the trash is while a run of gc looks whether it may be purged.

    What another run has set aside stays where it is: nobody counts on that any more.
    """
    return place if is_set_aside(place) else f"{TRASH}{_GOING}{run}-{place.removeprefix(TRASH)}"


def is_set_aside(place: str) -> bool:
    """Whether a run of gc that was to purge it has moved a blob here."""
    return place.startswith(f"{TRASH}{_GOING}")


def read_place(place: str) -> tuple[date | None, str] | None:
    """The day on which a blob was taken, and the key that it had; None for what is no blob of the trash.

    The day is None where a gc that purged it has died, or is at work still.
    """
    found = _PLACE.fullmatch(place)
    try:
        day = date.fromisoformat(found[1]) if found and found[1] else None
    except ValueError:
        return None
    return (day, found[2]) if found and slot_of(found[2]) else None


def is_over(day: date | None, written: float, days: float, now: float) -> bool:
    """Whether so many days have passed since a blob was taken, by its directory's date and by the store's clock."""
    if day is None:
        return True  # as whoever began to purge it saw
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    return min(now - midnight, now - written) >= days * _DAY


def counted_on(store: Store, key: str) -> str | None:
    """Where in the trash the blob of `key` is for whoever takes its tombstone back: not where a purge looks at it."""
    for day in reversed(store.folders(TRASH)):
        place = f"{TRASH}{day}/{key}"
        found = read_place(place)
        if found is not None and found[0] is not None and store.size(place) is not None:
            return place
    return None


def put_back(store: Store, key: str, *, dry_run: bool = False) -> bool:
    """Put the blob of `key` back from the trash, create-only. Whether its bytes are there now.

    With `dry_run` nothing is written. Whether the trash has its bytes.
    """
    version = key[-69:-5]
    for day in reversed(store.folders(TRASH)):
        held = store.read(f"{TRASH}{day}/{key}", MOST_OF_A_BLOB)
        if held is not None and hashlib.sha256(held.data).hexdigest() == version:
            if dry_run:
                return True
            store.create(key, held.data)
            stored = store.digest(key)
            return stored is not None and stored[1] == version
    return False


def put_back_missing(
    blobs: Blobs, head: Snapshot, settings: Settings, uris: Iterable[str], progress: Progress = SILENCE
) -> list[str]:
    """Of blobs of the store, put back from the trash those that are missing. The URIs of those that are there again.

    A version with a tombstone stays where it is. What cannot be looked at is left to whoever needs it.
    """
    if blobs.offline:
        return []
    mine = {uri: slot for uri in uris if (slot := _slot_in(settings.store, uri)) is not None}
    found = blobs.tries(settings, dict.fromkeys(mine, False))
    lost = [uri for uri, blob in found.items() if isinstance(blob, Blob) and blob.size is None]
    store = open_store(settings.store, settings.access)
    back = []
    for uri in lost:
        target, *version = mine[uri]
        if head.entry(target.tombstone_path(*version)) is not None:
            continue
        try:
            there = put_back(store, uri[len(store.url) + 1 :])
        except Blocked:
            continue
        if there:
            progress(f"put back from the trash: {uri}")
            back.append(uri)
    return back


def _slot_in(store: str, uri: str) -> Slot | None:
    return slot_of(uri[len(store) + 1 :]) if uri.startswith(f"{store}/") else None
