"""The passes of a sync that watches, as Prometheus reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from msgspec import Struct

from pointsman.serving.outcomes import Synced, SyncOutcome

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class Passes(Struct):
    """What became of the passes so far. Times are in seconds since 1970; 0: there was none."""

    ended: float = 0  # the last one, however it went
    whole: float = 0  # the last one that reached the origin and every place
    failed: int = 0  # in a row, since a whole one
    synced: Synced | None = None  # what the last one found that could tell

    def end(self, at: float, synced: Synced | None, *, whole: bool) -> None:
        """Another pass has ended."""
        self.ended = at
        self.whole = at if whole else self.whole
        self.failed = 0 if whole else self.failed + 1
        self.synced = synced or self.synced


def registry_of(passes: Passes) -> CollectorRegistry:
    """The gauges of the passes so far. Their names are part of what is promised to users."""
    from prometheus_client import CollectorRegistry, Gauge

    registry = CollectorRegistry()

    def gauge(name: str, says: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(f"pointsman_sync_{name}", says, labels, registry=registry)

    ended = gauge("pass_timestamp_seconds", "When the last pass ended, in seconds since 1970; 0: none has yet.")
    ended.set(passes.ended)
    whole = "When the last pass that reached the origin and every place ended, in seconds since 1970; 0: none has yet."
    gauge("timestamp_seconds", whole).set(passes.whole)
    gauge("failed_passes", "How many passes in a row did not reach all.").set(passes.failed)
    if (synced := passes.synced) is not None:
        counts = Counter(each.outcome for each in synced.targets)
        targets = gauge("targets", "How many targets the last pass left so.", ("outcome",))
        for outcome in get_args(SyncOutcome):
            targets.labels(outcome).set(counts[outcome])
        calls = sum(not each.ok for each in synced.calls)
        gauge("failed_calls", "How many calls of the last pass failed: invalidate, webhook, command.").set(calls)
        if synced.places is not None:
            places = gauge("place_synced", "1 for a place that the last pass could make equal to main.", ("place",))
            for place in synced.places:
                places.labels(place.place).set(place.ok)
    return registry
