"""A line of a log comes from outside: whatever stands in it, it is told or passed over, and nothing is raised."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.state.log_line import LOADED, Form, Heard

NUMBERS = st.one_of(st.integers(), st.floats(), st.integers(0, 600).map(lambda zeros: -(10**zeros)))
VALUES = st.recursive(st.one_of(st.none(), st.booleans(), NUMBERS, st.text()), lambda each: st.lists(each, max_size=2))


@pytest.mark.parametrize("ts", [10**400, -(10**400), 10**31, -(10**31), 0, -1, 1e308, -1e308], ids=list("abcdefgh"))
def test_a_time_that_no_clock_tells_is_no_time(ts: float) -> None:
    heard = Form().read(json.dumps({"ts": ts, "msg": "x"}).encode())
    assert isinstance(heard, Heard)
    assert heard.at is None or 0 < heard.at <= 1e11


@given(st.dictionaries(st.sampled_from(["ts", "msg", "tenant", "surface", "hash"]), VALUES), st.booleans())
def test_no_line_of_json_raises(line: dict[str, object], loads: bool) -> None:
    data = json.dumps({**line, **({"msg": LOADED} if loads else {})}).encode()
    assert isinstance(Form().read(data), Heard | str)
