"""Ship: recorded versions become current without their files, to roll forward or to promote what was only recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from msgspec import Struct

from pointsman.errors import Problem, Refused
from pointsman.gate.gate import Gate
from pointsman.history.events import shipped_ever, unknown
from pointsman.history.versions import find_version_of
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.retention.before_pointing import make_sure
from pointsman.shipping.draft import Terms, Want
from pointsman.shipping.options import ShipOptions, idle
from pointsman.shipping.ship import Shipping
from pointsman.state.documents import Manifest, Record
from pointsman.state.names import Target
from pointsman.values import ShippedTarget, Version
from pointsman.verbs import publish
from pointsman.workspace import Workspace


class Request(ShipOptions, frozen=True):
    """What to make current: types and the first digits of one version of each, or again what main has."""

    target: Target
    versions: tuple[tuple[str, str], ...] = ()
    again: bool = False


class Shipped(Struct, frozen=True):
    """What was named, and what became of its target."""

    versions: Annotated[Mapping[str, Version], "artifact type → the whole version that was named"]
    targets: Sequence[ShippedTarget]


def ship(workspace: Workspace, request: Request) -> Outcome[Shipped]:
    """Open (or merge) a ship pull request of recorded versions, after proving their blobs; Refused, nothing written."""
    repo, gate = workspace.repo, workspace.gate
    head = Snapshot(repo, repo.refresh())
    settings = gate.settings(head)
    want = Want(request.target, again=request.again)
    repo.notes.extend(idle(request.accept, [want.target]))
    if request.again:
        want.records.update(_current(gate, head, request.target))
    for slot, text in request.versions:
        if slot in want.records:
            raise Problem(f"{slot} is named twice: one version of each type can be current")
        want.records[slot] = _record(gate, head, request.target, slot, text)
    versions = {slot: record.version for slot, record in want.records.items()}
    uris = {slot: settings.uri(request.target, slot, version) for slot, version in versions.items()}
    if not request.dry_run:
        make_sure(gate, head, uris.values(), workspace.progress)
    faults = gate.faults_of_pointers(
        repo.main, {request.target: Manifest(request.target.tenant, request.target.surface, uris, "")}, remember=True
    )
    if faults:
        raise Refused(faults)
    workspace.progress(f"proved {len(uris)} blobs")
    shipping = Shipping(workspace, settings, Terms("pointsman ship …", request))
    if waiting := shipping.judge([want]):
        raise Refused([fault for faults in waiting.values() for fault in faults])
    targets = shipping.preview([want]) if request.dry_run else shipping.ship([want])
    return Outcome(Shipped(versions, targets), publish.exit_code(targets), tuple(shipping.notes))


def _current(gate: Gate, head: Snapshot, target: Target) -> Mapping[str, Record]:
    """The records of what main has of a target; Problem if it has nothing that could be shipped again."""
    manifest = gate.documents.manifest(head, target)
    if manifest is None:
        if str(target) not in (ever := shipped_ever(gate.repo, gate.repo.main)):
            raise Problem(unknown(target, ever))
        says = "main has no manifest of it that can be read, so nothing can be shipped again"
        raise Problem(f"{target}: {says}: name its versions, pointsman ship {target} TYPE@VERSION …")
    return {slot: _record(gate, head, target, slot, version) for slot, version in manifest.versions.items()}


def _record(gate: Gate, head: Snapshot, target: Target, slot: str, text: str) -> Record:
    """The record of the one version of a type that begins with `text`; Problem, with the nearest, if none does."""
    found = find_version_of(head, text, target, slot)
    record = gate.documents.record(head, target, slot, found.version)
    if record is None:
        raise Problem(f"the record {target.record_path(slot, found.version)} cannot be read: pointsman check says why")
    return record
