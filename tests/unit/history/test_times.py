"""Times as people write them."""

from __future__ import annotations

import pytest

from pointsman.history.times import clock_ahead, read_time
from pointsman.state.objects import Oid


def test_times_are_read_with_zones_and_a_day_alone_in_utc() -> None:
    assert read_time("2026-03-01") == read_time("2026-03-01T00:00:00Z") == read_time("2026-03-01T01:00+01:00")
    assert read_time("2026-03-01", whole_day=True) == read_time("2026-03-01T23:59:59Z")
    assert read_time("2026-03-01T05:00Z", whole_day=True) == read_time("2026-03-01T05:00Z")
    for text in ("20260301", "main", "2026-03", "2026-03-01T", "1234567", ""):
        assert read_time(text) is None


NOW = 1773000000
ONE, TWO = Oid("1" * 40), Oid("2" * 40)


@pytest.mark.parametrize(
    "clocks, says",
    [
        ([], ""),
        ([(ONE, 0), (TWO, NOW)], ""),
        ([(ONE, NOW + 3599)], ""),
        ([(ONE, NOW + 3600)], "the clock of 111111111111 on main is 1 hours ahead: until 2026-03-08T21:00:00Z"),
        ([(ONE, NOW + 3600), (TWO, NOW + 90_000)], "the clock of 222222222222 on main is 25 hours ahead"),
        ([(TWO, NOW + 10 * 86400), (ONE, NOW)], "the clock of 222222222222 on main is 10 days ahead"),
    ],
)
def test_the_clock_that_is_furthest_ahead_is_told(clocks: list[tuple[Oid, int]], says: str) -> None:
    found = clock_ahead(clocks, NOW)
    assert found.startswith(says)
    assert bool(found) is bool(says)
