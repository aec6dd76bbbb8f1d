"""What a check says of a state: only values that are all there, and all on one side, decide."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.rollout.judge import judge, points, too_early
from pointsman.state.check import Check

NOW = 1_800_000_000
CHECK = Check("empty", "http://p", "rate(x[5m])", 0.02, True, 600)


def at(*values: float) -> dict[int, float]:
    moments = points(CHECK, NOW)
    return {moment: values[place % len(values)] for place, moment in enumerate(moments)}


def test_the_values_of_the_last_so_long_decide() -> None:
    assert (points(CHECK, NOW)[0], points(CHECK, NOW)[-1], len(points(CHECK, NOW))) == (NOW - 600, NOW, 61)


@pytest.mark.parametrize(
    "values, verdict, says",
    [
        (at(0.0), "pass", "0, below 0.02"),
        (at(0.01, 0.019), "pass", "0.01 to 0.019, below 0.02"),
        (at(0.02, 0.3), "fail", "0.02 to 0.3, and it must be below 0.02"),
        (at(0.01, 0.3), "undecided", "values are not below 0.02"),
        (at(0.01, math.nan), "undecided", "not enough data: 30 of 61 values are no numbers"),
        (at(math.inf), "undecided", "not enough data: 61 of 61 values are no numbers"),
        ({}, "undecided", "not enough data: 61 of 61 values are missing"),
        (dict.fromkeys(points(CHECK, NOW)[1:], 0.0), "undecided", "1 of 61 values are missing"),
        (dict.fromkeys(points(CHECK, NOW)[:-1], 0.9), "undecided", "1 of 61 values are missing"),
    ],
)
def test_a_check_passes_or_fails_only_by_all_values(values: dict[int, float], verdict: str, says: str) -> None:
    found = judge(CHECK, values, NOW)
    assert (found.verdict, says in found.says) == (verdict, True), found
    last = values.get(NOW)
    assert found.value == (last if last is not None and math.isfinite(last) else None)


@given(st.dictionaries(st.integers(NOW - 700, NOW + 10), st.floats(), max_size=80), st.booleans())
def test_no_answer_both_passes_and_fails_its_opposite(values: dict[int, float], is_below: bool) -> None:
    check = Check("c", "http://p", "x", 0.5, is_below, 30)
    found = judge(check, values, NOW)
    wanted = [values.get(moment) for moment in points(check, NOW)]
    numbers = [each for each in wanted if each is not None and math.isfinite(each)]
    whole = len(numbers) == len(wanted)
    assert (found.verdict == "pass") == (whole and all(map(check.holds, numbers)))
    assert (found.verdict == "fail") == (whole and not any(map(check.holds, numbers)))


def test_above_is_the_other_side() -> None:
    above = Check("c", "http://p", "x", 0.02, False, 600)
    assert judge(above, at(0.02), NOW).verdict == "fail"
    assert judge(above, at(0.03), NOW).verdict == "pass"


def test_what_the_query_looks_at_must_be_of_the_time_since_the_state_was_given() -> None:
    early = too_early(CHECK, NOW - 900, NOW)  # 600 s of values, each of which looks 300 s back
    assert early is not None
    assert early.verdict == "undecided"
    assert "from 2027-01-15T08:00:01Z on" in early.says
    assert too_early(CHECK, NOW - 901, NOW) is None
    assert too_early(CHECK, None, NOW) is not None
