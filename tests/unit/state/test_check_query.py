"""What a check asks: names take their places and change nothing else, and how far back it looks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.errors import Problem
from pointsman.state.check import Check, check_query
from pointsman.state.names import NAME, Target

TENANT = "sum(rate(x{tenant=\"{tenant}\",surface!='{surface}',ring=`{ring}`}[5m]))"


def check(query: str, lasts: int = 600) -> Check:
    return Check("empty", "http://p:9090", query, 0.02, True, lasts)


@given(st.from_regex(NAME, fullmatch=True), st.from_regex(NAME, fullmatch=True))
def test_names_take_their_places_and_change_nothing_else(tenant: str, surface: str) -> None:
    try:
        target = Target(tenant, surface)
    except Problem:
        return
    asked = check(TENANT).asks(target, "canary")
    assert asked == f"sum(rate(x{{tenant=\"{tenant}\",surface!='{surface}',ring=`canary`}}[5m]))"


def test_a_placeholder_in_a_name_or_a_comment_is_not_replaced_again() -> None:
    check_query(TENANT, "query")
    assert check('x{a="{tenant}{surface}"}').asks(Target("a", "b"), "c") == 'x{a="ab"}'


@pytest.mark.parametrize(
    "query",
    ["x_{tenant}", 'x{a=~"{tenant}"}', 'x{a!~"{ring}"}', 'label_replace(x, "a", "{ring}", "b", "(.*)")',
     'x{a="b"} > {tenant}', 'x{a=="{tenant}"}', "x{a=\"'\"}{tenant}", 'x{a="b} # "{tenant}"'],
)  # fmt: skip
def test_where_a_name_could_change_the_question_none_may_stand(query: str) -> None:
    with pytest.raises(Problem, match="where a name could change the question"):
        check_query(query, "query")


@pytest.mark.parametrize(
    "query, seconds",
    [
        ("x", 0),
        ("rate(x[5m])", 300),
        ("rate(x[5m]) / rate(y[1h30m])", 5400),
        ("rate(x[ 300 ])", 300),
        ("max_over_time(rate(x[5m])[30m:1m])", 2100),
        ("rate(x[5m] offset 1h)", 3900),
        ('rate(x{a="[9d]"}[5m]) # [8d]', 300),
        ("rate(x[1500ms])", 2),
    ],
)
def test_a_query_looks_back_by_its_ranges_and_offsets(query: str, seconds: int) -> None:
    assert check(query).reach == seconds


def test_points_are_so_far_apart_that_an_answer_stays_small() -> None:
    assert [check("x", lasts).step for lasts in (1, 60, 61, 600, 86400)] == [1, 1, 2, 10, 1440]
