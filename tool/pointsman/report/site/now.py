"""What a target's page says of now, from its state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pointsman.report import served_drift
from pointsman.report.site.value import Fact, Place, TargetNow, Waiting
from pointsman.report.status import claimed, having, in_ring, summary
from pointsman.report.status_table import mood, to_know
from pointsman.report.target_state import ServedAt, TargetState


def now_of(place: Place, each: TargetState, pulls: Sequence[Waiting]) -> TargetNow:
    """What the page of a target tells: times, and no ages, so that it stays true where nothing happens."""
    how = mood(each)
    if how == "fine" and (each.holds or each.claim or (each.instances and each.instances.behind)):
        how = "wait"
    return TargetNow(
        target=each.target,
        headline=f"serving is {summary(each)}",
        mood=how,
        to_know=list(_to_know(each)),
        facts=list(_facts(place, each)),
        current=sorted(each.current.items()),
        pulls=pulls,
    )


def _to_know(each: TargetState) -> Iterator[str]:
    """What stands in the way, in full."""
    yield from (f"sync refuses it: {fault.rule}: {fault.says}" for fault in each.refused)
    if each.unread:
        yield f"serving cannot be read: {each.unread}"
    for at, drift in ((at.place, at.drift) for at in each.places or (ServedAt("", each.serving, None, each.drift),)):
        if drift is not None:
            yield f"{f'{at}: ' if at else ''}{served_drift.written(drift, each.refused)}"
            yield from served_drift.lines(drift, "is")
    if each.claim is not None:
        yield claimed(each.claim)
    if each.instances is not None and each.instances.behind:
        yield having(each.instances)
        yield from (f"{late.instance} has {late.sha256[:7]}" for late in each.instances.late)
    for hold in each.holds:
        yield f"on hold until {hold.until}{' (as all targets)' if hold.target == 'all' else ''}: {hold.reason}"
    if each.window is not None and each.window.stale:
        yield f"older than allowed: {', '.join(each.window.stale)}"


def _facts(place: Place, each: TargetState) -> Iterator[Fact]:
    if (shipped := each.shipped) is not None:
        yield Fact("since", shipped.at)
        yield Fact("by", shipped.by)
        if shipped.committer != shipped.by:
            yield Fact("merged by", shipped.committer)
        yield Fact("commit", shipped.commit[:12], place.commits and place.commits + shipped.commit)
        if shipped.run:
            yield Fact("run", shipped.run, shipped.run)
        if shipped.reason:
            yield Fact("why", shipped.reason)
    if each.window is not None:
        yield Fact("window", f"{each.window.start} to {each.window.end}")
    if each.places is not None:
        yield from (Fact(at.place, "; ".join((at.serving, *in_ring(at, each)))) for at in each.places)
    if each.instances is not None:
        yield Fact("instances", having(each.instances))


def overview_words(each: TargetState) -> str:
    """What the overview says of a target, beside its state."""
    return "; ".join(to_know(each))
