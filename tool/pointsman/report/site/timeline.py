"""The timeline of a target, and the command that goes back to each of its states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pointsman.gate.gate import Gate
from pointsman.history.events import Event
from pointsman.history.signed import all_signed
from pointsman.repo.snapshot import Snapshot, versions_in
from pointsman.report.site.value import Moment
from pointsman.report.words import some
from pointsman.state.documents import rfc3339
from pointsman.state.names import Target, short
from pointsman.state.objects import Entry, Oid

_MOST = 100  # events on a page


def timeline(
    gate: Gate, head: Snapshot, target: Target, told: Sequence[Event], broken: Mapping[Oid, str]
) -> tuple[list[Moment], int]:
    """The newest events of a target, newest first, and how many more there are. `broken`: commit → a rule it broke."""
    now, settings = head.entry(target.manifest_path), gate.documents.settings(head)
    shown: Iterable[Event] = told[:_MOST]
    if settings.approvals or settings.evidence:
        shown = all_signed(gate, told[:_MOST])
    # The same bytes can have been current before: an edit by hand and its revert leave them twice.
    newest = next((event.commit.oid for event in told if now is not None and _left(event, target) == now), None)
    found = [_moment(gate, head, target, event, now, newest, broken) for event in shown]
    return found, max(len(told) - _MOST, 0)


def _left(event: Event, target: Target) -> Entry | None:
    """The manifest that an event left; None if it left none, or did not touch it."""
    return next((change.new for change in event.commit.changes if change.path == target.manifest_path), None)


def _moment(
    gate: Gate,
    head: Snapshot,
    target: Target,
    event: Event,
    now: Entry | None,
    newest: Oid | None,
    broken: Mapping[Oid, str],
) -> Moment:
    commit = event.commit
    why = [event.reason] if event.reason else []
    why += [f"break-glass: in front of serving since {event.broke_glass}"] if event.broke_glass else []
    why += [f"accepts {rule}: {reason}" for rule, reason in event.accepts.items()]
    why += [f"approved by {some(event.approvals) or 'nobody'}"] if event.approvals is not None else []
    why += [f"evidence: {each}" for each in event.evidence]
    after = _left(event, target)
    stands = ""
    if after is not None and after == now:
        stands = "current" if commit.oid == newest else "current again"
    elif after is not None:
        stands = _in_the_way(gate, head, target, after, commit.oid, broken)
    merged = f", merged by {commit.committer}" if commit.committer != commit.author else ""
    return Moment(
        at=rfc3339(event.at),
        what=list(_what(event)),
        by=f"{commit.author}{merged}",
        why=why,
        run=event.run,
        commit=commit.oid,
        back=f"pointsman rollback {target} --to {short(commit.oid)}" if after is not None and not stands else "",
        stands=stands,
    )


def _what(event: Event) -> Iterator[str]:
    yield f"{event.kind}{f' until {event.until}' if event.until else ''}{', straight to main' if event.now else ''}"
    for slot, (old, new) in event.changes.items():
        yield f"{slot} {short(old or 'nothing')} → {short(new or 'nothing')}"


def _in_the_way(
    gate: Gate, head: Snapshot, target: Target, after: Entry, commit: Oid, broken: Mapping[Oid, str]
) -> str:
    """Why nothing goes back to a state; "" if nothing stands in the way."""
    if rule := broken.get(commit, ""):
        return f"it broke {rule}: nothing goes back to it"
    lineage = gate.lineage(gate.repo.main, target)
    if lineage.is_within_since(commit) and not lineage.of(commit).is_good:
        return "it broke a rule: nothing goes back to it"
    for slot, version in versions_in(gate.repo, after).items():
        if head.entry(target.tombstone_path(slot, version)) is not None:
            return f"{slot} {short(version)} is retired: its bytes may be gone"
    return ""
