"""Ship: recorded versions become current without their files, to roll forward or to promote what was only recorded."""

from __future__ import annotations

from dataclasses import dataclass

from pointsman.errors import Problem, Refused
from pointsman.gate.gate import Gate
from pointsman.history.targets import nearest
from pointsman.history.versions import alike, recorded
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.shipping.ship import Shipping, Terms, Want
from pointsman.state.documents import Manifest, Record
from pointsman.state.names import Target, is_version
from pointsman.verbs import publish
from pointsman.workspace import Workspace

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Request:
    """What to make current: types and the first digits of one version of each."""

    target: Target
    versions: tuple[tuple[str, str], ...]
    run: str = ""
    merge: bool = False
    reship: bool = False
    accept: tuple[str, ...] = ()
    reason: str = ""
    dry_run: bool = False


def ship(workspace: Workspace, request: Request) -> Outcome:
    """Open (or merge) a ship pull request of recorded versions, after proving their blobs; Refused, nothing written."""
    publish.check_words(request.run, request.accept, request.reason)
    repo, gate = workspace.repo, workspace.gate
    head = Snapshot(repo, repo.refresh())
    settings = head.settings()
    want = Want(request.target)
    for slot, text in request.versions:
        if slot in want.records:
            raise Problem(f"{slot} is named twice: one version of each type can be current")
        want.records[slot] = _record(gate, head, request.target, slot, text)
    versions = {slot: record.version for slot, record in want.records.items()}
    uris = {slot: settings.uri(request.target, slot, version) for slot, version in versions.items()}
    faults = gate.faults_of_pointers(
        repo.main, {request.target: Manifest(request.target.tenant, request.target.surface, uris, "")}, remember=True
    )
    if faults:
        raise Refused(faults)
    workspace.progress(f"proved {len(uris)} blobs")
    terms = Terms(
        "pointsman ship …",
        run=request.run,
        merge=request.merge,
        reship=request.reship,
        accept=request.accept,
        reason=request.reason,
    )
    shipping = Shipping(workspace, settings, terms)
    shipping.judge([[want]])
    targets = shipping.preview([want]) if request.dry_run else shipping.ship([[want]])
    document = {"versions": versions, "targets": targets}
    return Outcome(document, publish.exit_code(targets), tuple(shipping.notes))


def _record(gate: Gate, head: Snapshot, target: Target, slot: str, text: str) -> Record:
    """The record of the one version of a type that begins with `text`; Problem, with the nearest, if none does."""
    names = head.files(f"registry/{target}/{slot}")
    found = [name[:-5] for name in names if name.startswith(text) and is_version(name.removesuffix(".json"))]
    if len(found) > 1:
        some = ", ".join(version[: len(text) + 4] for version in sorted(found)[:_SHOWN])
        raise Problem(f"{text} begins {len(found)} versions of {target} {slot} ({some}): give more digits")
    if not found:
        slots = head.names(f"registry/{target}")
        if not slots:
            known = sorted({str(each.target) for each in recorded(head)})
            raise Problem(f"no version of {target} is recorded{nearest(str(target), known)}")
        if slot not in slots:
            raise Problem(f"no {slot} of {target} is recorded{nearest(slot, slots)}")
        others = sorted({f"{each.target} {each.slot}" for each in recorded(head) if each.version.startswith(text)})
        if others:
            raise Problem(f"{text} is a version of {' and of '.join(others[:_SHOWN])}, not of {target} {slot}")
        near = ", ".join(name[:12] for name in sorted(names, key=lambda name: -alike(name, text))[:_SHOWN])
        raise Problem(f"no version {text} of {target} {slot} is recorded; the nearest are {near}")
    record = gate.documents.record(head, target, slot, found[0])
    if record is None:
        raise Problem(f"the record {target.record_path(slot, found[0])} cannot be read: pointsman check says why")
    return record
