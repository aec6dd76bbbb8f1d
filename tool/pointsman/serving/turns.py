"""Whose turn it is: what a ring is due of each target, by main, by what the rings have and by what they were given."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from pointsman.errors import Blocked, MovedFirst, Unreachable
from pointsman.gate.gate import Gate
from pointsman.gate.lineage import Lineage, Step
from pointsman.repo.snapshot import Snapshot
from pointsman.rollout import due
from pointsman.rollout.due import Due
from pointsman.serving.given import SKEW, given_states, note_given
from pointsman.serving.others import Others
from pointsman.serving.outcomes import Waiting
from pointsman.serving.ring_state import CheckSaid, RingState, known_checks, ring_state
from pointsman.serving.verdicts import Verdicts, verdicts_of
from pointsman.settings import Settings
from pointsman.state.documents import rfc3339
from pointsman.state.names import Target
from pointsman.state.objects import Oid
from pointsman.state.ring import Ring, ring_before
from pointsman.store.base import Held, Store
from pointsman.store.parallel import ask_all


def told_wait(due: Due[Step]) -> Waiting | None:
    """What documents have of what a ring waits for; None if it waits for nothing."""
    if due.waits_for == "nothing" or due.coming is None:
        return None
    return Waiting(due.waits_for, due.coming.oid, rfc3339(due.at) if due.at is not None else None)


def _newest_like(lineage: Lineage, state: Step | None) -> Step | None:
    """The newest step that left the bytes of a state, such as a restore of it: a ring that has them waits for none."""
    return next(lineage.leaving(state.after, 0), None) if state is not None else None


def _of_first(lineage: Lineage, has: Step | None) -> Due[Step] | None:
    """What a ring that follows main is due: main's state, if sync may give it; None if it has that."""
    last = lineage.last
    if last is None or last.after is None or (has is not None and has.after == last.after) or not last.is_good:
        return None
    return Due(last)


