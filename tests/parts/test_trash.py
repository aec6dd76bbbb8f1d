"""What is in the trash: what it was, whether its days are over, and what comes back from it."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import pytest

from pointsman.retention.trash import counted_on, is_over, place_of_going, put_back, read_place
from pointsman.store.directory import FileStore

DATA = b"what gc took"
KEY = f"grocer/home/popularity/{hashlib.sha256(DATA).hexdigest()}.json"
DAY = 86_400


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path, f"file://{tmp_path}")


def test_bytes_that_are_the_version_s_come_back_from_any_day_and_over_nothing(store: FileStore) -> None:
    assert not put_back(store, KEY)
    store.create(f".pointsman/trash/2026-03-02/{KEY}", b"altered")
    assert not put_back(store, KEY)
    assert store.size(KEY) is None
    store.create(f".pointsman/trash/2026-03-01/{KEY}", DATA)
    store.create(KEY, b"somebody's")
    assert not put_back(store, KEY)
    assert store.read(KEY).data == b"somebody's"  # type: ignore[union-attr]
    store.remove(KEY)
    assert put_back(store, KEY)
    assert store.read(KEY).data == DATA  # type: ignore[union-attr]


def test_what_a_purge_looks_at_comes_back_and_is_counted_on_by_nobody(store: FileStore) -> None:
    there = f".pointsman/trash/2026-03-01/{KEY}"
    store.create(there, DATA)
    assert counted_on(store, KEY) == there
    aside = place_of_going(there, "ab12")
    assert store.move(there, aside, len(DATA), lambda: True)
    assert counted_on(store, KEY) is None
    assert put_back(store, KEY)


def test_a_place_in_the_trash_says_when_it_was_taken_and_from_where() -> None:
    there = f".pointsman/trash/2026-03-01/{KEY}"
    aside = place_of_going(there, "ab12")
    assert read_place(there) == (date(2026, 3, 1), KEY)
    assert read_place(aside) == (None, KEY)
    assert place_of_going(aside, "cd34") == aside, "no run adds a name to those of others"
    assert place_of_going(f".pointsman/trash/2026-03-02/{KEY}", "ab12") != aside, "the bytes of two days stay apart"
    for odd in ("2026-13-01", "2026-3-1", "later", "going"):
        assert read_place(f".pointsman/trash/{odd}/{KEY}") is None
    assert read_place(".pointsman/trash/2026-03-01/notes.txt") is None


def test_its_days_are_over_by_its_date_and_by_the_clock_of_the_store() -> None:
    midnight = 1_772_323_200.0  # of 2026-03-01
    over = midnight + 7 * DAY
    assert is_over(date(2026, 3, 1), midnight, 7, over)
    assert not is_over(date(2026, 3, 1), midnight, 7, over - 1)
    assert not is_over(date(2026, 3, 1), midnight + 1, 7, over)
    assert not is_over(date(2026, 3, 2), midnight, 7, over)
    assert is_over(None, over, 7, over), "whoever began to purge it saw that"
