"""What a ring is due of a target: one function of the history, what the rings were given, verdicts, stops and the time.

The first ring of a target follows main and is not asked about here. A later one is due the newest good state that the
ring before it was given long enough ago, whose checks pass, that no stop names and that no restore has taken out since.
A restore is due at once where the ring has what it takes out. Nothing else ever takes a ring back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar

from msgspec import Struct

from pointsman.state.objects import Oid

Waits = Literal["nothing", "time", "check", "stop"]


class State(Protocol):
    """One step of a target's lineage on main, as `gate.lineage.Step` is."""

    @property
    def oid(self) -> Oid:
        """The commit."""

    @property
    def place(self) -> int:
        """0 for the newest step of the lineage, 1 for the one before it."""

    @property
    def kind(self) -> Literal["ship", "restore", "removal", "edit"]:
        """What the commit did."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Artifact type → version, after the commit."""

    @property
    def versions_before(self) -> Mapping[str, str]:
        """The same before it."""

    @property
    def is_good(self) -> bool:
        """Whether it broke no rule."""

    @property
    def skips_rings(self) -> bool:
        """Whether its message accepts that it goes to every ring at once."""


_State = TypeVar("_State", bound=State)
_Given_co = TypeVar("_Given_co", bound=State, covariant=True)


class Steps(Protocol[_Given_co]):
    """A target's lineage, as `gate.lineage.Lineage` is."""

    def since(self, place: int) -> Iterator[_Given_co]:
        """The steps from a place back to the oldest."""


@dataclass(frozen=True, slots=True)
class Due(Generic[_State]):
    """What a ring is due now, and what comes next.

    `state`: None if it is due nothing. `waits_for`: why `coming` is not due yet; "nothing" if nothing is to come.
    `at`: when it is, in seconds since 1970, if only time is missing and nothing else happens. `then`: what waits and is
    newer than `coming`, oldest first, each as its own `coming`.
    """

    state: _State | None
    waits_for: Waits = "nothing"
    coming: _State | None = None
    at: int | None = None
    then: tuple[Due[_State], ...] = field(default=(), compare=False)


class Ring(Struct, Generic[_State], frozen=True):
    """What is known of one ring of a target, and of the ring before it.

    `has`: what its pointer is, None for no pointer that main ever had. `elsewhere`: what another ring has, for a ring
    that has nothing. `before`: commit → when the ring before was given it, seconds since 1970. `after`: seconds.
    `stops`: the commits that stops name. `passes`: whether all checks of the ring pass for a state.
    """

    has: _State | None
    before: Mapping[Oid, int]
    after: int = 0
    stops: Collection[Oid] = ()
    passes: Callable[[_State], bool] = lambda state: True
    elsewhere: _State | None = None


def due(steps: Steps[_State], ring: Ring[_State], now: int) -> Due[_State]:
    """What a ring is due at `now`, seconds since 1970."""
    taken: list[TakenOut] = []
    waiting: list[Due[_State]] = []
    stopped = False
    for step in steps.since(0):
        if ring.has is not None and step.place >= ring.has.place:
            break
        stopped = stopped or step.oid in ring.stops
        if step.kind == "restore":
            taken += taken_out(steps, step)
        if any(each.takes(step) for each in taken) or not _may_be_due(ring, step):
            continue
        why, at = _waits(ring, step, taken, now, stopped=stopped)
        if why == "nothing":
            return _with_next(step, waiting)
        waiting.append(Due(ring.has, why, step, at))
    return _with_next(ring.has, waiting)


def _may_be_due(ring: Ring[_State], step: _State) -> bool:
    """Whether a ring may ever have a state. One made by hand is only for a ring that has nothing, if others have it."""
    wanted = ("ship", "restore", "edit") if ring.has is None and ring.elsewhere is not None else ("ship", "restore")
    first = step.kind != "edit" or (ring.elsewhere is not None and step.place >= ring.elsewhere.place)
    return step.kind in wanted and first and step.is_good


def _waits(
    ring: Ring[_State], step: _State, taken: Collection[TakenOut], now: int, *, stopped: bool
) -> tuple[Waits, int | None]:
    """Why a good state is not due yet, and when it will be; "nothing" if it is due."""
    if ring.has is None and ring.elsewhere is not None and step.place >= ring.elsewhere.place:
        return "nothing", None  # nobody is served here, and what others are served is better than nothing
    has = ring.has
    if has is not None and any(each.takes(has) for each in taken):
        return "nothing", None  # this is the restore that took it out
    if stopped:
        return "stop", None
    if step.skips_rings:
        return "nothing", None
    given = ring.before.get(step.oid)
    if given is None or given + ring.after > now:
        return "time", None if given is None else given + ring.after
    return ("nothing", None) if ring.passes(step) else ("check", None)


def _with_next(state: _State | None, waiting: Sequence[Due[_State]]) -> Due[_State]:
    """`state` now, and of those that wait the one whose time comes first; else the newest."""
    if not waiting:
        return Due(state)
    first = min(waiting, key=lambda each: (each.at is None, each.at or 0))
    newer = [each for each in waiting if each.coming and first.coming and each.coming.place < first.coming.place]
    return Due(state, first.waits_for, first.coming, first.at, tuple(newer[::-1]))


class TakenOut(Struct, frozen=True):
    """What a restore takes out of one type: every version but its own, back to where the target had that."""

    slot: str
    keeps: str | None
    back_to: int | None  # None: it never had it, so far as the history tells

    def takes(self, step: State) -> bool:
        """Whether a step that is older than the restore, or itself, is taken out by it."""
        is_between = self.back_to is None or step.place < self.back_to
        return is_between and step.versions.get(self.slot) != self.keeps


def taken_out(steps: Steps[_State], restore: _State) -> Iterator[TakenOut]:
    """What a restore takes out, by type."""
    before, after = restore.versions_before, restore.versions
    for slot in sorted({*before, *after}):
        if before.get(slot) != (keeps := after.get(slot)):
            older = (step.place for step in steps.since(restore.place + 1) if step.versions.get(slot) == keeps)
            yield TakenOut(slot, keeps, next(older, None))
