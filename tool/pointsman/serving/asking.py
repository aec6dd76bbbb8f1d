"""Asking the checks of a ring about the states of a target that wait for it, and what their answers mean for each.

What Prometheus tells is of what the ring before serves now. So a pass counts for every state that was there for the
whole time, and a failure for the newest of these: a stop stops all before it, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, field

from pointsman.gate.lineage import Lineage, Step
from pointsman.rollout.due import Due
from pointsman.rollout.judge import Judgement, judge, judged_from, points, too_early
from pointsman.serving.prometheus import NoValues, Prometheus
from pointsman.serving.ring_state import CheckSaid
from pointsman.serving.verdicts import Verdict, Verdicts
from pointsman.state.check import Check
from pointsman.state.names import short
from pointsman.state.objects import Oid
from pointsman.state.ring import Ring


class Failure(Struct, frozen=True):
    """A check that a state has failed."""

    check: Check
    step: Step
    says: str


class Asked(Struct):
    """What the checks of a ring said of what waits for it. `trouble`: some check was asked and decided nothing."""

    said: list[CheckSaid] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    trouble: bool = False


class Waiting(Struct, frozen=True):
    """What waits for a ring: its pointer's state, what it is due, when the ring before was given what."""

    ring: Ring
    before: Ring
    lineage: Lineage
    has: Step | None
    due: Due[Step]
    given: Mapping[Oid, int]
    known: Verdicts

    @property
    def steps(self) -> Iterator[tuple[Step, int]]:
        """The states that are newer than the ring's, and when the ring before was given each."""
        for commit, at in self.given.items():
            with contextlib.suppress(KeyError):
                step = self.lineage.of(commit)
                if self.has is None or step.place < self.has.place:
                    yield step, at


def ask(waiting: Waiting, checks: Sequence[Check], prometheus: Prometheus, now: int) -> Asked:
    """Ask each of a ring's checks. What has failed already is not asked again."""
    asked = Asked()
    for check in checks:
        _ask(waiting, check, prometheus, now, asked)
    return asked


def why_not_back(waiting: Waiting, failure: Failure, earlier: Step | None, prometheus: Prometheus) -> str:
    """Why main does not go back to `earlier`, the good state before a failure; "" if it does.

    It does if what went wrong came with main's last ship.
    """
    step, check = failure.step, failure.check
    if step.place:
        return f"main has a newer state than {short(step.oid)}"
    if not step.is_ship:
        return f"{short(step.oid)} is no ship"
    if earlier is None:
        return f"there is no good state before {short(step.oid)}"
    ring = f"ring {waiting.before.name} was given {short(step.oid)}"
    if (given := waiting.given.get(step.oid)) is None:
        return f"nobody knows when {ring}"
    try:
        found = judge(check, _values(waiting, check, prometheus, given), given)
    except NoValues as error:
        found = Judgement("undecided", says=str(error))
    if found.verdict == "fail":
        return f"check {check.name} failed before {ring}, too"
    return (
        "" if found.verdict == "pass" else f"nobody knows whether check {check.name} passed before {ring}: {found.says}"
    )


def _ask(waiting: Waiting, check: Check, prometheus: Prometheus, now: int, asked: Asked) -> None:
    coming, main = waiting.due.coming, waiting.lineage.tip
    assert main is not None
    assert coming is not None
    first = points(check, now)[0]
    whole = [(step, at) for step, at in waiting.steps if judged_from(check, at) <= first]
    if not whole:
        early = too_early(check, waiting.given.get(coming.oid), now)
        asked.said.append(_told(check, early or Judgement("undecided", says="nothing that waits was there for long")))
        return
    newest = min((step for step, _ in whole), key=lambda step: step.place)
    failed = waiting.known.of(check.name, newest.oid)
    if failed is not None and failed.verdict == "fail":
        asked.said.append(_told(check, Judgement("fail", failed.value, "it has failed before, and main has no hold")))
        return
    try:
        found = judge(check, _values(waiting, check, prometheus, now), now)
    except NoValues as error:
        found = Judgement("undecided", says=str(error))
    asked.said.append(_told(check, found))
    if found.verdict == "pass":
        ripe = min((step for step, at in whole if at + waiting.ring.after <= now), key=_place, default=newest)
        also = [step for step, _ in whole if step.oid == coming.oid]
        for commit in dict.fromkeys(step.oid for step in (newest, ripe, *also)):
            asked.verdicts.append(Verdict(commit, check.name, "pass", now, main, found.value))
    elif found.verdict == "fail":
        asked.verdicts.append(Verdict(newest.oid, check.name, "fail", now, main, found.value))
        asked.failures.append(Failure(check, newest, f"check {check.name} fails: {found.says}"))
    else:
        asked.trouble = True


def _place(step: Step) -> int:
    return step.place


def _values(waiting: Waiting, check: Check, prometheus: Prometheus, now: int) -> Mapping[int, float]:
    target = waiting.lineage.target
    query = check.asks(target, waiting.before.name)
    return prometheus.values(check, query, points(check, now), target.tenant)


def _told(check: Check, found: Judgement) -> CheckSaid:
    return CheckSaid(check.name, found.verdict, found.value, found.says)
