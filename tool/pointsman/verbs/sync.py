"""Sync: make serving equal to main, whatever happened in between, and never put an older state over a newer one.

Each place has a fence of its own and is synced alone, so one that cannot be reached stops no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from pointsman.errors import BLOCKED, MovedFirst, Problem, Unreachable
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.serving.left_rings import ever_left, left_since, look_at_left, take_left
from pointsman.serving.outcomes import CallResult, LeftRing, Synced, SyncedAt, SyncedPlace, SyncedTarget
from pointsman.serving.seen import Seen
from pointsman.state.names import Target
from pointsman.state.place import Place
from pointsman.verbs.sync_place import DID
from pointsman.verbs.sync_target import Orders
from pointsman.verbs.sync_together import Together, Try
from pointsman.workspace import Workspace

__all__ = ["DID", "Orders", "sync"]
_USUAL = Orders()
# Of a target at several places the first of these is told, then what each place is.
_GRAVEST = ("refused", "claimed", "kept", "healed", "written", "pruned", "unchanged")


def sync(workspace: Workspace, orders: Orders = _USUAL, seen: Seen | None = None) -> Outcome[Synced]:
    """Mirror the manifests of main to serving. Exit 5 if a target was refused and keeps its last good pointer.

    Of several places, exit 3 if one could not be reached; the others are synced all the same.
    Whom the settings name is called afterwards; what went wrong with that is in the document and the notes.
    `seen`: what earlier passes of a watch saw. A pass that would do nothing again is then left out.
    """
    repo = workspace.repo
    if seen is not None and (idle := seen.again(repo, workspace.now)) is not None:
        return idle
    together = Together(workspace, orders, seen)
    together.follow()
    tries = together.tries
    for each in tries:
        each.deliver()
    outcome = _with_left(workspace, tries, _outcome(tries, orders), orders)
    if note := workspace.gate.consents.policies.note(Snapshot(repo, outcome.value.commit)):
        outcome = replace(outcome, notes=(*outcome.notes, note))
    if seen is not None:
        seen.done({each.sync.place: each.problem is None for each in tries}, outcome)
    return outcome


def _outcome(tries: Sequence[Try], orders: Orders) -> Outcome[Synced]:
    ended = [each for each in tries if each.sync.main is not None]
    problems = [each.problem for each in tries if each.problem is not None]
    if not ended:
        raise problems[0]
    main = next((each.sync.main for each in ended if each.problem is None), ended[0].sync.main)
    assert main is not None
    found = {target: _at_all(tries, target) for target in sorted({each for one in ended for each in one.sync.done})}
    calls = [call for each in tries for call in each.calls]
    notes = [f"{_of(each)}{note}" for each in tries for note in each.notes]
    notes += [_said(call) for call in calls if not call.ok]
    refused = any(
        each.outcome in ("refused", "claimed") or any(fault.rule == BLOCKED for fault in each.faults)
        for each in found.values()
    )
    value = Synced(main, orders.dry_run, list(found.values()), calls, _places(tries))
    return Outcome(value, _exit_code(problems, refused=refused), tuple(notes))


def _with_left(workspace: Workspace, tries: Sequence[Try], outcome: Outcome[Synced], orders: Orders) -> Outcome[Synced]:
    """With the rings that left the settings: those of late told, or, to prune, all taken away."""
    gate, main = workspace.gate, outcome.value.commit
    head = Snapshot(workspace.repo, main)
    if not orders.prune:
        fences = dict.fromkeys(each.sync.before for each in tries if each.sync.before is not None)
        late = {place.root: place for before in fences for place in left_since(gate, before, head)}
        told = [each for place in late.values() if (each := look_at_left(gate, main, place)) is not None]
        return replace(outcome, value=replace(outcome.value, left=told)) if told else outcome
    found, code = list[LeftRing](), outcome.exit_code
    for place in ever_left(gate, head):
        try:
            each = take_left(gate, place, workspace.now, orders.stopped, dry_run=orders.dry_run)
        except Problem as problem:
            each = LeftRing(place.name, place.manifest, None, "kept", str(problem))
            code = problem.exit_code if code == 0 or problem.exit_code == Unreachable.exit_code else code
        found += [each] if each is not None else []
    return replace(outcome, value=replace(outcome.value, left=found or None), exit_code=code)


def _exit_code(problems: Iterable[Problem], *, refused: bool) -> int:
    """3 if a place could not be reached, else 5 if something was refused, else 4 if a place lost every race."""
    codes = {problem.exit_code for problem in problems}
    if Unreachable.exit_code in codes:
        return Unreachable.exit_code
    return 5 if refused or codes - {MovedFirst.exit_code} else MovedFirst.exit_code if codes else 0


def _places(tries: Sequence[Try]) -> Sequence[SyncedPlace] | None:
    if not tries[0].sync.place.name:
        return None
    return [SyncedPlace(each.sync.place.name, each.problem is None, str(each.problem or "")) for each in tries]


def _at_all(tries: Sequence[Try], target: Target) -> SyncedTarget:
    """What was done for a target at every place that has it."""
    found = {each.sync.place: each.sync.done[target] for each in tries if target in each.sync.done}
    gravest = min(found.values(), key=lambda each: _GRAVEST.index(each.outcome))
    if len(tries) == 1 and not tries[0].sync.place.name:
        return gravest
    faults = list(dict.fromkeys(fault for each in found.values() for fault in each.faults))
    return replace(gravest, faults=faults, places=[_at(place, each) for place, each in found.items()])


def _at(place: Place, each: SyncedTarget) -> SyncedAt:
    same: Mapping[str, Any] = {name: getattr(each, name) for name in SyncedAt.__struct_fields__ if name != "place"}
    return SyncedAt(place.name, **same)


def _said(call: CallResult) -> str:
    at = f" at {call.url}" if call.url else ""
    of = f" ({call.place})" if call.place else ""
    return f"{call.what} of {call.target}{at}{of} failed: {call.says}"


def _of(each: Try) -> str:
    name = each.sync.place.name
    return f"{name}: " if name else ""
