"""Markers of gc: whoever is about to need a version waits until no living one names it, and no longer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from pointsman.retention.markers import LIFE, LONGEST, left_over, wait_for_markers
from pointsman.store.base import Store

OURS, THEIRS = "a" * 64, "b" * 64


class Markers:
    """Of a store only its markers."""

    def __init__(self, **markers: bytes) -> None:
        self.there = {f".pointsman/gc/{name}.json": data for name, data in markers.items()}

    def keys(self, prefix: str, depth: int) -> Iterator[str]:
        yield from sorted(self.there)

    def written(self, key: str) -> float | None:
        """A store whose clock stands in 1970: a name ends in how old its marker is."""
        age = int(key.removesuffix(".json").rpartition("_")[2])
        return 1e6 - age if key in self.there else None

    def read(self, key: str) -> object:
        return SimpleNamespace(data=self.there[key], tag="1") if key in self.there else None


def waited(store: Markers, then: Callable[[float], None] = lambda now: None) -> float:
    """How long it waits, in seconds; `then` is called at each pause."""
    now = 0.0

    def pause(seconds: float) -> None:
        nonlocal now
        now += seconds
        then(now)

    wait_for_markers(cast("Store", store), {OURS}, clock=lambda: now, pause=pause)
    return now


def naming(*versions: object) -> bytes:
    return json.dumps({"v": 1, "versions": versions}).encode()


def test_none_and_those_that_name_others_keep_nobody_waiting() -> None:
    assert waited(Markers()) == 0
    assert waited(Markers(one=naming(THEIRS), two=naming())) == 0


@pytest.mark.parametrize("data", [naming(THEIRS, OURS), b"{", b"{}", naming("x"), naming(7), b'{"versions": 7}'])
def test_one_that_names_it_or_cannot_be_read_is_waited_for_as_long_as_it_may_live(data: bytes) -> None:
    assert waited(Markers(one=data)) == pytest.approx(LIFE + LONGEST, abs=5)


def test_those_of_the_dead_are_a_day_older_than_our_own_by_the_clock_of_the_store() -> None:
    store = Markers(own_0=b"", young_86400=b"", dead_86401=b"")
    found = left_over(cast("Store", store), ".pointsman/gc/own_0.json")
    assert list(found) == [".pointsman/gc/dead_86401.json"]
    assert list(left_over(cast("Store", store), ".pointsman/gc/gone_0.json")) == []


def test_one_that_goes_is_not_waited_for_any_more() -> None:
    store = Markers(one=naming(OURS))
    assert waited(store, lambda now: store.there.clear() if now >= 10 else None) == pytest.approx(10, abs=5)


def test_of_one_that_comes_later_the_life_counts_from_then() -> None:
    store = Markers(one=naming(OURS))

    def comes(now: float) -> None:
        if now >= 20:
            store.there.setdefault(".pointsman/gc/two.json", naming(OURS))

    assert waited(store, comes) == pytest.approx(20 + LIFE + LONGEST, abs=10)
