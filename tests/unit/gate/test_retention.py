"""What is still needed, held against the plain reading of the rule on histories of every shape."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from pointsman.gate.lineage import Past
from pointsman.gate.retention import Retention
from pointsman.repo.chain_file import Commits
from pointsman.settings import Settings
from pointsman.state.names import Target
from pointsman.state.objects import Oid

TARGET = Target("grocer", "home")
DAY = 86400
VERSIONS = "abc"


@dataclass(frozen=True)
class Step:
    """One commit of main. `kind`: ship, restore, removal, or other, which leaves the manifest as it is."""

    kind: str
    version: str
    time: int


class History:
    """A main of such steps, as far as retention asks for it."""

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps
        self.repo = self

    def oid(self, place: int) -> Oid:
        return Oid(f"{place + 1:040x}")

    def deepen_to_first(self) -> None:
        pass

    def clocks(self, tip: Oid) -> Commits:
        ids = b"".join(bytes.fromhex(self.oid(place)) for place in reversed(range(len(self.steps))))
        return Commits(20, len(self.steps), ids, array("q", [each.time for each in reversed(self.steps)]))

    def lineage(self, tip: Oid, target: Target) -> Any:
        told = [(place, step) for place, step in enumerate(self.steps) if step.kind != "other"][::-1]

        class Lineage:
            @staticmethod
            def at(place: int) -> Any:
                return Told(*told[place], self) if place < len(told) else None

        return Lineage

    def needed(self, base: int, version: str, days: int, ships: int, now: int) -> bool:
        """The rule as the contract says it, for clocks that never run backwards."""
        since = now - days * DAY
        current = ""
        states: list[list[Any]] = []  # version, whether a ship made it, until when, whether it is none, since when
        for step in self.steps[: base + 1]:
            if step.kind != "other":
                if states:
                    states[-1][2] = step.time
                current = step.version if step.kind != "removal" else ""
                states.append([current, step.kind == "ship", None, step.kind == "removal", step.time])
        if not states:
            return False
        if any(each[0] == version and (each[2] is None or each[2] > since) for each in states):
            return True
        counted = 0
        for each in reversed(states):
            if each[3] and each[4] <= since:
                return False
            if each[1]:
                counted += 1
                if counted <= ships and each[0] == version:
                    return True
        return False


class Told:
    def __init__(self, place: int, step: Step, history: History) -> None:
        self.commit = type("Commit", (), {"oid": history.oid(place)})
        self.versions: Mapping[str, str] = {"popularity": step.version} if step.kind != "removal" else {}
        self.is_ship = step.kind == "ship"
        self.after = None if step.kind == "removal" else step


kinds = st.sampled_from(["ship", "ship", "ship", "restore", "removal", "other"])
gaps = st.sampled_from([0, 1, DAY - 1, DAY, 5 * DAY, 40 * DAY])
histories = st.lists(st.tuples(kinds, st.sampled_from(VERSIONS), gaps), min_size=1, max_size=14)


def history_of(drawn: list[tuple[str, str, int]]) -> History:
    steps, time = [], 1_772_600_000
    for kind, version, gap in drawn:
        time += gap
        steps.append(Step(kind, version, time))
    return History(steps)


def why(
    retention: Retention,
    history: History,
    base: int,
    version: str,
    settings: Settings,
    now: int,
    *,
    erase: bool = False,
) -> str:
    tip, slot = history.oid(len(history.steps) - 1), ("popularity", version)
    return retention.why_needed(tip, history.oid(base), TARGET, slot, settings, now, erase=erase)


@given(drawn=histories, days=st.sampled_from([0, 1, 5, 6, 45]), ships=st.integers(0, 4), wait=gaps, order=st.randoms())
def test_it_says_what_the_contract_says_of_every_version_at_every_commit_in_any_order(
    drawn: list[tuple[str, str, int]], days: int, ships: int, wait: int, order: Any
) -> None:
    history = history_of(drawn)
    retention, settings = Retention(cast(Past, history)), Settings("", keep_days=days, keep_ships=ships)
    asked = [(base, version) for base in range(len(history.steps)) for version in VERSIONS]
    order.shuffle(asked)
    for base, version in asked:
        now = history.steps[base].time + wait
        assert bool(why(retention, history, base, version, settings, now)) == history.needed(
            base, version, days, ships, now
        )


@given(drawn=histories, bad=st.integers(0, 12))
def test_a_clock_far_ahead_gives_up_nothing_that_is_needed(drawn: list[tuple[str, str, int]], bad: int) -> None:
    history = history_of(drawn)
    last, now = len(drawn) - 1, history.steps[-1].time
    steps = list(history.steps)
    steps[min(bad, last)] = replace(steps[min(bad, last)], time=32_440_000_000)
    wrong, settings = History(steps), Settings("", keep_days=5, keep_ships=0)
    for version in VERSIONS:
        if history.needed(last, version, 5, 0, now):
            assert why(Retention(cast(Past, wrong)), wrong, last, version, settings, now)


@given(drawn=histories)
def test_what_is_erased_is_needed_only_while_it_is_current(drawn: list[tuple[str, str, int]]) -> None:
    history = history_of(drawn)
    last = len(drawn) - 1
    for version in VERSIONS:
        retention, now = Retention(cast(Past, history)), history.steps[-1].time
        found = why(retention, history, last, version, Settings(""), now, erase=True)
        assert bool(found) == history.needed(last, version, -1, 0, now)
