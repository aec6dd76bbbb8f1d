"""What a watching sync knows of serving from its earlier passes, so that a pass with nothing new costs nearly nothing.

Tags are compared with those that a pass saw, never with those that it should have left. A pass is left out only if all
tags and main are as in a pass that found nothing to do and left nothing for later: it would do nothing again. In any
other pass, pointers whose tag is as it was are not read again. Now and then everything is read all the same (`every`),
in case a store gives an old tag to new bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from pointsman.outcome import Outcome
from pointsman.repo.history import History
from pointsman.serving import notify
from pointsman.serving.fence import SYNCED, Fence
from pointsman.serving.outcomes import Synced
from pointsman.settings import Settings
from pointsman.state.objects import Oid
from pointsman.store.base import Held, Store

_BESIDE = (SYNCED, notify.KEY)  # what sync itself stores beside the pointers
_NOTHING_DONE = ("unchanged", "kept")


class Seen:
    """The memory of one watching sync."""

    def __init__(self, every: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every = every
        self._clock = clock
        self._until = 0.0  # by the clock: then everything is read again
        self._store: Store | None = None
        self._depth = 0
        self._held: dict[str, Held] = {}
        self._tags: Mapping[str, str | None] = {}
        self._fence: Fence | None = None
        self._idle: Outcome[Synced] | None = None  # what the last pass found, if it had nothing to do

    def again(self, repo: History) -> Outcome[Synced] | None:
        """What the last pass found, if another would find the same: one listing, and one look at main after it."""
        idle, self._idle = self._idle, None
        if idle is None or self._store is None or self._clock() >= self._until:
            return None
        tags = self._store.tags(self._depth, _BESIDE)
        if tags != self._tags or None in tags.values() or repo.refresh() != idle.value.commit:
            return None
        self._idle = idle
        return idle

    def pointers(self, store: Store, settings: Settings, fence: Fence) -> Iterator[tuple[str, Held | None]]:
        """Every key of a pointer, and what is known of it; None: read it. The fence was read before."""
        if self._clock() >= self._until or self._store is None or self._store.url != store.url:
            self._held = {}
            self._until = self._clock() + self._every
        self._store, self._depth, self._fence = store, settings.serving_depth, fence
        self._tags = store.tags(self._depth, _BESIDE)
        for key, tag in self._tags.items():
            if key not in _BESIDE:
                held = self._held.get(key)
                yield key, held if held is not None and held.tag == tag else None

    def read(self, held: Mapping[str, Held]) -> None:
        """What was read, and is held against the tags of the next listing."""
        self._held = dict(held)

    def done(self, main: Oid, outcome: Outcome[Synced]) -> None:
        """Remember a pass that had nothing to do, wrote nothing and owes nobody a call."""
        fence = self._fence
        moved = fence is None or fence.commit != main or self._tags.get(SYNCED) != fence.tag
        synced = outcome.value
        nothing = all(each.outcome in _NOTHING_DONE for each in synced.targets) and not synced.calls
        self._idle = outcome if nothing and not moved else None
