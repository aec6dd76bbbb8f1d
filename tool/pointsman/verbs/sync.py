"""Sync: make serving equal to main, whatever happened in between, and never put an older state over a newer one.

The order is the safety (docs/decisions/0004): fence, serving, then main; the fence moves before any pointer; every
write is conditional on what was read; a last look at main before it calls itself done.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pointsman.errors import Blocked, Fault, MovedFirst, Refused, Unreachable
from pointsman.gate.documents import Documents
from pointsman.gate.gate import Gate
from pointsman.gate.unmounted import serves_from_store, unmounted
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.rules.evidence import Checkpoint
from pointsman.serving.drift import drift, ever_had, is_manifest
from pointsman.serving.fence import SYNCED, Fence, move_fence, read_fence, rewrite_faults
from pointsman.serving.notify import Notices
from pointsman.serving.outcomes import CallResult, Committer, Synced, SyncedTarget, SyncOutcome
from pointsman.serving.pointers import pointers, pointers_again
from pointsman.serving.seen import Seen
from pointsman.settings import Settings
from pointsman.state.names import Target
from pointsman.state.objects import Commit, Entry, Oid
from pointsman.store.base import Held, Store
from pointsman.store.open import open_store
from pointsman.store.vacant import is_bare
from pointsman.struct import replace
from pointsman.values import told
from pointsman.workspace import Workspace

_TRIES = 12
DID = ("written", "healed", "pruned")


@dataclass(frozen=True, slots=True)
class Orders:
    """What sync may do."""

    dry_run: bool = False
    heal: bool = True
    prune: bool = False
    accept_rewrite: bool = False
    stopped: Callable[[], bool] = lambda: False  # asked between two pointers


def sync(workspace: Workspace, orders: Orders = Orders(), seen: Seen | None = None) -> Outcome[Synced]:
    """Mirror the manifests of main to serving. Exit 5 if a target was refused and keeps its last good pointer.

    Whom the settings name is called afterwards; what went wrong with that is in the document and the notes.
    `seen`: what earlier passes of a watch saw. A pass that would do nothing again is then left out.
    """
    repo = workspace.repo
    if seen is not None and (idle := seen.again(repo)) is not None:
        return idle
    head = Snapshot(repo, repo.refresh())
    opened = head.settings()
    store = open_store(opened.serving_root, opened.access)
    away = _not_mounted(workspace, head, store)
    done: dict[Target, SyncedTarget] = {}
    with contextlib.nullcontext() if orders.dry_run else store.locked(""):
        main = _follow(workspace, store, opened, orders, seen, done)
    calls: list[CallResult] = []
    if not orders.dry_run:
        settings = Snapshot(repo, main).settings()
        calls = Notices(store, settings).deliver(workspace.gate, main, done)
    targets = [done[target] for target in sorted(done)]
    refused = any(each.outcome == "refused" for each in targets)
    notes = tuple(
        f"{call.what} of {call.target}{f' at {call.url}' if call.url else ''} failed: {call.says}"
        for call in calls
        if not call.ok
    )
    outcome = Outcome(Synced(main, orders.dry_run, targets, calls), 5 if refused else 0, (*away, *notes))
    if seen is not None:
        seen.done(main, outcome)
    return outcome


def _not_mounted(workspace: Workspace, head: Snapshot, store: Store) -> tuple[str, ...]:
    """What looks as if it were not mounted. Unreachable if sync would begin anew in its place."""
    inside = serves_from_store(head.settings())
    if says := unmounted(workspace.gate.documents, head):
        if inside or read_fence(store, SYNCED).commit is None:
            raise Unreachable(says)
        return (says,)
    if inside or not is_bare(store.url) or not head.names("manifests"):
        return ()
    return (f"{store.url} was missing or empty: if this is not the first sync there, look whether it is mounted",)


def _follow(
    workspace: Workspace,
    store: Store,
    opened: Settings,
    orders: Orders,
    seen: Seen | None,
    done: dict[Target, SyncedTarget],
) -> Oid:
    """Passes until one ends on the main that it began with; that main."""
    repo = workspace.repo
    for _ in range(_TRIES):
        try:
            main = _once(workspace, store, opened, orders, seen, done)
        except MovedFirst:
            repo.refresh()
            continue
        if orders.dry_run or orders.stopped() or repo.refresh() == main:
            return main
    raise MovedFirst("main or serving moved at every look: run pointsman sync again")


def _once(
    workspace: Workspace,
    store: Store,
    opened: Settings,
    orders: Orders,
    seen: Seen | None,
    done: dict[Target, SyncedTarget],
) -> Oid:
    """One pass over the store that `opened` names.

    `done` gathers outcomes: what an earlier pass did stays told, what it only found does not.
    """
    repo, gate = workspace.repo, workspace.gate
    for target in [target for target, each in done.items() if each.outcome not in DID]:
        del done[target]
    fence = read_fence(store, SYNCED)
    listed_by = Snapshot(repo, repo.main).settings()
    listed = dict(pointers(store, listed_by) if seen is None else pointers_again(store, listed_by, fence, seen))
    serving = {target: held for target, held in listed.items() if isinstance(held, Held)}
    main = repo.refresh()
    head = Snapshot(repo, main)
    settings = head.settings()
    if (settings.serving_root, settings.access) != (opened.serving_root, opened.access):
        raise MovedFirst("the settings on main moved serving elsewhere meanwhile: run pointsman sync again")
    if settings.serving != listed_by.serving:
        raise MovedFirst("the settings on main moved the serving pointers meanwhile: run pointsman sync again")
    _move_fence(gate, store, fence, main, orders)
    standing = dict(_standing(head))
    same = {target for target, held in serving.items() if is_manifest(standing.get(target), held)}
    if not orders.dry_run and not store.still({settings.serving_key(each): serving[each].tag for each in same}):
        raise MovedFirst("another sync wrote a pointer that was as main has it: run pointsman sync again")
    differing = [target for target in standing if target not in same]
    repo.expect(len(differing))
    repo.fetch_ahead(standing[target] for target in differing)
    wanted = {target: repo.content(standing[target]) for target in differing}  # None for what is no plain file
    gate.documents.fetch_ahead(head, differing)
    gate.blobs.look_ahead(settings, _blobs(gate.documents, head, wanted))
    if not orders.dry_run:
        Notices(store, settings).promise(gate, main, _differing(wanted, serving, same, orders))
    for target in sorted({*standing, *listed}):
        if orders.stopped():
            break
        held, data = serving.get(target), wanted.get(target)
        outcome: SyncOutcome
        faults: tuple[Fault, ...]
        try:
            if isinstance(blocked := listed.get(target), Blocked):
                raise blocked
            if target in same:
                outcome, faults = "unchanged", ()
            elif target not in wanted:
                outcome, faults = _gone(gate, store, settings, main, target, held, orders)
            else:
                outcome, faults = _differs(gate, store, settings, main, target, held, data, orders)
        except Blocked as blocked:
            outcome, faults = "refused", (Fault(target.manifest_path, "blocked", str(blocked)),)
        earlier = done[target].outcome if target in done else None
        if earlier is None or (earlier, outcome) not in (*((did, "unchanged") for did in DID), ("healed", "written")):
            made = _told(gate, head, target, held, outcome, faults)
            done[target] = replace(made, visible_after_seconds=None) if orders.dry_run else made
    return main


def _told(
    gate: Gate, head: Snapshot, target: Target, held: Held | None, outcome: SyncOutcome, faults: Sequence[Fault]
) -> SyncedTarget:
    """What was done, with what a reader wants to know of a pointer that was drifted, written or refused."""
    drifted = outcome == "healed" or any(fault.rule == "drifted" for fault in faults)
    last = gate.lineage(head.commit, target).last if outcome in ("written", "refused") else None
    return SyncedTarget(
        target=str(target),
        outcome=outcome,
        faults=list(map(told, faults)),
        drift=drift(gate.documents, head, target, held) if drifted and held is not None else None,
        visible_after_seconds=_seconds_since(last.commit) if last is not None and outcome == "written" else None,
        refused=Committer(last.commit.oid, last.commit.committer)
        if last is not None and outcome == "refused"
        else None,
    )


def _seconds_since(commit: Commit) -> float:
    """Seconds from a commit, by its committer's clock, until now."""
    return round(max(time.time() - commit.time, 0.0), 1)


