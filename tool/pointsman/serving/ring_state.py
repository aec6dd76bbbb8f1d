"""What each ring has of a target, what it is due next and what stands in the way, as documents tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from msgspec import Struct

from pointsman.gate.lineage import Step
from pointsman.rollout.due import Due
from pointsman.serving.verdicts import Verdicts
from pointsman.state.check import Check
from pointsman.state.documents import rfc3339
from pointsman.values import CommitId, Moment, SlotName, Version


class CheckSaid(Struct, frozen=True):
    """What a check says of the state that comes next."""

    name: str
    verdict: Literal["pass", "fail", "undecided"]
    value: Annotated[float | None, "the last one that was seen"]
    says: str


class DueState(Struct, frozen=True):
    """The state that comes next."""

    commit: CommitId
    at: Annotated[Moment | None, "when its time has come, if nothing else happens; null: only time decides nothing"]


class RingState(Struct, frozen=True):
    """One ring of a target."""

    ring: str
    commit: Annotated[CommitId | None, "the commit whose state it has; null: none that main ever had"]
    given_at: Annotated[
        Moment | None, "when sync gave it that; null: nobody wrote that down, or of very many targets nobody looked"
    ]
    due: Annotated[DueState | None, "what comes next; with waits_for nothing the next sync gives it"]
    waits_for: Literal["time", "check", "stop", "nothing"]
    checks: Sequence[CheckSaid]
    versions: Annotated[
        Mapping[SlotName, Version] | None, "with status: of what it has, where main has another; not of very many"
    ] = None
    then: Annotated[Sequence[DueState] | None, "newer ones that wait, oldest first; left out if none"] = None


def ring_state(
    name: str, has: Step | None, given_at: int | None, due: Due[Step] | None, checks: Sequence[CheckSaid] = ()
) -> RingState:
    """The same as a value. `due`: None if it is due nothing. `given_at`: seconds since 1970."""
    coming, waits, newer = (due.coming, due.waits_for, due.then) if due is not None else (None, "nothing", ())
    if due is not None and due.state is not None and (has is None or due.state.place < has.place):
        newer = (due, *newer) if coming is not None else ()
        coming, waits = due.state, "nothing"  # sync gives it
    at = due.at if due is not None and coming is due.coming else None
    then = [DueState(each.coming.oid, _moment(each.at)) for each in newer if each.coming is not None]
    return RingState(
        name,
        has.oid if has is not None else None,
        _moment(given_at),
        DueState(coming.oid, _moment(at)) if coming is not None else None,
        "nothing" if coming is None else waits,
        list(checks),
        then=then or None,
    )


def known_checks(checks: Sequence[Check], verdicts: Verdicts, step: Step, now: int) -> list[CheckSaid]:
    """What is written down of the checks of a state: a failure, a pass that counts still, or nothing."""
    return [_known(check, verdicts, step, now) for check in checks]


def _known(check: Check, verdicts: Verdicts, step: Step, now: int) -> CheckSaid:
    found = verdicts.of(check.name, step.oid)
    if found is None:
        return CheckSaid(check.name, "undecided", None, "nobody has asked it yet: pointsman rollout --check")
    if found.verdict == "pass" and verdicts.last(check.name, step.oid, now, check.fresh) is None:
        says = f"it passed at {rfc3339(found.at)}, which is too long ago to count: pointsman rollout --check"
        return CheckSaid(check.name, "undecided", found.value, says)
    verb = "passed" if found.verdict == "pass" else "failed"
    return CheckSaid(
        check.name, found.verdict, found.value, f"it {verb} at {rfc3339(found.at)}, {check.wants} demanded"
    )


def _moment(seconds: int | None) -> str | None:
    return rfc3339(seconds) if seconds is not None else None
