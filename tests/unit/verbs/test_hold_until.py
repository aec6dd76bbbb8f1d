"""Times until which a hold stands, as people write them."""

from __future__ import annotations

import re

import pytest

from pointsman.errors import Problem
from pointsman.state.documents import Hold
from pointsman.verbs.hold import is_same, read_until

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


def held(until: str, reason: str = "a bad feed", rollout: str = "", target: str = "grocer/home") -> Hold:
    return Hold(target, f"2026-03-04T{until}Z" if until else "", reason, rollout)


@pytest.mark.parametrize(
    "one, other, same",
    [
        (None, None, True),
        (None, held("12:00:00"), False),
        (held("12:00:00"), None, False),
        (held("12:00:00"), held("12:00:00"), True),
        (held("12:00:00"), held("12:01:00"), True),
        (held("12:00:00"), held("12:01:01"), False),
        (held("12:00:01"), held("12:00:00"), False),
        (held("12:00:00"), held("12:00:30", "a worse feed"), False),
        (held("12:00:00"), held("12:00:30", rollout="a" * 40), False),
        (held("12:00:00"), held("12:00:30", target="all"), False),
        (held("", rollout="a" * 40), held("", rollout="a" * 40), True),
        (held("", rollout="a" * 40), held("", rollout="b" * 40), False),
        (held("", rollout="a" * 40), held("12:00:00", rollout="a" * 40), False),
    ],
)
def test_what_is_said_again_within_a_minute_is_the_same_hold(one: Hold | None, other: Hold | None, same: bool) -> None:
    assert is_same(one, other) is same