class Turns:
    """What one ring is due by one commit of main. `now`: seconds since 1970. `notes`: may write down what was given.

    `others`: shared by the turns of all rings of one command.
    """

    def __init__(
        self, gate: Gate, settings: Settings, main: Oid, ring: str, now: int, others: Others, *, notes: bool = False
    ) -> None:
        self._gate = gate
        self._rings = settings.rings
        self._checks = settings.checks
        self._main = main
        self._name = ring
        self._now = now
        self._notes = notes
        self._given: dict[tuple[str, Target], dict[Oid, int]] = {}
        self._unread: dict[tuple[str, Target], Blocked] = {}  # what was given stands there, and cannot be read
        self._unknown: dict[Target, Blocked] = {}  # so when what the ring before has was given is not known
        self._verdicts: dict[tuple[str, Target], Verdicts] = {}
        self._others = others

    @property
    def longest(self) -> int:
        """Seconds that any ring waits after another."""
        return max((ring.after for ring in self._rings), default=0)

    def waits(self, target: Target) -> bool:
        """Whether this ring takes its turn after another; otherwise it follows main."""
        return ring_before(self._rings, self._name, target) is not None

    def look_ahead(self, targets: Sequence[Target]) -> None:
        """Read what was given of these targets, many at a time."""
        before = {target: found[1] for target in targets if (found := ring_before(self._rings, self._name, target))}
        for ring in {ring.name: ring for ring in before.values()}.values():
            some = [target for target, each in before.items() if each == ring]
            with contextlib.suppress(Unreachable):
                read = ask_all(partial(self._read, ring), some, at_once=self._store(ring).at_once)
                self._given |= {(ring.name, target): given for target, given in zip(some, read, strict=True)}

    def of(self, target: Target, held: Held | None) -> Due[Step] | None:
        """What the ring is due, if its pointer is `held`; None if it follows main."""
        found = ring_before(self._rings, self._name, target)
        if found is None:
            return None
        ring, before = found
        lineage = self._gate.lineage(self._main, target)
        has = self._has(ring, lineage, held)
        given = self.given(before, target)
        if (last := lineage.last) is not None and last.oid not in given:
            given = self._with_served(before, lineage, has, given)
        asked = due.Ring(
            has,
            given,
            ring.after,
            self._stops(ring, target),
            self._passes(ring, target),
            self._elsewhere(ring, lineage) if has is None else None,
        )
        owed = due.due(lineage, asked, self._now)
        newest = _newest_like(lineage, owed.state)
        if newest is None or newest == owed.state or owed.coming is None:
            return owed
        return due.due(lineage, replace(asked, has=newest), self._now)  # as the next look finds it

    def unread(self, target: Target) -> Blocked | None:
        """Why nobody knows since when the ring before has what it has of a target, after `of`; None if it is known.

        What nobody wrote down begins with the next pass. This would begin with each, and never be long enough ago.
        """
        return self._unknown.get(target)

    def given(self, ring: Ring, target: Target) -> Mapping[Oid, int]:
        """When a ring was given which states of a target; nothing if it cannot be reached.

        Without those that a clock far ahead wrote down: their time begins with the next pass.
        """
        return {commit: at for commit, at in self._ever_given(ring, target).items() if at <= self._now + SKEW}

    def _ever_given(self, ring: Ring, target: Target) -> Mapping[Oid, int]:
        """The same as it stands there, whatever the clock was: the last one is what a ring had last."""
        key = (ring.name, target)
        if key not in self._given:
            self._given[key] = {}
            with contextlib.suppress(Unreachable, Blocked):
                self._given[key] = self._read(ring, target)
        return self._given[key]

    def state(
        self,
        target: Target,
        held: Held | None,
        due: Due[Step] | None,
        *,
        look: bool,
        kept: bool = False,
        versions: bool = False,
        said: Sequence[CheckSaid] | None = None,
    ) -> RingState:
        """What the ring has and waits for, as documents tell it. `look`: when it was given that is read, too.

        `kept`: break-glass holds the target there, so it is due nothing. `versions`: they are read, if main has others.
        `said`: what its checks say; None: it is read.
        """
        ring = next(ring for ring in self._rings if ring.name == self._name)
        lineage = self._gate.lineage(self._main, target)
        has = lineage.having(held.data) if held is not None else None
        if due is None and not self.waits(target):
            due = _of_first(lineage, has)
        coming = due.coming if due is not None else None
        checks = [self._checks[name] for name in ring.checks] if coming is not None and said is None else []
        if checks and coming:
            said = known_checks(checks, self.verdicts(ring, target), coming, self._now)
        found = ring_state(self._name, has, None, None if kept else due, said or ())
        if versions and has is not None and lineage.last is not None and has.after != lineage.last.after:
            found = replace(found, versions=has.versions)
        given = self._given_as(ring, lineage, has) if has is not None and look else None
        return replace(found, commit=given[0], given_at=rfc3339(given[1])) if given is not None else found

    def _given_as(self, ring: Ring, lineage: Lineage, has: Step) -> tuple[Oid, int] | None:
        """As what a ring was given the bytes that it has, and when: a restore has those of an earlier commit."""
        given = self.given(ring, lineage.target)
        if has.oid in given:
            return has.oid, given[has.oid]
        same = (each for each in reversed(list(given)) if lineage.has(each) and lineage.of(each).after == has.after)
        return next(((each, given[each]) for each in same), None)

    def _read(self, ring: Ring, target: Target) -> dict[Oid, int]:
        try:
            return given_states(self._store(ring), ring.name, target)
        except Blocked as blocked:
            self._unread[ring.name, target] = Blocked(f"what {ring.name} was given is not known: {blocked}")
            return {}

    def _has(self, ring: Ring, lineage: Lineage, held: Held | None) -> Step | None:
        """The state of a ring: that of its pointer, or what it was given last if that was lost or is none of main's."""
        if held is not None and (step := lineage.having(held.data)) is not None:
            return step
        for commit in reversed(list(self._ever_given(ring, lineage.target))):
            with contextlib.suppress(KeyError):
                return lineage.of(commit)
        return None

    def _with_served(
        self, before: Ring, lineage: Lineage, has: Step | None, given: Mapping[Oid, int]
    ) -> Mapping[Oid, int]:
        """What the ring before was given, and what it has: a sync that was killed may not have written that down."""
        step = self._served(before, lineage)
        if step is None or step.oid in given or (has is not None and step.place >= has.place):
            return given
        if (why := self._unread.get((before.name, lineage.target))) is not None:
            self._unknown[lineage.target] = why
            return given
        if self._notes:
            store = self._store(before)
            with contextlib.suppress(Unreachable, MovedFirst), store.locked(""):  # the next pass tries again
                note_given(store, before.name, lineage.target, step.oid, self._now, self.longest)
        return {**given, step.oid: self._now}

    def _elsewhere(self, ring: Ring, lineage: Lineage) -> Step | None:
        """The oldest state that another ring has."""
        held = (self._others.has(each, lineage.target) for each in self._rings if each.name != ring.name)
        found = (lineage.having(each.data) for each in held if each is not None)
        return max((step for step in found if step is not None), key=lambda step: step.place, default=None)

    def _served(self, ring: Ring, lineage: Lineage) -> Step | None:
        """The state that the pointer of a ring is now; None if it has none, or none of main's, or cannot be read."""
        held = self._others.read(ring, lineage.target)
        return lineage.having(held.data) if held is not None else None

    def _store(self, ring: Ring) -> Store:
        return self._others.store(ring)

    # what rollout says

    def verdicts(self, ring: Ring, target: Target) -> Verdicts:
        """What the checks of a ring said; nothing if it cannot be reached, so that nothing passes."""
        key = (ring.name, target)
        if key not in self._verdicts:
            self._verdicts[key] = Verdicts()
            with contextlib.suppress(Unreachable):
                self._verdicts[key] = verdicts_of(self._store(ring), ring.name, target)
        return self._verdicts[key]

    def learn(self, ring: Ring, target: Target, verdicts: Verdicts) -> None:
        """Take what is written down now for what was read before."""
        self._verdicts[ring.name, target] = verdicts

    def _stops(self, ring: Ring, target: Target) -> frozenset[Oid]:
        """The states that a hold on main keeps from further rings, and those that failed a check since."""
        failed = self.verdicts(ring, target).failed(ring.checks) if ring.checks else frozenset()
        return failed | stopped_by_hold(self._gate, self._main, target)

    def _passes(self, ring: Ring, target: Target) -> Callable[[Step], bool]:
        checks = [self._checks[name] for name in ring.checks]
        return lambda step: not checks or self.verdicts(ring, target).passed(checks, step.oid, self._now)


def stopped_by_hold(gate: Gate, main: Oid, target: Target) -> frozenset[Oid]:
    """The state that a hold on main keeps, with all before it, from further rings; the last if none can tell."""
    holds = gate.documents.holds(Snapshot(gate.repo, main), target)
    if target.hold_path not in holds:
        return frozenset()
    hold = holds[target.hold_path]
    if hold is not None:
        return frozenset({Oid(hold.rollout)} if hold.rollout else ())
    last = gate.lineage(main, target).last
    return frozenset({last.oid} if last is not None else ())
