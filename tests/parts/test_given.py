"""What a ring was given: read back as it was written, bounded; what comes after puts off nothing that waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pointsman.serving.given import given_states, note_given, read_given
from pointsman.state.names import Target
from pointsman.state.objects import Oid
from pointsman.state.ring import given_key
from pointsman.store.base import Store
from pointsman.store.open import open_store

GROCER = Target("grocer", "home")
HOUR = 3600


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"file://{tmp_path}")
    with store.locked(""):
        yield store


def commit(number: int) -> Oid:
    return Oid(f"{number:040x}")


def test_the_first_time_of_a_state_stands(store: Store) -> None:
    assert given_states(store, "canary", GROCER) == {}
    note_given(store, "canary", GROCER, commit(1), 100, HOUR)
    note_given(store, "canary", GROCER, commit(2), 90, HOUR)  # by a clock that is behind
    note_given(store, "canary", GROCER, commit(1), 200, HOUR)
    assert list(given_states(store, "canary", GROCER).items()) == [(commit(1), 100), (commit(2), 90)]
    assert given_states(store, "prod", GROCER) == {}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"v": 2, "given": []}',
        b'{"v": 1, "given": 3}',
        b'{"v": 1, "given": [{"commit": "x", "at": "2026-03-01T00:00:00Z"}]}',
        b'{"v": 1, "given": [{"commit": "' + b"1" * 40 + b'", "at": "yesterday"}]}',
    ],
)
def test_what_is_none_of_ours_says_that_nothing_was_given(store: Store, data: bytes) -> None:
    assert read_given(data) == {}
    store.replace(given_key("canary", GROCER), data, was=None)
    note_given(store, "canary", GROCER, commit(1), 100, HOUR)
    assert given_states(store, "canary", GROCER) == {commit(1): 100}


@pytest.mark.slow
def test_ships_that_come_faster_than_they_soak_do_not_push_out_those_that_wait_longest(store: Store) -> None:
    for number in range(600):
        note_given(store, "canary", GROCER, commit(number), number, 10_000)
    given = given_states(store, "canary", GROCER)
    assert len(given) <= 256
    assert list(given)[:100] == [commit(number) for number in range(100)]
    assert list(given)[-1] == commit(599)


@pytest.mark.slow
def test_what_soaked_long_ago_goes_first(store: Store) -> None:
    for number in range(600):
        note_given(store, "canary", GROCER, commit(number), number * HOUR, 2 * HOUR)
    given = given_states(store, "canary", GROCER)
    assert len(given) <= 256
    assert list(given)[-64:] == [commit(number) for number in range(536, 600)]
