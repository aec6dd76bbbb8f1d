"""gc's markers: small objects that name the versions which gc may be about to take, `.pointsman/gc/<run>-<n>.json`.

A marker holds no time. gc counts its life from before it sends it, and takes nothing once it is over. A waiter counts
it from when it first saw the marker, and adds the longest request that gc may have begun before. So neither needs the
other's clock, and the marker of a gc that died holds nobody up for ever.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator

from msgspec import Struct

from pointsman.errors import Blocked
from pointsman.progress import waits
from pointsman.retention.clocks import elapsed
from pointsman.state.names import is_version, short
from pointsman.store.base import Store

MARKERS = ".pointsman/gc/"
LIFE = 300.0  # seconds
LONGEST = 60.0  # seconds: no request of gc takes longer, whatever POINTSMAN_STORE_TIMEOUT says
MOST = 1000  # versions that one marker names
_PAUSE = 1.0  # seconds between two looks
_DAY = 86400


class Marker(Struct):
    """One marker of this process. `write` it, ask whether it `lives` before each step, then take it away."""

    store: Store
    name: str
    versions: Collection[str]
    clock: Callable[[], float] = elapsed
    until: float = 0.0

    @property
    def key(self) -> str:
        return f"{MARKERS}{self.name}.json"

    def write(self) -> None:
        """Tell everyone. Its life begins before it is sent."""
        self.until = self.clock() + LIFE
        data = json.dumps({"v": 1, "versions": sorted(self.versions)}).encode() + b"\n"
        self.store.create(self.key, data)

    @property
    def lives(self) -> bool:
        """Whether waiters still count on it."""
        return self.clock() < self.until

    def take_away(self) -> None:
        self.store.remove(self.key)


def wait_for_markers(
    store: Store,
    versions: Collection[str],
    *,
    clock: Callable[[], float] = elapsed,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Return when no living marker names one of these versions. Usually at once, after one empty listing."""
    wanted = set(versions)
    if not wanted:
        return
    naming: dict[str, bool] = {}  # marker → whether it names one of them; a marker never changes
    seen: dict[str, float] = {}
    while True:
        now = clock()
        for key in store.keys(MARKERS, 1):
            if key not in naming:
                named = _named(store, key)
                naming[key] = named is None or not wanted.isdisjoint(named)
                seen[key] = now
        there = set(store.keys(MARKERS, 1)) if any(naming.values()) else set()
        until = {key: seen[key] + LIFE + LONGEST for key, names in naming.items() if names and key in there}
        alive = [key for key in until if now < until[key]]
        if not alive:
            return
        if now > min(seen[key] for key in alive):  # it looked before, `_PAUSE` ago
            name = short(alive[0].rpartition("/")[2])
            waits(f"gc may be taking one of these versions away (marker {name})", until[alive[0]] - now)
        pause(_PAUSE)


def _named(store: Store, key: str) -> set[str] | None:
    """The versions that a marker names; None if nobody can tell: then it may name any."""
    try:
        held = store.read(key)
        if held is None:
            return set()
        versions = json.loads(held.data)["versions"]
    except (Blocked, ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(versions, list) or not all(isinstance(each, str) and is_version(each) for each in versions):
        return None
    return set(versions)


def left_over(store: Store, own: str) -> Iterator[str]:
    """The keys of markers that died a day before the marker `own` was written, by the store's own clock."""
    now = store.written(own)
    for key in store.keys(MARKERS, 1):
        written = store.written(key) if key != own else None
        if now is not None and written is not None and now - written > _DAY:
            yield key
