"""Which ring was due what when: by main's history, and by what sync wrote down of what it gave.

Nothing is invented. The first ring is due a state when main has it. A later one is due it when the ring before was
given it long enough ago, by the settings that stood on main then. Where nobody wrote that down, nobody can tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import inf

from msgspec import Struct

from pointsman.errors import Blocked, NoAnswer, Problem, Unreachable
from pointsman.gate.gate import Gate
from pointsman.gate.lineage import Lineage, Step
from pointsman.history.times import CommitTimes
from pointsman.repo.snapshot import Snapshot
from pointsman.report.status import length
from pointsman.rollout.due import TakenOut, taken_out
from pointsman.serving.given import given_states
from pointsman.serving.pointers import open_place
from pointsman.settings import SETTINGS_PATH
from pointsman.state.documents import rfc3339
from pointsman.state.names import Target, short
from pointsman.state.objects import Oid
from pointsman.state.ring import Ring, ring_before
from pointsman.store.base import Store
from pointsman.store.parallel import ask_all
from pointsman.values import RingTimes

STATES = ("ship", "restore", "edit")  # kinds of commits that leave a state which a ring may have


class _Period(Struct, frozen=True):
    """What the rings were, or what a hold kept back, for some time. In seconds since 1970."""

    since: float
    until: float
    rings: tuple[Ring, ...] = ()
    stops: int | None = None  # the place of the newest state that goes to no further ring; None: all go


class _Restore(Struct, frozen=True):
    """A restore, and what it took out of every ring at once."""

    place: int
    at: int
    oid: Oid
    takes: tuple[TakenOut, ...]


class RingHistory:
    """What the rings of today were due, and given. `notes`: what could not be looked at. `only`: tell of this ring."""

    def __init__(self, gate: Gate, main: Oid, rings: Sequence[Ring], only: str = "") -> None:
        self.notes: list[str] = []
        self._gate = gate
        self._main = main
        self._rings = rings
        self._told = [ring for ring in rings if only in ("", ring.name)]
        self._moments = CommitTimes(gate.repo, main)
        self._given: dict[tuple[str, Target], Mapping[Oid, int] | None] = {}
        self._holds: dict[Target, Sequence[_Period]] = {}
        self._restores: dict[Target, Sequence[_Restore]] = {}
        self._periods = list(self._settings())

    def look_ahead(self, targets: Sequence[Target]) -> None:
        """Read what the rings were given of these targets, many at a time."""
        for ring in self._rings:
            store = open_place(ring.place)

            found: Sequence[Mapping[Oid, int] | Unreachable]
            try:
                found = list(ask_all(partial(_read, store, ring), targets, at_once=store.at_once))
            except Unreachable as problem:
                found = [problem] * len(targets)
            if (why := next((each for each in found if isinstance(each, Unreachable)), None)) is not None:
                self.notes.append(f"what {ring.name} was given is not known: {why}")
            known = (None if isinstance(each, Unreachable) else each for each in found)
            self._given |= {(ring.name, target): given for target, given in zip(targets, known, strict=True)}

    def of(self, commit: Oid, target: Target) -> list[RingTimes]:
        """When each ring was due, and given, what a commit of main made of a target. It was looked ahead to."""
        lineage = self._gate.lineage(self._main, target)
        step = lineage.of(commit)
        return [self._in(ring, lineage, step) for ring in self._told]

    def _in(self, ring: Ring, lineage: Lineage, step: Step) -> RingTimes:
        given = self._given.get((ring.name, lineage.target))
        at = given.get(step.oid) if given is not None else None
        due, says = self._due(ring, lineage, step, given or {})
        if given and at is not None and next(iter(given)) == step.oid and (due is None or at < due):
            due, says = None, "the ring had nothing, so it got what the others had"
        if given is None:
            says = "; ".join(filter(None, (says, "what it was given is not known")))
        return RingTimes(ring.name, _told(due), _told(at), says)

    def _due(self, ring: Ring, lineage: Lineage, step: Step, given: Mapping[Oid, int]) -> tuple[float | None, str]:
        """When it was a ring's turn, and by what; or None, and why it never was, so far as can be told."""
        if not step.is_good:
            return None, "it broke a rule"
        begun = self._moments.of(step.oid)
        taken = next((each for each in self._taken(lineage) if each.place < step.place and _takes(each, step)), None)
        passed = self._passed(lineage, step, given)
        says = f"the settings had no ring {ring.name} while it could be due"
        for period in self._periods:
            if period.until <= begun or all(each.name != ring.name for each in period.rings):
                continue
            since = max(begun, period.since)
            found = ring_before(period.rings, ring.name, lineage.target)
            if found is None:
                when, why, ended = since, "", self._replaced(lineage, step)
            else:
                (when, why), ended = self._after(*found, lineage, step, since, given), passed
            if when == inf:
                says = why
            elif taken is not None and taken.at <= when:
                says = f"{short(taken.oid)} took it out before its turn came"
            elif ended <= when:
                says = "it had a newer one when its turn came" if found else "main had a newer one by then"
            elif when < period.until:
                return when, why
        return None, says

    def _after(
        self, ring: Ring, before: Ring, lineage: Lineage, step: Step, since: float, given: Mapping[Oid, int]
    ) -> tuple[float, str]:
        """When a ring that is after another was due a state, at the earliest at `since`; inf: never, and why."""
        if step.kind == "edit":
            return inf, "it was made by hand, and only the first ring is given that"
        had = self._had(lineage, step, given) if step.kind == "restore" else None
        if had is not None and had.after == step.after:
            return inf, "the ring had the same"
        takes = next((each.takes for each in self._taken(lineage) if each.place == step.place), ())
        if had is not None and any(each.takes(had) for each in takes):
            return since, "at once: it takes out what the ring had"
        when, why = since, "at once: the ship accepts not-soaked"
        if not step.skips_rings:
            if before.name not in [each.name for each in self._rings]:
                return inf, f"{before.name} left the settings, and when it was given it is not known any more"
            at = (self._given.get((before.name, lineage.target)) or {}).get(step.oid)
            if at is None:
                return inf, f"nobody wrote down that {before.name} was given it"
            when, why = max(since, at + ring.after), f"{length(ring.after)} after {before.name}"
            why += f", if it passed {', '.join(ring.checks)}" if ring.checks else ""
        for hold in self._stops(lineage):
            if hold.stops is not None and hold.stops <= step.place and hold.since <= when < hold.until:
                when, why = hold.until, f"{why}, and stopped until then" if hold.until < inf else "a hold stops it"
        return when, why

    def _had(self, lineage: Lineage, step: Step, given: Mapping[Oid, int]) -> Step | None:
        """What a ring was given last before it could be given a state; None if nobody wrote that down."""
        had: Step | None = None
        for each in (lineage.of(commit) for commit in given if lineage.has(commit)):
            if each.place <= step.place:
                break
            had = each
        return had

    def _passed(self, lineage: Lineage, step: Step, given: Mapping[Oid, int]) -> float:
        """When a ring was first given something newer than a state."""
        return min((at for commit, at in given.items() if _is_newer(lineage, commit, step)), default=inf)

    def _replaced(self, lineage: Lineage, step: Step) -> float:
        newer = lineage.at(step.place - 1) if step.place else None
        return self._moments.of(newer.oid) if newer is not None else inf

    def _taken(self, lineage: Lineage) -> Sequence[_Restore]:
        """The restores of a target, oldest first."""
        if lineage.target not in self._restores:
            found = [
                _Restore(step.place, self._moments.of(step.oid), step.oid, tuple(taken_out(lineage, step)))
                for step in lineage
                if step.kind == "restore"
            ]
            self._restores[lineage.target] = found[::-1]
        return self._restores[lineage.target]

    def _settings(self) -> Iterator[_Period]:
        """The rings of main, oldest first. Settings that nobody can read have none."""
        commits = [each.oid for each in self._gate.repo.history(self._main, SETTINGS_PATH)][::-1]
        for commit, since, until in self._spans(commits):
            try:
                yield _Period(since, until, self._gate.documents.settings(Snapshot(self._gate.repo, commit)).rings)
            except Problem:
                yield _Period(since, until)

    def _stops(self, lineage: Lineage) -> Sequence[_Period]:
        """What the holds of a target kept from further rings, oldest first."""
        target = lineage.target
        if target not in self._holds:
            commits = [each.oid for each in self._gate.repo.history(self._main, target.hold_path)][::-1]
            self._holds[target] = [
                _Period(since, until, stops=self._stopped(lineage, commit))
                for commit, since, until in self._spans(commits)
            ]
        return self._holds[target]

    def _stopped(self, lineage: Lineage, commit: Oid) -> int | None:
        """The place of the newest state that the hold of a commit stops; None if it stops none."""
        holds = self._gate.documents.holds(Snapshot(self._gate.repo, commit), lineage.target)
        if lineage.target.hold_path not in holds:
            return None
        hold = holds[lineage.target.hold_path]
        if hold is not None:
            return lineage.of(Oid(hold.rollout)).place if hold.rollout and lineage.has(Oid(hold.rollout)) else None
        height = self._moments.place(commit) or 0  # nobody can read it, so it stops all that there was
        return next((step.place for step in lineage if (self._moments.place(step.oid) or 0) <= height), None)

    def _spans(self, commits: Sequence[Oid]) -> Iterator[tuple[Oid, float, float]]:
        """Each of these commits, oldest first, with the time from which and until which it was the last of them."""
        times = [*map(self._moments.of, commits), inf]
        yield from ((commit, times[place], times[place + 1]) for place, commit in enumerate(commits))


def _read(store: Store, ring: Ring, target: Target) -> Mapping[Oid, int] | Unreachable:
    try:
        return given_states(store, ring.name, target)
    except (Blocked, NoAnswer) as trouble:
        return Blocked(str(trouble))


def _takes(restore: _Restore, step: Step) -> bool:
    return any(each.takes(step) for each in restore.takes)


def _is_newer(lineage: Lineage, commit: Oid, step: Step) -> bool:
    return lineage.has(commit) and lineage.of(commit).place < step.place


def _told(seconds: float | None) -> str | None:
    return rfc3339(int(seconds)) if seconds is not None else None
