"""Many publishers and one main, in one process: the real loop and the real line, on an origin that is a dictionary.

Every question to the origin and every change of it is one step. A seed decides how long each step takes, who dies and
whether that is before or after its step. Nobody sleeps: time is a number.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from pointsman.errors import Fault, MovedFirst, Refused, Unreachable
from pointsman.progress import telling
from pointsman.repo import retry
from pointsman.repo.repository import Repository
from pointsman.repo.retry import TRIES, until_settled
from pointsman.repo.turns import TICKETS, Turns
from pointsman.state.objects import Oid

MAIN = "refs/heads/main"
LIMIT = 600.0  # seconds of the simulated clock
REQUEST = 0.2  # seconds that a step takes at most


class Killed(BaseException):
    """SIGKILL, as far as a publisher is concerned."""


@dataclass
class Origin:
    """Refs, a clock, and main as what has landed, in order. `takes_tickets`: whether refs of the line may be pushed."""

    dice: random.Random
    deaths: int = 0
    takes_tickets: bool = True
    now: float = 0.0
    refs: dict[str, Oid] = field(default_factory=lambda: {MAIN: Oid("0")})
    landed: list[str] = field(default_factory=list)
    pushes: int = 0


class Publisher:
    """A process: it pushes its record and, when main has that, merges its ship, as publish does."""

    def __init__(self, name: str, origin: Origin, *, together: bool) -> None:
        self.name = name
        self.origin = origin
        self.together = together
        self.turns = Turns(self, lambda: LIMIT, lambda: origin.now, self.sleep, random.Random(name))
        self.heads: dict[str, Oid] = {}
        self.wakes = 0.0
        self.dead = False
        self.ended: str = ""
        self.go = threading.Semaphore(0)
        self.stopped = threading.Semaphore(0)
        self.thread = threading.Thread(target=self.run, daemon=True)

    # what the loop and the line ask of a repository

    @property
    def main(self) -> Oid:
        return self.heads[MAIN]

    def refresh(self) -> Oid:
        refs = dict(self.look())
        self.heads = {MAIN: refs[MAIN]}
        self.turns.saw({ref: oid for ref, oid in refs.items() if ref != MAIN})
        return self.main

    def look(self) -> Mapping[str, Oid]:
        return cast(Mapping[str, Oid], self.step(lambda: dict(self.origin.refs)))

    def change_ref(self, ref: str, new: Oid | None, was: Oid | None) -> None:
        if not self.origin.takes_tickets:
            raise Unreachable("refused by a hook")
        self.step(lambda: self._move([(ref, new, was)]))

    def sleep(self, seconds: float) -> None:
        self.step(lambda: None, seconds)

    # steps

    def step(self, act: Callable[[], Any], rest: float = 0.0) -> Any:
        origin = self.origin
        self.wakes = origin.now + rest + origin.dice.uniform(0, REQUEST)
        self.stopped.release()
        self.go.acquire()
        dies = not self.dead and origin.deaths > 0 and origin.dice.random() < 0.05
        if dies:
            origin.deaths -= 1
            self.dead = True
            if origin.dice.random() < 0.5:
                with contextlib.suppress(MovedFirst):
                    act()
        if self.dead:
            raise Killed
        return act()

    def _move(self, moves: Sequence[tuple[str, Oid | None, Oid | None]]) -> None:
        refs = self.origin.refs
        if any(refs.get(ref) != was for ref, _, was in moves):
            raise MovedFirst("someone else moved first")
        self.origin.pushes += 1
        for ref, new, _ in moves:
            if new is None:
                refs.pop(ref, None)
            else:
                refs[ref] = new

    def push(self, what: str, offered: bool) -> None:
        """Land `what` and, in its turn, all records that wait; the tickets go with the same push."""
        mine = self.turns.held
        theirs = [each for each in self.turns.waiting if each.oid.startswith("record")] if self.together else []
        landing = [what, *(str(each.oid) for each in theirs)] if mine and offered else [what]
        gone = [*([mine] if mine else []), *(theirs if len(landing) > 1 else [])]
        was = self.main

        def act() -> None:
            self._move([(MAIN, Oid(f"{was}+"), was), *((each.ref, None, each.oid) for each in gone)])
            self.origin.landed += [each for each in landing if each not in self.origin.landed]

        self.step(act)
        if mine:
            self.turns.held = None

    def land(self, what: str, offered: bool) -> None:
        def attempt() -> None:
            if what not in self.origin.landed:
                self.push(what, offered)

        offer = Oid(what)
        until_settled(cast(Repository, self), attempt, offer=lambda: offer if offered else self.main)

    def run(self) -> None:
        self.go.acquire()
        try:
            self.refresh()
            self.land(f"record {self.name}", offered=True)
            self.land(f"ship {self.name}", offered=False)
            self.ended = "done"
        except Killed:
            self.ended = "killed"
        except MovedFirst:
            self.ended = "gave up"
        self.stopped.release()


def play(origin: Origin, publishers: Sequence[Publisher]) -> None:
    """Let everybody go on, one step at a time, until all have ended."""
    for publisher in publishers:
        publisher.thread.start()
        publisher.go.release()
        publisher.stopped.acquire()
    while at_work := [each for each in publishers if not each.ended]:
        actor = min(at_work, key=lambda each: each.wakes)
        origin.now = max(origin.now, actor.wakes)
        actor.go.release()
        actor.stopped.acquire()
    for publisher in publishers:
        publisher.thread.join()


def crowd(origin: Origin, count: int, *, together: bool = True) -> list[Publisher]:
    publishers = [Publisher(f"p{number}", origin, together=together) for number in range(count)]
    play(origin, publishers)
    return publishers


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "pause", lambda again: None)


@pytest.mark.parametrize("together", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_of_a_few_publishers_nobody_is_lost_and_nobody_gives_up(
    dice: random.Random, rounds: int, *, together: bool
) -> None:
    for _ in range(50 * rounds):
        origin = Origin(dice)
        publishers = crowd(origin, dice.randint(3, 8), together=together)
        assert {each.ended for each in publishers} == {"done"}
        wanted = [f"{what} {each.name}" for each in publishers for what in ("record", "ship")]
        assert sorted(origin.landed) == sorted(wanted)
        for each in publishers:
            assert origin.landed.index(f"record {each.name}") < origin.landed.index(f"ship {each.name}")
        assert set(origin.refs) == {MAIN}, "a ticket was left behind"


@pytest.mark.slow
def test_whoever_is_killed_at_any_step_stops_nobody_else(dice: random.Random, rounds: int) -> None:
    for _ in range(50 * rounds):
        origin = Origin(dice, deaths=dice.randint(1, 3))
        publishers = crowd(origin, dice.randint(3, 8))
        alive = [each for each in publishers if each.ended != "killed"]
        assert {each.ended for each in alive} <= {"done"}
        assert {f"ship {each.name}" for each in alive} <= set(origin.landed)
        assert len(set(origin.landed)) == len(origin.landed)


def test_the_next_run_waits_out_a_ticket_of_the_dead_and_takes_it_away(dice: random.Random) -> None:
    origin = Origin(dice)
    origin.refs[f"{TICKETS}000001-5-abc"] = Oid("0")
    told: list[float] = []
    with telling(lambda _, seconds: told.append(seconds)):
        (publisher,) = crowd(origin, 1)
    assert publisher.ended == "done"
    assert set(origin.refs) == {MAIN}
    (left,) = told
    assert LIMIT - 5 - 2 * REQUEST < left < LIMIT


def test_a_ticket_of_the_dead_that_cannot_be_taken_away_is_waited_for_once(dice: random.Random) -> None:
    origin = Origin(dice)
    stuck = f"{TICKETS}000001-5-abc"
    origin.refs[stuck] = Oid("0")
    publisher = Publisher("p", origin, together=False)
    really = publisher.change_ref

    def change_ref(ref: str, new: Oid | None, was: Oid | None) -> None:
        if ref == stuck:
            raise Unreachable("a lock of a git that was killed is in the way")
        really(ref, new, was)

    publisher.change_ref = change_ref  # type: ignore[method-assign]
    play(origin, [publisher])
    assert publisher.ended == "done"
    assert set(origin.refs) == {MAIN, stuck}
    assert origin.now < 20


def test_refs_that_are_no_tickets_are_let_be(dice: random.Random) -> None:
    origin = Origin(dice)
    strange = {f"{TICKETS}notes": Oid("0"), f"{TICKETS}1-x-y": Oid("0"), f"{TICKETS}000001-99999-abc": Oid("0")}
    origin.refs |= strange
    assert [each.ended for each in crowd(origin, 3)] == ["done"] * 3
    assert origin.refs.keys() - {MAIN} == strange.keys()


def test_an_origin_that_takes_no_tickets_is_moved_by_trying(dice: random.Random) -> None:
    origin = Origin(dice, takes_tickets=False)
    assert {each.ended for each in crowd(origin, 6)} == {"done"}
    assert set(origin.refs) == {MAIN}


def test_a_large_crowd_needs_few_pushes(dice: random.Random) -> None:
    origin = Origin(dice)
    publishers = crowd(origin, 64)
    assert {each.ended for each in publishers} == {"done"}
    # Each: its ticket for the record, its ticket for the ship, its merge; the records land together.
    assert origin.pushes < 4 * len(publishers)


@pytest.mark.slow
def test_an_owner_that_is_slow_loses_its_turn_and_then_is_given_time(dice: random.Random) -> None:
    origin = Origin(dice)
    slow = Publisher("slow", origin, together=False)
    push, tries = slow.push, []

    def after_a_while(what: str, offered: bool) -> None:
        tries.append(what)
        for _ in range(9):
            slow.sleep(1.0)  # nearly twice what others wait for an owner that they do not know
        push(what, offered)

    slow.push = after_a_while  # type: ignore[method-assign]
    publishers = [slow, *(Publisher(f"p{number}", origin, together=False) for number in range(60))]
    play(origin, publishers)
    assert {each.ended for each in publishers} == {"done"}
    # The first try has no ticket, the second one is given up by others, the third is waited for.
    assert tries.count("record slow") <= 3
    assert tries.count("ship slow") <= 2


def test_a_turn_that_ends_in_another_error_is_given_back(dice: random.Random) -> None:
    origin = Origin(dice)
    publisher = Publisher("p", origin, together=True)
    tries: list[int] = []

    def attempt() -> None:
        tries.append(1)
        raise MovedFirst("main moved") if len(tries) == 1 else Refused([Fault("a", "b", "c")])

    def run() -> None:
        publisher.go.acquire()
        publisher.refresh()
        with contextlib.suppress(Refused):
            until_settled(cast(Repository, publisher), attempt, offer=lambda: publisher.main)
        publisher.ended = "refused"
        publisher.stopped.release()

    publisher.thread = threading.Thread(target=run, daemon=True)
    play(origin, [publisher])
    assert len(tries) == 2
    assert origin.pushes == 2, "a ticket, and its end"
    assert set(origin.refs) == {MAIN}


def test_what_is_urgent_goes_before_all_that_wait(dice: random.Random) -> None:
    origin = Origin(dice)
    origin.refs |= {f"{TICKETS}{number:06}-300-ab": Oid("0") for number in range(1, 40)}
    urgent = Publisher("urgent", origin, together=True)
    lost: list[int] = []

    def attempt() -> None:
        if not lost:
            lost.append(1)
            raise MovedFirst("main moved")
        urgent.push("rollback", offered=False)

    def run() -> None:
        urgent.go.acquire()
        urgent.refresh()
        until_settled(cast(Repository, urgent), attempt, offer=lambda: urgent.main, urgent=True)
        urgent.ended = "done"
        urgent.stopped.release()

    urgent.thread = threading.Thread(target=run, daemon=True)
    play(origin, [urgent])
    assert origin.landed == ["rollback"]
    assert origin.now < 5


def test_where_nothing_moves_it_gives_up_after_some_tries(dice: random.Random) -> None:
    origin = Origin(dice)
    publisher = Publisher("p", origin, together=True)
    tries: list[int] = []

    def attempt() -> None:
        tries.append(1)
        raise MovedFirst("a lock that nobody takes away")

    def run() -> None:
        publisher.go.acquire()
        publisher.refresh()
        try:
            until_settled(cast(Repository, publisher), attempt)
        except MovedFirst as error:
            publisher.ended = str(error)
        publisher.stopped.release()

    publisher.thread = threading.Thread(target=run, daemon=True)
    play(origin, [publisher])
    assert publisher.ended == "a lock that nobody takes away"
    assert len(tries) == TRIES + 1
