"""Publish: blobs into the store, records onto main, then a ship pull request that changes nothing but manifests.

The order is the safety: a blob is durable before its record is on main, the record before a manifest can point to it.
Every step is create-only or a compare-and-swap, so that dying anywhere leaves serving as it was, and running again
finishes the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pointsman.errors import Problem, Refused
from pointsman.intake.staging import Source, load_types, read_sources
from pointsman.outcome import Outcome
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.settings import Settings
from pointsman.shipping.options import ShipOptions
from pointsman.shipping.records import Recording, record_of
from pointsman.shipping.ship import Shipping, Terms, Want
from pointsman.state.documents import moment
from pointsman.state.message import parse
from pointsman.state.names import Target
from pointsman.struct import struct
from pointsman.values import ArtifactType, BlobOutcome, ShippedTarget, TargetName, Version
from pointsman.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Request(ShipOptions):
    """What to publish: files and directories, and slots to take out."""

    paths: tuple[str, ...] = ()
    window: str | None = None
    drops: tuple[tuple[Target, str], ...] = ()


@struct(frozen=True)
class PublishedArtifact:
    """One artifact, and whether its blob was stored now."""

    path: str
    target: TargetName
    type: ArtifactType
    version: Version
    uri: str
    blob: BlobOutcome


@struct(frozen=True)
class Published:
    """What became of each artifact and of each target."""

    artifacts: Sequence[PublishedArtifact]
    targets: Sequence[ShippedTarget]


def publish(workspace: Workspace, request: Request) -> Outcome[Published]:
    """Publish artifacts and open (or merge) a ship pull request for each target; Refused with nothing written."""
    repo, progress = workspace.repo, workspace.progress
    main = repo.refresh()
    settings = Snapshot(repo, main).settings()
    types = load_types(Snapshot(repo, main))
    sources, faults, notes = read_sources(request.paths, request.window, types, settings.artifact_bytes)
    if faults:
        raise Refused(faults)
    if not sources and not request.drops:
        raise Problem("nothing to publish: name artifact files or a staging directory, or --drop TARGET:TYPE")
    wants = _wants(workspace, request, sources, settings)
    progress(f"read {len(sources)} artifacts for {len(wants)} targets")
    recording = Recording(workspace, settings)
    at_hand = {source.artifact.version: source.payload for source in sources}
    shipping = Shipping(
        workspace, settings, Terms("pointsman publish …", request, together=settings.group == "run"), at_hand
    )
    groups = [wants] if settings.group == "run" else [[want] for want in wants]
    shipping.judge(groups)
    if request.dry_run:
        blobs: list[BlobOutcome] = [None] * len(sources)
        outcomes = [each for group in groups for each in shipping.preview(group)]
    else:
        blobs = [*recording.put(sources, recording.stored(sources))]
        recording.records([record for want in wants for record in want.records.values()], run=request.run)
        recording.put_missing(sources)
        outcomes = shipping.ship(groups)
    artifacts = [_told(source, blob, settings) for source, blob in zip(sources, blobs, strict=True)]
    return Outcome(Published(artifacts, outcomes), exit_code(outcomes), (*notes, *shipping.notes))


def _told(source: Source, blob: BlobOutcome, settings: Settings) -> PublishedArtifact:
    target, slot, version = source.target, source.artifact.type, source.artifact.version
    return PublishedArtifact(source.path, str(target), slot, version, settings.uri(target, slot, version), blob)


def exit_code(outcomes: Sequence[ShippedTarget]) -> int:
    """What a command ends with that shipped: 0 all, 1 refused, 4 overtaken, 5 some of several."""
    codes = {1 if each.outcome == "refused" else 4 if each.says is not None else 0 for each in outcomes}
    return codes.pop() if len(codes) == 1 else 5 if 0 in codes else max(codes)


def _wants(workspace: Workspace, request: Request, sources: Sequence[Source], settings: Settings) -> list[Want]:
    wants: dict[Target, Want] = {}
    repo = workspace.repo
    now, base = moment(workspace.clock()), Snapshot(repo, repo.main)
    for source in sources:
        want = wants.setdefault(source.target, Want(source.target))
        want.records[source.artifact.type] = record_of(source, settings, request.run, now)
    for target, slot in request.drops:
        current = workspace.gate.documents.manifest(base, target)
        if current is None or (slot not in current.current and slot not in _dropped(repo, target)):
            known = ", ".join(current.current) if current else "it was never shipped"
            raise Problem(f"{target} has no {slot} to drop: {known}")
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
