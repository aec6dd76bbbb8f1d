"""Show: one recorded version, where it is or was current, and whether its blob still stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import Struct

from pointsman.errors import Problem, Unreachable
from pointsman.gate.gate import Gate
from pointsman.gate.lineage import Lineage
from pointsman.history.times import CommitTimes
from pointsman.history.versions import Recorded, find_version
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.retention.trash import counted_on
from pointsman.settings import Settings
from pointsman.state import strict_json
from pointsman.state.documents import read_record, read_tombstone, rfc3339
from pointsman.store.open import open_store
from pointsman.values import ArtifactType, Moment, Step, TargetName, Version
from pointsman.workspace import Workspace

Blob = Literal["present", "missing", "altered", "unknown", "not asked"]


class Period(Struct, frozen=True):
    """A time that main pointed to a version; `to` is None for now."""

    from_: Step
    to: Step | None


class ShownEvidence(Struct, frozen=True):
    """What somebody found out about a version."""

    name: str
    by: Annotated[str | None, "whose signature it is; null: of nobody whom the file of signers has for evidence now"]
    at: Annotated[Moment, "when it landed on main"]
    predicate: Annotated[Mapping[str, Any], "what was found"]
    path: str


class Shown(Struct, frozen=True):
    """One recorded version, and what became of it."""

    version: Version
    target: TargetName
    type: ArtifactType
    record: Annotated[Mapping[str, Any], "the record as the file has it"]
    recorded: Annotated[Step | None, "by which commit"]
    current: Annotated[Sequence[Period], "each time that main pointed to it, the latest first"]
    retired: Annotated[Mapping[str, Any] | None, "its tombstone"]
    retired_by: Annotated[Step | None, "by which commit; null: it is not retired"]
    blob: Annotated[Blob, "by its size; pointsman verify hashes it"]
    evidence: Annotated[Sequence[ShownEvidence], "what was found out about it, in the order of their files"]
    trash: Annotated[str | None, "of a missing blob: where gc's trash has it, until it is purged"] = None


def show(workspace: Workspace, text: str) -> Outcome[Shown]:
    """The record of the version that begins with `text`; Problem if none or several do, with the nearest."""
    repo, gate = workspace.repo, workspace.gate
    main = repo.refresh()
    head, moments = Snapshot(repo, main), CommitTimes(repo, main)
    found = find_version(head, text)
    path = found.target.record_path(found.slot, found.version)
    data = head.read(path) or b""
    grave = found.target.tombstone_path(found.slot, found.version)
    tombstone = head.read(grave)
    landed, buried = (next(iter(repo.history(main, each)), None) for each in (path, grave))
    blob: Blob = "not asked" if workspace.offline else _blob(gate, head, found)
    shown = Shown(
        version=found.version,
        target=str(found.target),
        type=found.slot,
        record=_read(data, path, read_record),
        recorded=moments.step(landed) if landed is not None else None,
        current=_periods(gate.lineage(main, found.target), moments, found),
        retired=_read(tombstone, grave, read_tombstone) if tombstone is not None else None,
        retired_by=moments.step(buried) if buried is not None and tombstone is not None else None,
        blob=blob,
        evidence=_evidence(gate, head, found),
        trash=_in_trash(gate.documents.settings(head), found) if blob == "missing" else None,
    )
    return Outcome(shown)


def _evidence(gate: Gate, head: Snapshot, found: Recorded) -> list[ShownEvidence]:
    told = []
    for path, signed in gate.attestations.about(head, found.target, found.slot, found.version):
        if signed.statement is not None:
            by, at = gate.attestations.signer(head, path, signed), gate.consents.landings.landed(head, path)
            told.append(ShownEvidence(signed.statement.name, by or None, rfc3339(at), signed.statement.predicate, path))
    return told


def _read(data: bytes, path: str, kind: Callable[[bytes, str], object]) -> Any:
    """The JSON of a state file. Problem for one that a hand made: others rely on its members."""
    found = kind(data, path)
    if isinstance(found, list):
        raise Problem(f"{path} on main cannot be read: {found[0].says}")
    return strict_json.read(data, path)


def _periods(lineage: Lineage, moments: CommitTimes, found: Recorded) -> list[Period]:
    """Each time that main pointed to the version, the latest first."""
    periods: list[Period] = []
    later: Step | None = None
    inside = False
    for each in lineage:
        had, step = each.versions.get(found.slot) == found.version, moments.step(each.commit)
        if had:
            end = periods.pop().to if inside else later
            periods.append(Period(step, end))
        inside, later = had, step
    return periods


def _blob(gate: Gate, head: Snapshot, found: Recorded) -> Blob:
    record = gate.documents.record(head, found.target, found.slot, found.version)
    if record is None:
        return "unknown"
    try:
        stands = gate.blobs.look(gate.documents.settings(head), {record.uri: False})
    except Unreachable:
        return "unknown"
    if record.uri not in stands:
        return "unknown"
    size = stands[record.uri].size
    return "missing" if size is None else "present" if size == record.size else "altered"


def _in_trash(settings: Settings, found: Recorded) -> str | None:
    try:
        store = open_store(settings.store, settings.access)
        place = counted_on(store, found.target.blob_key(found.slot, found.version))
    except Problem:
        return None
    return f"{store.url}/{place}" if place is not None else None
