"""Guardrails: what each stops and by a hair does not, and how each is set."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from shop import GROCER

from pointsman.guardrails.comparison import Finding, Likeness, Step
from pointsman.guardrails.limits import Age, Jump, Limit
from pointsman.guardrails.table import DEFAULTS, GUARDRAILS, judge, sentence
from pointsman.settings import read_settings
from pointsman.state.documents import Record
from pointsman.state.names import Target

NOON_ON_2_MARCH = 1772452800
RECORD = Record(
    tenant="grocer", surface="home", segment="default", type="popularity", version="a" * 64,
    window_start="2026-03-01T00:00:00Z", window_end="2026-03-02T00:00:00Z", uri="file:///x", size=1000, built_at="",
    source_hash="", summary={"items": 100}, recorded_at="2026-03-02T00:00:00.000000Z", run="", commit="", tool="",
)  # fmt: skip


def record(kind: str = "popularity", version: str = "b", **more: Any) -> Record:
    return replace(RECORD, type=kind, version=version * 64, **more)


def step(
    before: Sequence[Record],
    after: Sequence[Record],
    *,
    drops: Sequence[str] = (),
    kept: float | None = 1,
    overlap: float | None = 1,
    why: str = "",
    clock: int = NOON_ON_2_MARCH,
) -> Step:
    """A ship from some records to others, whose contents are all as alike as told."""
    old, new = ({each.type: each for each in side} for side in (before, after))
    changed = [slot for slot in new if slot not in old or old[slot] != new[slot]]
    likeness = {(old[slot].version, new[slot].version): Likeness(kept, overlap, why) for slot in changed if slot in old}
    return Step(old, new, changed, tuple(new), drops, clock, likeness)


def found(rule: str, *steps: Step, limit: Limit | None = None) -> list[Finding]:
    return judge(GUARDRAILS[rule], lambda _: GUARDRAILS[rule].default if limit is None else limit, steps)


def says(rule: str, *steps: Step, limit: Limit | None = None) -> str:
    """What a guardrail objects to, "" for nothing."""
    return sentence(each for each in found(rule, *steps, limit=limit) if each.broken)


# one by one: what is just too much, and what is not


@pytest.mark.parametrize(
    "rule,limit,wrong,right,words",
    [
        ("type-dropped", True, step([RECORD, record("cooc")], [RECORD]),
         step([RECORD, record("cooc")], [RECORD], drops=["cooc"]), "cooc disappeared"),
        ("type-missing", ("cooc",), step([], [RECORD]), step([], [RECORD, record("cooc")]), "cooc not in the manifest"),
        ("items-drop", 0.5, step([RECORD], [record(summary={"items": 49})]),
         step([RECORD], [record(summary={"items": 50})]), "fell from 100 to 49 items (51% less, the limit is 50%)"),
        ("items-floor", 20, step([], [record(summary={"items": 19})]), step([], [record(summary={"items": 20})]),
         "has 19 items, the floor is 20"),
        ("kept-low", 0.3, step([RECORD], [record()], kept=0.29), step([RECORD], [record()], kept=0.3), "kept 29%"),
        ("overlap-low", 0.3, step([RECORD], [record()], overlap=0.29), step([RECORD], [record()], overlap=0.3), "29%"),
        ("size-jump", Jump(3, 10), step([RECORD], [record(size=333)]), step([RECORD], [record(size=334)]),
         "from 1000 to 333 bytes"),
        ("size-jump", Jump(3, 10), step([RECORD], [record(size=10001)]), step([RECORD], [record(size=10000)]),
         "times larger (the limit is 10)"),
        ("too-large-to-serve", 10_000_000, step([], [record(size=10_000_001)]), step([], [record(size=10_000_000)]),
         "has 10000001 bytes, serving loads at most 10000000"),
        ("window-regressed", True, step([RECORD], [record(window_end="2026-03-01T23:59:59.999999999Z")]),
         step([RECORD], [record(window_end="2026-03-02T01:00:00+01:00")]), "went back"),
        ("window-regressed", True, step([RECORD], [record(window_end="2026-02-29T00:00:00Z")]),
         step([record(version="c", window_end="2026-02-29T00:00:00Z")], [record()]), "went back"),
        ("window-stale", Age(43200, "12h"), step([], [RECORD], clock=NOON_ON_2_MARCH + 1), step([], [RECORD]),
         "ended 12.0 hours ago"),
        ("window-stale", Age(43200, "12h"), step([], [record(window_end="2026-02-29T00:00:00Z")]),
         step([], [record(window_end="2026-03-09T00:00:00Z")]), "with an end that is not a valid date"),
        ("window-ahead", True, step([], [record(window_end="2026-03-03T12:00:01Z")]),
         step([], [record(window_end="2026-03-03T12:00:00Z")]), "ends in 24.0 hours"),
        ("window-ahead", True, step([RECORD], [record(window_end="2062-03-02T00:00:00Z")]), step([RECORD], [record()]),
         "days (2062-03-02T00:00:00Z), the limit is a day"),
        ("windows-differ", True, step([], [RECORD, record("cooc", window_start="2026-02-28T00:00:00Z")]),
         step([], [RECORD, record("cooc", window_start="2026-03-01T01:00:00+01:00")]), "from different windows"),
        ("segment-changed", True, step([RECORD], [record(segment="night")]), step([], [record(segment="night")]),
         "went from the segment default to the segment night"),
        ("segment-changed", True, step([RECORD], [record(segment="")]), step([RECORD], [record()]),
         "to the segment without a name"),
        ("segment-changed", True, step([record(version="c", segment="")], [record()]), step([RECORD], [record()]),
         "from the segment without a name to the segment default"),
    ],
)  # fmt: skip
def test_a_guardrail_stops_what_is_just_too_much_and_nothing_when_it_is_off(
    rule: str, limit: Limit, wrong: Step, right: Step, words: str
) -> None:
    assert words in says(rule, wrong, limit=limit)
    assert says(rule, right, limit=limit) == ""
    assert found(rule, wrong, limit=False) == []


MEASURES = {
    "popularity": "items", "cooc": "rows", "implicit": "users", "session_seq": "users", "content_sim": "items",
    "bundles": "packs",
}  # fmt: skip


@pytest.mark.parametrize("kind", MEASURES)
def test_a_type_is_counted_in_what_it_is_made_of(kind: str) -> None:
    def told(before: Mapping[str, int], after: Mapping[str, int]) -> str:
        return says("items-drop", step([record(kind, "c", summary=before)], [record(kind, summary=after)]))

    measure = MEASURES[kind]
    assert f"from 100 to 10 {measure}" in told({measure: 100, "inside": 9}, {measure: 10, "inside": 9})
    fallen = told({measure: 100, "inside": 900}, {measure: 100})
    # What is inside of rows may fall; a user's own type counts all of its lists.
    assert fallen == "" if kind != "bundles" else "from 900 to 0 inside" in fallen


def test_the_floor_is_for_popularity_alone() -> None:
    assert says("items-floor", step([], [record("cooc", summary={"rows": 1, "items": 1})]), limit=20) == ""


def test_what_had_nothing_in_it_can_lose_nothing() -> None:
    empty = record(version="c", summary={"items": 0}, size=200)
    for rule in ("items-drop", "size-jump"):
        assert says(rule, step([empty], [record(size=200_000)])) == ""


def test_counts_beyond_every_double_are_judged_too() -> None:
    huge = record(version="c", summary={"items": 2**63 - 1}, size=2**63 - 1)
    for rule in ("items-drop", "size-jump"):
        assert says(rule, step([huge], [RECORD]))
    assert says("items-drop", step([huge], [record(summary={"items": 2**62})])) == ""


def test_a_slot_that_the_ship_leaves_alone_is_not_judged_again() -> None:
    old = record("cooc", size=20_000_000, window_end="2020-01-01T00:00:00Z")
    ship = step([RECORD, old], [record(), old])
    assert says("too-large-to-serve", ship) == ""
    assert says("window-stale", ship, limit=Age(86400, "1d")) == ""


def test_whatever_is_new_has_nothing_to_be_compared_with() -> None:
    ship = step([record("cooc")], [record("cooc"), record(segment="night", size=1, summary={"items": 0})])
    assert [rule for rule in GUARDRAILS if says(rule, ship)] == []


# against the current state, or the last one shipped without Accept:


def test_a_ship_passes_that_is_within_limits_of_either_state() -> None:
    small = record(version="c", summary={"items": 10}, size=100)
    good = record(version="d", summary={"items": 101})
    repair, back = record(version="e", summary={"items": 102}), record(version="e", summary={"items": 9})
    assert says("size-jump", step([small], [repair]), step([good], [repair]), limit=Jump(3, 9)) == ""
    assert says("items-drop", step([small], [back]), step([good], [back])) == ""
    nothing = record(version="f", summary={"items": 4})
    both = says("items-drop", step([small], [nothing]), step([good], [nothing]))
    assert "from 10 to 4" in both, "what is told is of the current state"
    assert "101" not in both


def test_a_state_without_the_type_is_none_to_compare_with() -> None:
    fallen = record(version="e", summary={"items": 9})
    assert says("items-drop", step([RECORD], [fallen]), step([record("cooc")], [fallen, record("cooc")]))
    cooc_gone = step([RECORD, record("cooc")], [record()])
    assert says("type-dropped", cooc_gone, step([RECORD], [record()]))


def test_what_cannot_be_looked_at_is_said_and_stops_nothing() -> None:
    dark = step([RECORD], [record()], kept=None, overlap=None, why="no blob at s3://x")
    for rule in ("kept-low", "overlap-low"):
        finding = found(rule, dark, limit=0.3)[0]
        assert (finding.figure, finding.broken) == (None, False)
        assert "popularity not measured: no blob at s3://x" in finding.says
        bright = step([RECORD], [record()], kept=0.1, overlap=0.1)
        assert says(rule, bright, dark, limit=0.3), "an earlier state that cannot be read excuses nothing"


INVALID = "2026-02-30T00:00:00Z"


@pytest.mark.parametrize(
    "rule,ship,limit",
    [
        ("items-drop", step([record("mine", "c", summary={})], [record("mine", summary={"a": 1})]), None),
        ("items-drop", step([record(version="c", summary={"other": 9})], [RECORD]), None),
        ("size-jump", step([record("mine", "c", summary={"a": 0})], [record("mine", size=9**9)]), None),
        ("kept-low", step([RECORD], [record()], kept=None), None),
        ("overlap-low", step([RECORD], [record()], overlap=None), 0.3),
        ("window-regressed", step([record(version="c", window_end=INVALID)], [record(window_end=INVALID)]), None),
        ("windows-differ", step([], [record(window_end=INVALID)]), True),
    ],
)
def test_what_was_not_measured_is_never_told_as_within_its_limit(rule: str, ship: Step, limit: Limit | None) -> None:
    [finding] = found(rule, ship, limit=limit)
    assert (finding.figure, finding.broken) == (None, False)
    assert "not measured: " in finding.says


def test_an_earlier_state_that_was_not_measured_excuses_nothing() -> None:
    few = [record(summary={"items": 1})]
    assert says("items-drop", step([RECORD], few), step([record(version="c", summary={"items": 2})], few)) == ""
    assert says("items-drop", step([RECORD], few), step([record(version="c", summary={})], few))


OF_PAIRS = ("items-drop", "kept-low", "size-jump", "window-regressed", "segment-changed", "overlap-low")


def test_a_version_whose_record_cannot_be_read_is_not_measured_against_and_still_may_not_vanish() -> None:
    ship = replace(step([], [RECORD]), unread=["popularity", "cooc"])
    for rule in GUARDRAILS:
        told = [each for each in found(rule, ship, limit=0.3 if rule == "overlap-low" else None) if each.says]
        if rule == "type-dropped":
            assert [each.slot for each in told] == ["cooc"]
        else:
            assert [each.slot for each in told if each.figure is None] == ["popularity"] * (rule in OF_PAIRS), rule
    back = step([RECORD], [RECORD])
    assert says("type-dropped", ship, back), "a state that never had the type is none to compare with"


def test_what_a_list_had_nothing_of_is_measured_as_no_loss() -> None:
    ship = step([record("mine", "c", summary={"a": 0, "b": 4})], [record("mine", summary={"a": 3, "b": 4})])
    assert [each.figure for each in found("items-drop", ship)] == [0, 0]


def test_what_holds_for_several_types_is_said_once() -> None:
    later = {"window_end": "2026-03-03T00:00:00Z"}
    last_year = {"window_end": "2025-03-03T00:00:00Z"}
    night = [RECORD, record("cooc"), record("implicit", **last_year), record("session_seq")]
    before = [record(each.type, "c", **later) for each in night[:3]] + [record("session_seq", "c")]
    told = says("window-regressed", step(before, night))
    start = "went back from the window that ends 2026-03-03T00:00:00Z to the one that ends"
    assert told == f"cooc, popularity {start} 2026-03-02T00:00:00Z; implicit {start} 2025-03-03T00:00:00Z"
    differ = Finding(None, 2, True, "they differ")
    assert sentence([differ, Finding("cooc", 2, True, "cooc, too")]) == "they differ; cooc, too"


@pytest.mark.parametrize("rule", ["items-drop", "kept-low", "overlap-low", "size-jump", "window-regressed"])
def test_what_is_said_of_one_type_is_right_of_two(rule: str) -> None:
    types = ["mine", "yours"]  # no measures of their own
    before = [record(each, "c", window_end="2026-03-03T00:00:00Z", summary={"items": 100}) for each in types]
    now = [record(each, size=1, summary={"items": 1}) for each in types]
    for pair in (slice(0, 1), slice(0, 2)):
        told = says(
            rule, step(before[pair], now[pair], kept=0.0, overlap=0.0), limit=0.3 if rule == "overlap-low" else None
        )
        words = told.removeprefix(", ".join(types[pair]) + " ")
        assert words != told
        assert re.match("(fell|kept|went) ", words)  # a verb of one form, and no "its"
        assert not re.search(r"\bits\b", words)


def test_a_share_is_told_with_enough_digits_to_see_that_it_is_beyond_its_limit() -> None:
    less = step([record(version="c", summary={"items": 1000})], [record(summary={"items": 497})])
    assert "(50.3% less, the limit is 50.0%)" in says("items-drop", less)
    assert "kept 29.996% of the ids, the floor is 30.000%" in says("kept-low", step([RECORD], [record()], kept=0.29996))


# properties

counts = st.integers(0, 10**6)
records = st.builds(
    lambda kind, count, size, segment: record(
        kind, summary={"items": count, "rows": count, "users": count}, size=size, segment=segment
    ),
    st.sampled_from(["popularity", "cooc", "implicit", "bundles"]),
    counts,
    st.integers(1, 10**7),
    st.sampled_from(["", "default", "night"]),
)
states = st.lists(records, unique_by=lambda each: each.type, min_size=1)


@given(states, st.floats(0, 1))
def test_an_artifact_against_itself_breaks_nothing(state: list[Record], share: float) -> None:
    ship = step(state, [replace(each, version="c" * 64) for each in state])
    limits: dict[str, Limit] = {**DEFAULTS, "items_drop": share, "kept_low": share, "overlap_low": share}
    limits |= {"windows_differ": True, "window_stale": Age(43200, "12h"), "type_missing": (state[0].type,)}
    assert [rule for rule in GUARDRAILS if says(rule, ship, limit=limits[GUARDRAILS[rule].setting])] == []


@given(st.integers(1, 10**6), counts, st.integers(1, 1000), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
def test_scaling_both_counts_or_both_sizes_changes_nothing(was: int, now: int, factor: int, share: float) -> None:
    def told(times: int) -> tuple[bool, bool]:
        before = record(version="c", summary={"items": was * times}, size=was * times)
        after = record(summary={"items": now * times}, size=max(now, 1) * times)
        ship = step([before], [after])
        return bool(says("items-drop", ship, limit=share)), bool(says("size-jump", ship))

    assert told(factor) == told(1)


@given(counts, counts, st.floats(0, 1), st.floats(0, 1))
def test_a_stricter_share_lets_nothing_more_through(was: int, now: int, one: float, other: float) -> None:
    ship = step([record(version="c", summary={"items": was})], [record(summary={"items": now})])
    strict, lax = sorted((one, other))
    assert bool(says("items-drop", ship, limit=strict)) >= bool(says("items-drop", ship, limit=lax))


@pytest.mark.slow
@given(states, states, states)
def test_one_more_state_to_compare_with_never_stops_a_ship(
    current: list[Record], earlier: list[Record], new: list[Record]
) -> None:
    after = [replace(each, version="d" * 64) for each in new]
    earlier = [replace(each, version="e" * 64) for each in earlier]
    for rule in GUARDRAILS:
        alone = says(rule, step(current, after))
        assert says(rule, step(current, after), step(earlier, after)) in ("", alone)


# settings


def test_the_defaults_are_those_of_the_contract() -> None:
    assert {
        "type_dropped": True, "type_missing": (), "items_drop": 0.5, "items_floor": False, "kept_low": 0.3,
        "size_jump": Jump(3, 10), "too_large_to_serve": 10_000_000, "window_regressed": True, "window_stale": False,
        "window_ahead": True, "windows_differ": False, "segment_changed": True, "overlap_low": False,
    } == DEFAULTS  # fmt: skip
    assert {each.setting for each in GUARDRAILS.values()} == set(DEFAULTS)


@pytest.mark.parametrize(
    "key,text,value",
    [
        ("type_missing", '["popularity", "bundles"]', ("popularity", "bundles")), ("items_drop", "1", 1.0),
        ("items_floor", "20", 20), ("size_jump", "{ shrink = 2 }", Jump(2, 10)),
        ("size_jump", "{ grow = 2.5 }", Jump(3, 2.5)), ("too_large_to_serve", "1", 1), ("overlap_low", "0.25", 0.25),
        ("window_stale", '"90m"', Age(5400, "90m")), ("window_stale", '"36h"', Age(129600, "36h")),
        ("window_stale", '"3d"', Age(259200, "3d")), ("window_stale", '"2w"', Age(1209600, "2w")),
        ("windows_differ", "true", True), ("kept_low", "0", False), ("overlap_low", "0.0", False),
    ],
)  # fmt: skip
def test_every_limit_can_be_set_for_all_and_for_one_target(key: str, text: str, value: Limit) -> None:
    store = '[store]\nurl = "file:///srv"\n'
    for_all = read_settings(f"{store}[policy]\n{key} = {text}\n".encode()).limit(GROCER, key)
    assert (for_all, type(for_all)) == (value, type(value))
    for_one = read_settings(f'{store}[policy."grocer/home"]\n{key} = {text}\n'.encode())
    assert for_one.limit(GROCER, key) == value
    assert for_one.limit(Target("grocer", "cart"), key) == DEFAULTS[key]


@pytest.mark.parametrize("key", list(DEFAULTS))
def test_every_guardrail_can_be_switched_off_for_all_and_for_one_target(key: str) -> None:
    for table in ("[policy]", '[policy."grocer/home"]'):
        settings = read_settings(f'[store]\nurl = "file:///srv"\n{table}\n{key} = false\n'.encode())
        assert settings.limit(GROCER, key) in (False, ())
