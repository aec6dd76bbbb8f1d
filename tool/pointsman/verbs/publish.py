"""Publish: blobs into the store, records onto main, then a ship pull request that changes nothing but manifests.

The order is the safety: a blob is durable before its record is on main, the record before a manifest can point to it.
Every step is create-only or a compare-and-swap, so that dying anywhere leaves serving as it was, and running again
finishes the job.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Annotated

from msgspec import Struct

from pointsman.errors import BLOCKED, Fault, MovedFirst, Problem, Refused, Unreachable
from pointsman.gate.unmounted import require_mounted
from pointsman.history.events import shipped_ever, unknown
from pointsman.history.times import clock_ahead
from pointsman.intake.staging import Source, load_types, read_sources, unlike_main
from pointsman.outcome import Outcome, exit_of_many
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.settings import Settings
from pointsman.shipping.draft import Terms, Waiting, Want, without
from pointsman.shipping.new_targets import resembling
from pointsman.shipping.options import ShipOptions, idle
from pointsman.shipping.records import Recording, Stored, record_of, retired
from pointsman.shipping.ship import Shipping
from pointsman.state.documents import moment
from pointsman.state.message import parse
from pointsman.state.names import Target
from pointsman.state.objects import Oid
from pointsman.state.suggest import did_you_mean
from pointsman.values import ArtifactType, BlobOutcome, ShippedTarget, TargetName, ToldFault, Version, told
from pointsman.workspace import Workspace


class Request(ShipOptions, frozen=True):
    """What to publish: files and directories, and slots to take out."""

    paths: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()  # of a staging directory, or "all"; default: the newest of each target
    drops: tuple[tuple[Target, str], ...] = ()
    record_only: bool = False


class PublishedArtifact(Struct, frozen=True):
    """One artifact, and whether its blob was stored now."""

    path: str
    target: TargetName
    type: ArtifactType
    version: Version
    uri: str
    blob: BlobOutcome
    ships: Annotated[bool, "false: it is recorded only"]
    stored: Annotated[bool | None, "of a dry run: whether its blob is in the store"] = None


class Published(Struct, frozen=True):
    """What became of each artifact and of each target. The artifacts of a target that waits are left out."""

    artifacts: Sequence[PublishedArtifact]
    targets: Sequence[ShippedTarget]
    faults: Annotated[Sequence[ToldFault] | None, "of files that name no target"] = None


def publish(workspace: Workspace, request: Request) -> Outcome[Published]:
    """Publish artifacts and open (or merge) a ship pull request for each target.

    A fault stops its own target, which waits. Refused, with nothing written, if all have to wait, or if one has to and
    the request is all or nothing. Of several windows of one type all are recorded, and the newest is shipped.
    """
    repo, progress = workspace.repo, workspace.progress
    base = Snapshot(repo, repo.refresh())
    settings = workspace.gate.settings(base)
    require_mounted(workspace.gate.documents, base, settings)
    reading = read_sources(request.paths, request.windows, load_types(base), settings.artifact_bytes)
    if repo.worktree is not None:
        repo.notes.extend(unlike_main(repo.worktree, base))
    if not reading.sources and not reading.faults and not request.drops:
        raise Problem("nothing to publish: name artifact files or a staging directory, or --drop TARGET:TYPE")
    waiting: Waiting = {target: faults for target, faults in reading.faults.items() if target is not None}
    _wait(waiting, ((source, retired(base, source)) for source in reading.sources))
    loose = reading.faults.get(None, [])
    wants = _wants(workspace, request, reading.sources, settings)
    repo.notes.extend(idle(request.accept, [*(want.target for want in wants), *waiting]))
    progress(f"read {len(reading.sources)} artifacts for {len(wants)} targets")
    at_hand = {source.artifact.version: source.payload for source in reading.sources}
    terms = Terms("pointsman publish …", request, together=settings.group == "run")
    shipping, recording = Shipping(workspace, settings, terms, at_hand), Recording(workspace, settings)
    waiting |= shipping.judge(without(wants, waiting))
    sources = _not_waiting(reading.sources, waiting)
    stored = dict(zip((source.path for source in sources), recording.stored(sources), strict=True))
    _wait(waiting, ((source, recording.altered(source, stored[source.path])) for source in sources))
    wants, sources = without(wants, waiting), _not_waiting(sources, waiting)
    if not wants or (request.all_or_nothing and (waiting or loose)):
        faults = [*loose, *(fault for faults in waiting.values() for fault in faults)]
        raise Unreachable(faults[0].says) if _only_blocked(faults) else Refused(faults)
    notes = [*reading.notes, *resembling(base, (want.target for want in wants))]
    if request.dry_run:
        blobs: dict[str, BlobOutcome] = {source.path: None for source in sources}
    else:
        shipping.prepare(wants)
        blobs = _put(recording, sources, [stored[source.path] for source in sources], waiting)
        records = [record for want in without(wants, waiting) for record in want.every_record]
        recording.records(records, run=request.run)
        if records:
            notes += recording.own_store()
        _wait(waiting, recording.put_missing(_not_waiting(sources, waiting)))
    going = without(wants, waiting)
    shipped = [want for want in going if want.ships]
    outcomes = shipping.preview(shipped) if request.dry_run else shipping.ship(shipped)
    outcomes += [
        shipping.recorded(want, missing=any(base.entry(record.path) is None for record in want.history))
        for want in going
        if not want.ships
    ]
    outcomes += [shipping.waits(target, faults) for target, faults in waiting.items()]
    ships = {record.uri for want in shipped for record in want.records.values()}
    there = {path: each is not None for path, each in stored.items()} if request.dry_run else {}
    artifacts = [
        _told(source, blobs[source.path], settings, ships, there.get(source.path))
        for source in _not_waiting(sources, waiting)
    ]
    published = Published(artifacts, sorted(outcomes, key=_by_name), list(map(told, loose)) or None)
    code = exit_code(outcomes)
    if ahead := clock_ahead(_clocks(workspace, base, wants), workspace.now):
        notes.append(ahead)
    return Outcome(published, 5 if loose and code == 0 else code, (*notes, *shipping.notes))


def _clocks(workspace: Workspace, base: Snapshot, wants: Iterable[Want]) -> Iterator[tuple[Oid, int]]:
    """The clocks of the commits that a publish reads anyway: the newest of main, and the last of each target."""
    yield workspace.repo.main, workspace.repo.time_of(workspace.repo.main)
    for want in wants:
        if (last := workspace.gate.lineage(base.commit, want.target).last) is not None:
            yield last.commit.oid, last.commit.time


def _put(
    recording: Recording, sources: Sequence[Source], stored: Sequence[Stored], waiting: Waiting
) -> dict[str, BlobOutcome]:
    """Store the blobs. A target whose blob cannot be stored waits."""
    put = dict(zip((source.path for source in sources), recording.put(sources, stored), strict=True))
    found = ((source, put[source.path]) for source in sources)
    _wait(waiting, ((source, each if isinstance(each, Fault) else None) for source, each in found))
    return {path: each for path, each in put.items() if not isinstance(each, Fault)}


def _wait(waiting: Waiting, found: Iterable[tuple[Source, Fault | None]]) -> None:
    for source, fault in found:
        if fault is not None:
            waiting.setdefault(source.target, []).append(fault)


def _not_waiting(sources: Sequence[Source], waiting: Waiting) -> list[Source]:
    return [source for source in sources if source.target not in waiting]


def _by_name(each: ShippedTarget) -> str:
    return each.target


def _told(
    source: Source, blob: BlobOutcome, settings: Settings, ships: Collection[str], stored: bool | None
) -> PublishedArtifact:
    target, slot, version = source.target, source.artifact.type, source.artifact.version
    uri = settings.uri(target, slot, version)
    return PublishedArtifact(source.path, str(target), slot, version, uri, blob, uri in ships, stored)


_SOME = 5  # what waits for people alone is no fault of the one who publishes


def exit_code(outcomes: Sequence[ShippedTarget]) -> int:
    """What a command ends with that shipped: 0 all, 1 refused, 3 no answer, 4 overtaken, 5 some of several."""
    return exit_of_many(map(_code, outcomes))


def _only_blocked(faults: Sequence[Fault | ToldFault]) -> bool:
    """Whether no rule is broken: the store does not give or take a blob, and to run it again is the answer."""
    return bool(faults) and all(fault.rule == BLOCKED for fault in faults)


def _code(each: ShippedTarget) -> int:
    if each.faults is not None:
        if _only_blocked(each.faults):
            return Unreachable.exit_code
        waits = all(fault.rule in ("unapproved", "evidence-missing") for fault in each.faults)
        return _SOME if waits else Refused.exit_code
    if each.says is None:
        return 0
    return Unreachable.exit_code if each.outcome == "waits" else MovedFirst.exit_code


def _wants(workspace: Workspace, request: Request, sources: Sequence[Source], settings: Settings) -> list[Want]:
    wants: dict[Target, Want] = {}
    repo = workspace.repo
    now, base = moment(workspace.clock()), Snapshot(repo, repo.main)
    for source in sorted(sources, key=lambda source: source.window_end):  # of one type the last one is shipped
        want = wants.setdefault(source.target, Want(source.target))
        earlier = want.records.pop(source.artifact.type, None)
        record = record_of(source, settings, request.run, now)
        want.history += filter(None, [earlier, record if request.record_only else None])
        if not request.record_only:
            want.records[source.artifact.type] = record
    for target, slot in request.drops:
        current = workspace.gate.documents.manifest(base, target)
        has = current.current if current is not None else {}
        unread = current is None and base.entry(target.manifest_path) is not None  # the gate tells of it
        if slot not in has and not unread and (current is None or slot not in _dropped(repo, target)):
            if current is None and str(target) not in (ever := shipped_ever(repo, repo.main)):
                raise Problem(unknown(target, ever))
            raise Problem(f"{target} has no {slot} to drop{did_you_mean(slot, has, most=3) or ': it has no manifest'}")
        want = wants.setdefault(target, Want(target))
        if slot in want.records:
            raise Problem(f"{target} {slot} is to be published and dropped at once: leave one out")
        want.drops.add(slot)
    return [wants[target] for target in sorted(wants)]


def _dropped(repo: Repository, target: Target) -> set[str]:
    """Slots that earlier ships of a target have dropped: dropping them again is nothing to complain about."""
    history = repo.history(repo.main, target.manifest_path)
    return {
        slot
        for commit in history
        for said in parse(commit.message).said
        if said.target == target
        for slot in said.drops
    }
