"""Adopt: take over a registry that recsys-pipelines wrote. Serving has the same recommendations before and after.

Everything is read and judged first. Then, in the order of a publish: canonical blobs, records, and one pull request
with all manifests. What does not verify is listed and left; nothing that recsys-pipelines wrote is changed or deleted.
A target is taken over whole or not at all. Running it again finishes what a crash left, and is `unchanged` after that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal

from msgspec import Struct

from pointsman.errors import Fault, Problem, Refused
from pointsman.gate.lineage import Lineage
from pointsman.gate.unmounted import require_mounted
from pointsman.intake import recsys_registry
from pointsman.intake.recsys_registry import Registry, Slot, Verified
from pointsman.intake.staging import Source, load_types
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.settings import Settings
from pointsman.shipping.draft import Terms, Want, without
from pointsman.shipping.options import ShipOptions
from pointsman.shipping.records import Recording, Stored, record_of, retired
from pointsman.shipping.ship import Shipping
from pointsman.state.documents import Record, moment, read_record
from pointsman.state.message import check_value
from pointsman.state.names import Target
from pointsman.state.paths import folded
from pointsman.values import (
    ArtifactType,
    BlobOutcome,
    CommitId,
    PullRequest,
    ShippedTarget,
    TargetName,
    ToldFault,
    Version,
    told,
)
from pointsman.workspace import Workspace


class Request(Struct, frozen=True):
    """What to take over. `registry`: the URL that has `current/` and `records/`; default: that of the serving
    template. `blobs`: where the blobs stand, whatever the URIs in the registry say."""

    registry: str | None = None
    blobs: str | None = None
    run: str = ""
    reship: bool = False
    dry_run: bool = False


class Taken(Struct, frozen=True):
    """One version that can be taken over: its blob, its record, and what stands where the blob is to be put."""

    verified: Verified
    record: Record
    stored: Stored


AdoptOutcome = Literal["opened", "updated", "unchanged", "merged", "superseded", "dry-run", "moved-first", "left"]


class AdoptedTarget(Struct, frozen=True):
    """What became of one target."""

    target: TargetName
    outcome: AdoptOutcome
    pull_request: PullRequest | None
    commit: CommitId | None
    faults: Annotated[Sequence[ToldFault], "why the target was left"]
    says: Annotated[str | None, "of targets whose pull request lost every race"] = None


class AdoptedArtifact(Struct, frozen=True):
    """One version that was verified."""

    uri: Annotated[str, "where the canonical blob belongs"]
    from_: Annotated[str, "where the old blob stands"]
    target: TargetName
    type: ArtifactType
    version: Version
    blob: BlobOutcome
    recorded: Annotated[bool, "whether main has its record now"]


class Adopted(Struct, frozen=True):
    """What was taken over of a registry, and what was left."""

    from_: Annotated[str, "the URL of the registry"]
    targets: Sequence[AdoptedTarget]
    artifacts: Annotated[Sequence[AdoptedArtifact], "every version that was verified"]
    faults: Annotated[Sequence[ToldFault], "what was left beside the current versions of targets"]


def adopt(workspace: Workspace, request: Request) -> Outcome[Adopted]:
    """Put canonical blobs, land records and open one pull request for every target that verifies.

    Exit 5 if something was left and something not, 1 if nothing verifies. Problem, with nothing written, if there is
    no registry, or if the old blobs stand where the canonical ones belong.
    """
    if request.run:
        check_value(request.run, "--run")
    repo, progress = workspace.repo, workspace.progress
    main = repo.refresh()
    base = Snapshot(repo, main)
    settings, types = workspace.gate.settings(base), load_types(base)
    require_mounted(workspace.gate.documents, base, settings)
    where = request.registry or recsys_registry.url_beside(settings)
    registry = recsys_registry.read_registry(where, settings.access, request.blobs)
    progress(f"read {len(registry.current)} manifests and {len(registry.notes)} records at {where}")
    _part_twins(base, registry)
    believed = sorted(slot for slot in registry.places if slot not in registry.wrong)
    verdicts = recsys_registry.verify(registry, believed, settings.access, types, settings.artifact_bytes, progress)
    recording = Recording(workspace, settings)
    taken = _taken(recording, settings, registry, verdicts, request.run, moment(workspace.clock()))
    wants, unchanged = _wants(workspace, settings, registry, taken)
    note = f"Adopted from {where}."
    terms = Terms("pointsman adopt …", ShipOptions(run=request.run, reship=request.reship), together=True, note=note)
    at_hand = {each.verified.source.artifact.version: each.verified.source.payload for each in taken.values()}
    shipping = Shipping(workspace, settings, terms, at_hand)
    wants = _settle(shipping, registry, wants)
    blobs: list[BlobOutcome] = [None] * len(taken)
    if request.dry_run:
        shipped = shipping.preview(wants)
    else:
        shipping.prepare(wants)
        sources = [each.verified.source for each in taken.values()]
        blobs = _put(recording, sources, [each.stored for each in taken.values()])
        recording.records([each.record for each in taken.values()], run=request.run, note=note)
        shipping.notes += recording.own_store() if taken else []
        if lost := recording.put_missing(sources):
            raise Refused([fault for _, fault in lost])
        shipping.close_merged(set(unchanged))
        shipped = _ship(shipping, registry, wants)
    targets = list(map(_adopted, shipped))
    targets += [_told(target, "unchanged", main) for target in unchanged]
    targets += [_told(target, "left", None, faults) for target, faults in registry.left.items()]
    faults = _once_each({*registry.faults, *(fault for each in registry.wrong.values() for fault in each)})
    artifacts = _artifacts(Snapshot(repo, repo.main), taken, blobs)
    adopted = Adopted(where, sorted(targets, key=lambda each: each.target), artifacts, list(map(told, faults)))
    code = 0 if not faults and not registry.left else 5 if taken else 1
    return Outcome(adopted, 4 if any(each.says for each in targets) else code, tuple(shipping.notes))


def _put(recording: Recording, sources: Sequence[Source], stored: Sequence[Stored]) -> list[BlobOutcome]:
    """Store the blobs; Refused if the store has other bytes since it was asked."""
    put = recording.put(sources, stored)
    if wrong := [each for each in put if isinstance(each, Fault)]:
        raise Refused(wrong)
    return [each for each in put if not isinstance(each, Fault)]


def _artifacts(main: Snapshot, taken: Mapping[Slot, Taken], blobs: Sequence[BlobOutcome]) -> list[AdoptedArtifact]:
    return [
        AdoptedArtifact(
            uri=each.record.uri,
            from_=each.verified.source.path,
            target=str(slot.target),
            type=slot.type,
            version=slot.version,
            blob=blob,
            recorded=main.entry(each.record.path) is not None,
        )
        for (slot, each), blob in zip(taken.items(), blobs, strict=True)
    ]


def _adopted(each: ShippedTarget) -> AdoptedTarget:
    assert each.outcome != "refused"
    assert each.outcome != "waits"
    assert each.outcome != "recorded"
    return AdoptedTarget(each.target, each.outcome, each.pull_request, each.commit, [], each.says)


def _told(
    target: Target, outcome: AdoptOutcome, commit: CommitId | None, faults: Iterable[Fault] = ()
) -> AdoptedTarget:
    return AdoptedTarget(str(target), outcome, None, commit, list(map(told, _once_each(faults))))


def _once_each(faults: Iterable[Fault]) -> list[Fault]:
    """In order, each once, and each name that cannot be adopted once, however many files have it."""
    same: dict[tuple[str, str], list[Fault]] = {}
    for fault in sorted(set(faults)):
        same.setdefault((fault.rule, fault.says if fault.rule == "bad-path" else fault.path + fault.says), []).append(
            fault
        )
    return [dataclasses.replace(first, says=f"{first.says}{_more(len(rest))}") for first, *rest in same.values()]


def _more(count: int) -> str:
    return f"; {count} more file{'s have' if count > 1 else ' has'} this name" if count else ""


# judging


def _part_twins(base: Snapshot, registry: Registry) -> None:
    """Leave targets whose tenant or surface differs only in case from one on main, or else from an earlier one here."""
    spelled: dict[str, str] = {}
    targets = sorted({*registry.current, *(slot.target for slot in registry.places)})
    ours = {folded(target.tenant) for target in targets}
    for root in ("manifests", "registry"):
        for tenant in base.names(root):
            if folded(tenant) in ours:
                spelled[folded(tenant)] = tenant
                spelled |= {folded(f"{tenant}/{name}"): f"{tenant}/{name}" for name in base.names(f"{root}/{tenant}")}
    for target in targets:
        for name in (target.tenant, str(target)):
            twin = spelled.setdefault(folded(name), name)
            if twin != name:
                says = f"a clone on macOS or Windows would merge {name} with {twin}, which differs only in case"
                _leave(registry, target, Fault(target.manifest_path, "case-collision", f"{says}: rename it"))
                break


def _leave(registry: Registry, target: Target, fault: Fault) -> None:
    """Leave a target, and every version of it."""
    if target in registry.current:
        registry.left.setdefault(target, []).append(fault)
    else:
        registry.faults.append(fault)
    for slot in [slot for slot in registry.places if slot.target == target]:
        del registry.places[slot]


def _taken(
    recording: Recording,
    settings: Settings,
    registry: Registry,
    verdicts: Mapping[Slot, Verified | list[Fault]],
    run: str,
    now: str,
) -> dict[Slot, Taken]:
    """What can be taken over; why the rest cannot is noted in the registry."""
    verified: dict[Slot, Verified] = {}
    for slot, verdict in verdicts.items():
        if isinstance(verdict, Verified):
            verified[slot] = verdict
        else:
            registry.wrong[slot] = verdict
    taken, base = {}, Snapshot(recording.repo, recording.repo.main)
    most = recsys_registry.MOST_TIMES_LARGER * settings.artifact_bytes  # an old blob may stand there, indented
    stored = recording.stored([each.source for each in verified.values()], most=most)
    for (slot, each), there in zip(verified.items(), stored, strict=True):
        record = record_of(each.source, settings, run, now)
        if isinstance(there, tuple) and there[1] == each.sha256 != slot.version:
            raise Problem(
                f"the old blob stands where the canonical one belongs ({record.uri}), and is not to be overwritten: "
                "give [store] url in pointsman.toml another place, and leave [serving] manifest as it is"
            )
        fault = retired(base, each.source) or recording.altered(each.source, there) or _unfit(record, settings)
        if fault is not None:
            registry.wrong[slot] = [fault]
        else:
            taken[slot] = Taken(each, record, there)
    for target, slots in registry.current.items():
        faults = [fault for slot in slots for fault in registry.wrong.pop(slot, ())]
        faults += _blend(target, {slot.type: taken[slot].record.segment for slot in slots if slot in taken})
        if faults:
            registry.left.setdefault(target, []).extend(faults)
    return dict(sorted(taken.items()))


def _unfit(record: Record, settings: Settings) -> Fault | None:
    """Why a record could not stand on main."""
    data = record.render()
    if len(data) > settings.state_file_bytes:
        limit = f"the limit is {settings.state_file_bytes} ([limits] state_file_bytes)"
        return Fault(record.uri, "too-large", f"its record would have {len(data)} bytes, {limit}")
    read = read_record(data, record.uri)
    return read[0] if isinstance(read, list) else None


def _blend(target: Target, segments: Mapping[str, str]) -> list[Fault]:
    """recsys-pipelines has one slot of a type for all segments: the last one published has it, type by type."""
    if len(set(segments.values())) < 2:
        return []
    each = ", ".join(f"{slot}: {segment or 'none'}" for slot, segment in sorted(segments.items()))
    says = f"its types come from several segments ({each}), which nobody chose: publish the artifacts of one of them"
    return [Fault(target.manifest_path, "segment-changed", says)]


def _wants(
    workspace: Workspace, settings: Settings, registry: Registry, taken: Mapping[Slot, Taken]
) -> tuple[list[Want], list[Target]]:
    """What each believed target shall have, and the targets that need nothing: main has this, or had it before."""
    repo, gate = workspace.repo, workspace.gate
    base = Snapshot(repo, repo.main)
    wants, unchanged = [], []
    for target, slots in sorted(registry.current.items()):
        if target in registry.left:
            continue
        uris = {slot.type: settings.uri(target, slot.type, slot.version) for slot in slots}
        now = gate.documents.manifest(base, target)
        has = now is not None and uris.items() <= now.current.items()
        if has and (faults := gate.faults_of_current(repo.main, target)):
            registry.left[target] = list(faults)  # main has these versions, but in a manifest that sync will not serve
        elif has or _moved_on(gate.lineage(repo.main, target), {slot.type: slot.version for slot in slots}):
            unchanged.append(target)
        else:
            wants.append(Want(target, {slot.type: taken[slot].record for slot in slots}))
    return wants, unchanged


def _moved_on(lineage: Lineage, versions: Mapping[str, str]) -> bool:
    """Whether main has a manifest of a target that is not this one, and had this one before: it was adopted once."""
    states = (step.versions for step in lineage)
    current = next(states, {})
    if not current or versions.items() <= current.items():
        return False
    return any(versions.items() <= earlier.items() for earlier in states)


def _settle(shipping: Shipping, registry: Registry, wants: Sequence[Want]) -> list[Want]:
    """Those that may become current, all together; the others are left with the rule that stops them."""
    waiting = shipping.judge(wants)
    for target, faults in waiting.items():
        registry.left.setdefault(target, []).extend(faults)
    return without(wants, waiting)


def _ship(shipping: Shipping, registry: Registry, wants: list[Want]) -> list[ShippedTarget]:
    """One pull request; again without those that were refused because main moved meanwhile."""
    outcomes = shipping.ship(wants)
    for each in outcomes:
        if each.outcome == "waits":
            left = registry.left.setdefault(Target.parse(each.target), [])
            left += [Fault(fault.path, fault.rule, fault.says) for fault in each.faults or ()]
    return [each for each in outcomes if each.outcome != "waits"]


# what is said of it
