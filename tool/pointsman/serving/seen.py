"""What a watching sync knows of serving from its earlier passes, so that a pass with nothing new costs nearly nothing.

Tags are compared with those that a pass saw, never with those that it should have left. A pass is left out only if all
tags and main are as in a pass that found nothing to do and left nothing for later: it would do nothing again. Of
several places one is listed in such a pass, the next one in the next: an edit by hand is found when its turn comes. In
any other pass, all are listed, and pointers whose tag is as it was are not read again. Now and then everything is read
all the same (`every`), in case a store gives an old tag to new bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from math import inf

from pointsman.outcome import Outcome
from pointsman.repo.history import History
from pointsman.serving import notify
from pointsman.serving.fence import SYNCED, Fence
from pointsman.serving.outcomes import Synced
from pointsman.state.objects import Oid
from pointsman.state.place import Place
from pointsman.state.times import unix
from pointsman.store.base import Held, Store
from pointsman.store.closed import Closed

_BESIDE = (SYNCED, notify.KEY)  # what sync itself stores beside the pointers
_NOTHING_DONE = ("unchanged", "kept")


class Seen:
    """The memory of one watching sync. Everything is read again `every` so many seconds."""

    def __init__(self, every: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every = every
        self._clock = clock
        self._places: dict[Place, SeenPlace] = {}
        self._failed: set[Place] = set()
        self._idle: Outcome[Synced] | None = None  # what the last pass found, if it had nothing to do
        self._turn = 0  # of the places, in their order, the one that is listed next
        self._due = inf  # seconds since 1970: when a ring is given something, whatever main and serving have

    def failed(self, place: Place) -> bool:
        """Whether a place could not be synced in the last pass."""
        return place in self._failed

    def of(self, place: Place) -> SeenPlace:
        """What was seen of one place."""
        return self._places.setdefault(place, SeenPlace(self._every, self._clock))

    def again(self, repo: History, now: int) -> Outcome[Synced] | None:
        """What the last pass found, if another would find the same: one listing, where its turn is, one look at main.

        `now`: seconds since 1970, for rings that are given something at a time.
        """
        idle, self._idle = self._idle, None
        places = list(self._places.values())
        if idle is None or now >= self._due or any(each.is_over for each in places):
            return None
        self._turn += 1
        if not places[self._turn % len(places)].is_same():
            return None
        if repo.refresh() != idle.value.commit:
            return None
        self._idle = idle
        return idle

    def done(self, places: Mapping[Place, bool], outcome: Outcome[Synced]) -> None:
        """Remember a pass that had nothing to do, wrote nothing and owes nobody a call. `places`: whether it ended."""
        self._places = {place: seen for place, seen in self._places.items() if place in places}
        self._failed = {place for place, ended in places.items() if not ended}
        synced = outcome.value
        waits = [at.waits for each in synced.targets for at in each.places or () if at.waits is not None]
        times = [unix(each.at) for each in waits if each.waits_for == "time" and each.at is not None]
        # What waits for a check, or for what another sync is about to write down, is looked at in each pass.
        self._due = min((at for at in times if at is not None), default=inf) if len(times) == len(waits) else 0
        done = [*(each.outcome for each in synced.targets), *(each.outcome for each in synced.left or ())]
        nothing = all(each in _NOTHING_DONE for each in done) and not synced.calls
        settled = all(ended and self.of(place).is_at(synced.commit) for place, ended in places.items())
        self._idle = outcome if nothing and settled else None


class SeenPlace:
    """The memory of one place."""

    def __init__(self, every: float, clock: Callable[[], float]) -> None:
        self._every = every
        self._clock = clock
        self._until = 0.0  # by the clock: then everything is read again
        self._store: Store | None = None
        self._depth, self._file = 0, ""
        self._held: dict[str, Held] = {}
        self._tags: Mapping[str, str | None] = {}
        self._fence: Fence | None = None

    @property
    def is_over(self) -> bool:
        """Whether it is time to read everything again."""
        return self._store is None or self._clock() >= self._until

    def is_same(self) -> bool:
        """Whether all tags are as they were, by one listing."""
        assert self._store is not None
        closed: Closed = {}
        tags = self._store.tags(self._depth, _BESIDE, self._file, closed)
        return tags == self._tags and None not in tags.values() and not closed

    def is_at(self, main: Oid) -> bool:
        """Whether the fence stood at `main` before, and its tag shows that this was so when the tags were listed."""
        fence = self._fence
        return fence is not None and fence.commit == main and self._tags.get(SYNCED) == fence.tag

    def pointers(self, store: Store, place: Place, fence: Fence, closed: Closed) -> Iterator[tuple[str, Held | None]]:
        """Every key of a pointer, and what is known of it; None: read it. The fence was read before.

        `closed` gets the directories that cannot be listed.
        """
        if self.is_over:
            self._held = {}
            self._until = self._clock() + self._every
        self._store, self._depth, self._file, self._fence = store, place.depth, place.file, fence
        self._tags = store.tags(self._depth, _BESIDE, self._file, closed)
        for key, tag in self._tags.items():
            if key not in _BESIDE:
                held = self._held.get(key)
                yield key, held if held is not None and held.tag == tag else None

    def read(self, held: Mapping[str, Held]) -> None:
        """What was read, and is held against the tags of the next listing."""
        self._held = dict(held)
