"""Times as people write them."""

from __future__ import annotations

from pointsman.history.times import read_time


def test_times_are_read_with_zones_and_a_day_alone_in_utc() -> None:
    assert read_time("2026-03-01") == read_time("2026-03-01T00:00:00Z") == read_time("2026-03-01T01:00+01:00")
    assert read_time("2026-03-01", whole_day=True) == read_time("2026-03-01T23:59:59Z")
    assert read_time("2026-03-01T05:00Z", whole_day=True) == read_time("2026-03-01T05:00Z")
    for text in ("20260301", "main", "2026-03", "2026-03-01T", "1234567", ""):
        assert read_time(text) is None
