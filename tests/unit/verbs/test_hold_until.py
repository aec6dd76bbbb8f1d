"""Times until which a hold stands, as people write them."""

from __future__ import annotations

import re

import pytest

from pointsman.errors import Problem
from pointsman.verbs.hold import read_until

NOON = 1772625600  # 2026-03-04T12:00:00Z


@pytest.mark.parametrize(
    "text,until",
    [
        ("30m", "2026-03-04T12:30:00Z"),
        ("3d", "2026-03-07T12:00:00Z"),
        ("2w", "2026-03-18T12:00:00Z"),
        ("2026-03-05", "2026-03-05T00:00:00Z"),
        ("2026-03-05T05:10:00+01:00", "2026-03-05T04:10:00Z"),
        ("999999w", "9999-12-31T23:59:59Z"),
    ],
)
def test_times_are_relative_or_of_the_calendar(text: str, until: str) -> None:
    assert read_until(text, NOON) == until


@pytest.mark.parametrize("text", ["2026-03-04T12:00:00Z", "2026-03-04", "0h", "tomorrow", "2026-02-30", "-3d", "3 d"])
def test_what_is_past_or_no_time_is_one_sentence(text: str) -> None:
    with pytest.raises(Problem, match=re.escape(text)):
        read_until(text, NOON)