def _move_fence(gate: Gate, store: Store, fence: Fence, main: Oid, orders: Orders) -> None:
    """Refused if main no longer descends from the last commit attempted; else that commit is `main` from here on."""
    if not orders.accept_rewrite and (faults := rewrite_faults(gate, Checkpoint.SYNC, fence, main)):
        raise Refused(faults)
    if not orders.dry_run:
        move_fence(store, fence, main)


def _standing(head: Snapshot) -> Iterator[tuple[Target, Entry]]:
    """Every target of main, and what stands where its manifest belongs, a plain file or not."""
    for target in head.targets("manifests"):
        if (entry := head.entry(target.manifest_path)) is not None:
            yield target, entry


def _differing(
    wanted: Iterable[Target], serving: Mapping[Target, Held], same: Container[Target], orders: Orders
) -> Iterator[tuple[Target, Held | None]]:
    """The targets whose pointers may be written, and what these hold."""
    for target in sorted({*wanted, *(serving if orders.prune else ())}):
        if target not in same:
            yield target, serving.get(target)


def _blobs(documents: Documents, head: Snapshot, wanted: Mapping[Target, bytes | None]) -> Iterator[str]:
    """The URI of every blob that the targets which differ point to."""
    for target, data in wanted.items():
        if data is not None and (manifest := documents.manifest(head, target)):
            yield from manifest.current.values()


