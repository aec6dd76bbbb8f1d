"""What a ring is due: by example, and for any history that Hypothesis makes up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from pointsman.rollout.due import Due, Ring, due
from pointsman.state.objects import Oid

HOUR = 3600
Kind = Literal["ship", "restore", "removal", "edit"]


@dataclass(frozen=True)
class Step:
    """A step as a test writes it."""

    name: str
    versions: Mapping[str, str]
    kind: Kind = "ship"
    is_good: bool = True
    skips_rings: bool = False
    place: int = 0
    versions_before: Mapping[str, str] = field(default_factory=dict)

    @property
    def oid(self) -> Oid:
        return Oid(self.name)


class Steps:
    """A lineage, newest first."""

    def __init__(self, oldest_first: Sequence[Step]) -> None:
        before: Mapping[str, str] = {}
        steps = []
        for place, step in enumerate(oldest_first):
            steps.append(replace(step, place=len(oldest_first) - 1 - place, versions_before=before))
            before = step.versions
        self.steps = steps[::-1]

    def since(self, place: int) -> Iterator[Step]:
        return iter(self.steps[place:])

    def __getitem__(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)


def ship(name: str, version: str | None = None, **more: Any) -> Step:
    return Step(name, {"p": version or name}, **more)


def back_to(name: str, version: str) -> Step:
    return Step(name, {"p": version}, kind="restore")


def ask(steps: Steps, has: str | None, before: Mapping[str, int], now: int, **more: Any) -> Due[Step]:
    given_at = {Oid(name): at for name, at in before.items()}
    ring = Ring(steps[has] if has else None, given_at, **{"after": 2 * HOUR, **more})
    return due(steps, ring, now)


def name(found: Due[Step]) -> str | None:
    return found.state.name if found.state else None


def test_a_state_is_due_so_long_after_the_ring_before_was_given_it() -> None:
    steps = Steps([ship("a"), ship("b")])
    early = ask(steps, "a", {"a": 0, "b": 10}, 10 + 2 * HOUR - 1)
    assert (name(early), early.waits_for, early.at) == ("a", "time", 10 + 2 * HOUR)
    assert early.coming is not None
    assert early.coming.name == "b"
    assert name(ask(steps, "a", {"a": 0, "b": 10}, 10 + 2 * HOUR)) == "b"


def test_a_ring_that_has_the_newest_waits_for_nothing() -> None:
    assert ask(Steps([ship("a"), ship("b")]), "b", {}, 0).waits_for == "nothing"


def test_hourly_ships_do_not_starve_a_ring_that_waits_two_hours() -> None:
    steps = Steps([ship(each) for each in "abcd"])
    found = ask(steps, "a", {each: hour * HOUR for hour, each in enumerate("abcd")}, 3 * HOUR)
    assert name(found) == "b"
    assert found.at == 4 * HOUR
    assert found.coming is not None
    assert found.coming.name == "c"


def test_what_the_ring_before_was_never_given_does_not_soak() -> None:
    found = ask(Steps([ship("a"), ship("b")]), "a", {"a": 0}, 99 * HOUR)
    assert (name(found), found.waits_for, found.at) == ("a", "time", None)


def test_a_restore_is_due_at_once_where_the_ring_has_what_it_takes_out() -> None:
    steps = Steps([ship("a"), ship("b"), back_to("r", "a")])
    assert name(ask(steps, "b", {"a": 0, "b": 0, "r": 99}, 99)) == "r"


def test_what_a_restore_took_out_is_never_due_also_where_it_only_stood_in_between() -> None:
    steps = Steps([ship("w"), ship("a"), ship("b"), ship("c"), back_to("r", "a")])
    given_at = {"w": 0, "a": HOUR, "b": HOUR, "c": HOUR, "r": 2 * HOUR}
    found = ask(steps, "w", given_at, 3 * HOUR)
    assert name(found) == "a", "it is back, and has soaked; b and c are out"
    assert name(ask(steps, "a", given_at, 5 * HOUR)) == "r", "the same bytes"


def test_a_ship_after_a_restore_soaks_and_the_restore_does_not_wait_for_it() -> None:
    steps = Steps([ship("a"), ship("b"), back_to("r", "a"), ship("c")])
    assert name(ask(steps, "b", {"a": 0, "b": 0, "c": 0}, 1)) == "r"


def test_a_restore_of_a_restore_goes_on_to_the_last_of_them() -> None:
    steps = Steps([ship("a"), ship("b"), ship("c"), back_to("r", "b"), back_to("s", "a")])
    assert name(ask(steps, "c", {}, 1)) == "s"


def test_a_version_that_was_shipped_again_after_its_restore_soaks_like_any_other() -> None:
    steps = Steps([ship("a"), ship("b"), back_to("r", "a"), ship("again", "b")])
    assert name(ask(steps, "r", {"again": 0}, 2 * HOUR)) == "again"


def test_a_restore_of_one_type_takes_out_that_type_alone() -> None:
    steps = Steps(
        [
            Step("a", {"p": "1", "c": "1"}),
            Step("b", {"p": "2", "c": "1"}),
            Step("d", {"p": "2", "c": "2"}),
            Step("r", {"p": "2", "c": "1"}, kind="restore"),
        ]
    )
    given_at = {"b": 0, "d": 0, "r": 2 * HOUR}
    assert name(ask(steps, "a", given_at, 3 * HOUR)) == "b"
    assert name(ask(steps, "d", given_at, 3 * HOUR)) == "r"


def test_a_stop_ends_the_state_that_it_names_and_all_before_but_no_newer_one() -> None:
    steps = Steps([ship("a"), ship("b"), ship("c"), ship("d")])
    given_at = {"b": 0, "c": 0, "d": HOUR}
    stopped = ask(steps, "a", given_at, 2 * HOUR, stops={Oid("c")})
    assert (name(stopped), stopped.waits_for) == ("a", "time")
    assert name(ask(steps, "a", given_at, 3 * HOUR, stops={Oid("c")})) == "d"
    assert ask(Steps([ship("a"), ship("b")]), "a", given_at, 3 * HOUR, stops={Oid("b")}).waits_for == "stop"


def test_a_stop_holds_up_no_restore() -> None:
    steps = Steps([ship("a"), ship("b"), back_to("r", "a")])
    assert name(ask(steps, "b", {}, 1, stops={Oid("r")})) == "r"


def test_without_a_pass_of_its_checks_nothing_is_due() -> None:
    steps = Steps([ship("a"), ship("b")])
    found = ask(steps, "a", {"b": 0}, 9 * HOUR, passes=lambda state: False)
    assert (name(found), found.waits_for) == ("a", "check")


def test_a_ship_that_accepts_not_soaked_goes_everywhere_at_once() -> None:
    steps = Steps([ship("a"), ship("b", skips_rings=True)])
    assert name(ask(steps, "a", {}, 0, passes=lambda state: False)) == "b"


def test_a_state_that_broke_a_rule_and_one_made_by_hand_are_passed_over() -> None:
    steps = Steps([ship("a"), ship("b"), ship("bad", is_good=False), ship("hand", kind="edit")])
    assert name(ask(steps, "a", {"b": 0, "bad": 0, "hand": 0}, 9 * HOUR)) == "b"


def test_a_ring_that_has_nothing_gets_what_another_one_has() -> None:
    steps = Steps([ship("a"), ship("b"), ship("c")])
    assert name(ask(steps, None, {}, 0, elsewhere=steps["b"])) == "b"
    assert name(ask(steps, None, {}, 0)) is None


# any history

VERSIONS = st.sampled_from("1234")


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Steps, Ring[Step], int]:
    """A lineage of some ships, restores and edits, a ring somewhere on it, and a time."""
    states: list[Step] = []
    for place in range(draw(st.integers(1, 9))):
        new = {slot: draw(VERSIONS) for slot in draw(st.sets(st.sampled_from("pc"), min_size=1))}
        kind: Kind = draw(st.sampled_from(("ship", "ship", "restore", "edit"))) if states else "ship"
        if kind == "restore":
            new = dict(draw(st.sampled_from(states)).versions)
        good, skips = draw(st.integers(0, 4)) > 0, draw(st.integers(0, 6)) == 0
        states.append(Step(f"s{place}", new, kind, good, skips))
    steps = Steps(states)
    names = [step.oid for step in steps.steps]
    passing = draw(st.sets(st.sampled_from(names)))
    ring = Ring(
        has=draw(st.sampled_from([None, *steps.steps])),
        before=draw(st.dictionaries(st.sampled_from(names), st.integers(0, 9))),
        after=draw(st.integers(0, 5)),
        stops=draw(st.sets(st.sampled_from(names), max_size=2)),
        passes=lambda step: step.oid in passing,
        elsewhere=draw(st.sampled_from([None, *steps.steps])),
    )
    return steps, ring, draw(st.integers(0, 15))


def is_out(steps: Steps, step: Step) -> bool:
    """Whether a newer restore took a step out, asked the other way round: for each type, whether somebody went back."""
    for restore in steps.steps[: step.place]:
        if restore.kind != "restore":
            continue
        for slot in {*restore.versions, *restore.versions_before}:
            back = restore.versions.get(slot)
            if restore.versions_before.get(slot) == back or step.versions.get(slot) == back:
                continue
            between = steps.steps[restore.place + 1 : step.place + 1]
            if all(each.versions.get(slot) != back for each in between):
                return True
    return False


@given(worlds())
def test_what_is_due_has_every_right_to_be(world: tuple[Steps, Ring[Step], int]) -> None:
    steps, ring, now = world
    state = due(steps, ring, now).state
    if state is None or state == ring.has:
        return
    assert state.is_good
    is_first = ring.has is None and ring.elsewhere is not None and state.place >= ring.elsewhere.place
    assert state.kind in (("ship", "restore", "edit") if is_first else ("ship", "restore"))
    assert not is_out(steps, state)
    if ring.has is not None:
        assert state.place < ring.has.place, "it never goes back on main"
    given_at = ring.before.get(state.oid)
    soaked = given_at is not None and given_at + ring.after <= now and ring.passes(state)
    stopped = any(each.oid in ring.stops for each in steps.steps[: state.place + 1])
    undoes = state.kind == "restore" and ring.has is not None and is_out(steps, ring.has)
    assert is_first or undoes or (not stopped and (soaked or state.skips_rings))


@pytest.mark.slow
@given(worlds(), st.integers(1, 9))
def test_time_alone_moves_a_ring_forwards_only(world: tuple[Steps, Ring[Step], int], later: int) -> None:
    steps, ring, now = world
    one, other = due(steps, ring, now).state, due(steps, ring, now + later).state
    assert one is None or (other is not None and other.place <= one.place)


@pytest.mark.slow
@given(worlds())
def test_nothing_newer_has_the_same_right(world: tuple[Steps, Ring[Step], int]) -> None:
    steps, ring, now = world
    found = due(steps, ring, now)
    top = found.state.place if found.state else len(steps.steps)
    for step in steps.steps[:top]:
        given_at = ring.before.get(step.oid)
        soaked = given_at is not None and given_at + ring.after <= now and ring.passes(step)
        stopped = any(each.oid in ring.stops for each in steps.steps[: step.place + 1])
        good = step.is_good and step.kind in ("ship", "restore") and not is_out(steps, step)
        assert not (good and not stopped and (soaked or step.skips_rings))


@pytest.mark.slow
@given(worlds())
def test_a_ring_that_took_what_it_was_due_is_due_nothing_else(world: tuple[Steps, Ring[Step], int]) -> None:
    steps, ring, now = world
    state = due(steps, ring, now).state
    again = due(steps, structs.replace(ring, has=state), now).state
    if state is not None:
        assert again == state