def _gone(
    gate: Gate,
    store: Store,
    settings: Settings,
    main: Oid,
    target: Target,
    held: Held | None,
    orders: Orders,
) -> tuple[SyncOutcome, tuple[Fault, ...]]:
    if faults := gate.faults_of_current(main, target):  # a removal that broke a rule takes nothing away
        return "refused", faults
    if gate.lineage(main, target).last is None:
        # Nothing was removed: who wrote this pointer may still serve by it, so --prune does not mean it.
        says = "main never had a manifest of this target, serving keeps its pointer: pointsman adopt takes over one of "
        return "kept", (Fault(target.manifest_path, "gone", f"{says}recsys-pipelines"),)
    if orders.prune and held is not None:
        if not orders.dry_run:
            store.delete(settings.serving_key(target), was=held.tag)
        return "pruned", ()
    says = "main has no manifest of this target, serving keeps its pointer: pointsman sync --prune takes it away"
    return "kept", (Fault(target.manifest_path, "gone", says),)


def _differs(
    gate: Gate,
    store: Store,
    settings: Settings,
    main: Oid,
    target: Target,
    held: Held | None,
    data: bytes | None,
    orders: Orders,
) -> tuple[SyncOutcome, tuple[Fault, ...]]:
    faults = tuple(dict.fromkeys(gate.faults_of_current(main, target, store=True)))
    if data is None and not faults:
        faults = (Fault(target.manifest_path, "not-a-plain-file", "no plain file stands here: remove it by a commit"),)
    if faults or data is None:
        return "refused", faults
    drifted = held is not None and not ever_had(gate.lineage(main, target), held.data)
    if drifted and not orders.heal:
        says = "serving holds a manifest that main never had, someone wrote it by hand: run pointsman sync to heal it"
        return "kept", (Fault(target.manifest_path, "drifted", says),)
    if not orders.dry_run:
        store.replace(settings.serving_key(target), data, was=held.tag if held else None)
    return "healed" if drifted else "written", ()
