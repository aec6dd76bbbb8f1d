"""`verify`: read stored blobs again, whole, and hold their bytes against their names and records."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Struct

from pointsman.errors import BLOCKED, Blocked, Fault, Problem, Unreachable
from pointsman.gate.documents import Documents
from pointsman.gate.unmounted import require_mounted
from pointsman.history.events import unknown
from pointsman.history.targets import choose
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.retention.repairing import Lost, repair
from pointsman.retention.ripe import Tombstones
from pointsman.settings import Settings
from pointsman.state.documents import Tombstone
from pointsman.state.names import Pattern, Target, is_name, is_version
from pointsman.store.processes import cores, in_processes
from pointsman.values import ArtifactType, Count, Moment, TargetName, ToldFault, Version, told
from pointsman.workspace import Workspace

_BATCH = 1024  # records read before their blobs are; memory follows this, not the number of blobs
_MANY = 2048  # from so many blobs on, reading them is shared by several processes
_Slot = tuple[Target, str, str]  # target, type, version


class Choice(Struct, frozen=True):
    """Which blobs: those that are current, or `every` recorded one; of these one shard (i, n), of that a sample."""

    every: bool = False
    sample: int | None = None
    shard: tuple[int, int] = (1, 1)
    repair_from: str = ""  # a directory or a URL that may have what is missing
    dry_run: bool = False  # say what it has of that, and put nothing back


class GoneVersion(Struct, frozen=True):
    """A version without bytes, as its tombstone allows."""

    target: TargetName
    type: ArtifactType
    version: Version
    retired_at: Moment


class RepairedVersion(Struct, frozen=True):
    """A version whose blob was missing and is back, or would be."""

    target: TargetName
    type: ArtifactType
    version: Version
    uri: str


class Verified(Struct, frozen=True):
    """What was read again, and what of it is not as it should be."""

    blobs: Annotated[Count, "how many were read or should have been; not those that are `retired`"]
    bytes: Annotated[Count, "of all that were read"]
    faults: Sequence[ToldFault]
    retired: Annotated[
        Sequence[GoneVersion], "whose bytes are gone or in the trash, as their tombstones allow: no fault"
    ] = ()
    repaired: Annotated[Sequence[RepairedVersion], "what --repair-from put back, or would put back"] = ()
    dry_run: Annotated[bool, "nothing was put back"] = False


def read_shard(text: str) -> tuple[int, int]:
    """The i and n of "i/n"; Problem unless 1 ≤ i ≤ n."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise Problem(f"not a shard: {text!r} (write I/N, such as 1/4 for the first of four)")
    return int(found[1]), int(found[2])


def verify(workspace: Workspace, targets: Sequence[Target | Pattern], choice: Choice) -> Outcome[Verified]:
    """Hash the chosen blobs of the targets named, of all without any. Exit 1 if one is missing or altered.

    A missing one is no fault if its tombstone is ripe. One without a tombstone is put back if `repair_from` has it.
    """
    repo, progress = workspace.repo, workspace.progress
    source = _url(choice.repair_from) if choice.repair_from else ""
    head = Snapshot(repo, repo.refresh())
    gate, settings = workspace.gate, workspace.gate.settings(head)
    require_mounted(gate.documents, head, settings)
    known = sorted({*_targets(head), *head.targets("manifests")})
    named = choose(head, targets, more=known)
    for target in named:
        if target not in known:
            raise Problem(unknown(target, [str(each) for each in known]))
    asked = sorted(named) or known
    unreadable = (
        [] if choice.every else [fault for target in asked for fault in _unreadable(gate.documents, head, target)]
    )
    slots = _chosen(_slots(gate.documents, head, asked, choice), choice)
    first = list(islice(slots, _MANY))
    parts = cores() if len(first) == _MANY else 1
    everything = chain(first, slots)

    def look(part: int) -> _Part:
        return _look(workspace, head, settings, (slot for slot in everything if _part(slot, parts) == part))

    repo.git.close()  # each process reads objects through a git of its own
    found = in_processes(look, parts)
    blocked = [fault for part in found for fault in part.blocked]
    faults = sorted([*blocked, *(fault for part in found for fault in part.faults)])
    blobs, size = sum(part.blobs for part in found), sum(part.size for part in found)
    if blocked and not blobs:
        raise Unreachable(blocked[0].says)
    progress(f"read {blobs} blobs, {size} bytes")
    lost = [lost for part in found for lost in part.lost]
    repaired, unrepaired = _repaired(workspace, source, lost, dry_run=choice.dry_run)
    faults = sorted([*faults, *unrepaired, *unreadable])
    gone = sorted(
        (gone for part in found for gone in part.gone), key=lambda each: (each.target, each.type, each.version)
    )
    value = Verified(blobs, size, list(map(told, faults)), gone, repaired, choice.dry_run)
    return Outcome(value, 1 if faults else 0)


def _repaired(
    workspace: Workspace, source: str, lost: Sequence[Lost], *, dry_run: bool
) -> tuple[list[RepairedVersion], list[Fault]]:
    """What is put back of what is missing, and the faults of the rest."""
    if not lost:
        return [], []
    head = Snapshot(workspace.repo, workspace.repo.refresh())
    retired = {each for each in lost if head.entry(each.target.tombstone_path(each.type, each.version)) is not None}
    wanted = [each for each in lost if source and each not in retired]
    repairs = repair(workspace.gate.settings(head), source, wanted, dry_run=dry_run) if wanted else []
    tried = {each.lost: each.why for each in repairs}
    back = [RepairedVersion(str(each.target), each.type, each.version, each.uri) for each in tried if not tried[each]]
    left = [each for each in lost if tried.get(each) != ""]
    paths = [each.target.record_path(each.type, each.version) for each in left]
    stones = {each: workspace.gate.documents.tombstone(head, each.target, each.type, each.version) for each in retired}
    says = [
        f"no blob at {each.uri}: {_mend(tried.get(each), stones.get(each), retired=each in retired)}" for each in left
    ]
    return back, [Fault(path, "blob-missing", why) for path, why in zip(paths, says, strict=True)]


def _mend(tried: str | None, stone: Tombstone | None, *, retired: bool) -> str:
    """What to do about a blob that is missing. `stone`: the tombstone of one that is `retired`, if it can be read."""
    if stone is not None and stone.erase:
        return "its tombstone does not allow that yet: find out who deleted it. It was to be erased, so it stays away"
    if retired:
        return (
            "its tombstone does not allow that yet: find out who deleted it. To have it back, revert its tombstone by "
            "a pull request; then pointsman gc --restore puts it back from the trash"
        )
    if tried:
        return f"{tried}: publish its artifact again"
    return (
        "pointsman gc --restore puts it back if it is in the trash; else publish its artifact again, or name a place "
        "that has it with --repair-from"
    )


def _url(source: str) -> str:
    """The URL of a directory, or the URL itself. Problem for a directory that is not there."""
    url = source.rstrip("/") if "://" in source else f"file://{os.path.abspath(source)}"
    if url.startswith("file://") and not os.path.isdir(url.removeprefix("file://")):
        raise Problem(f"--repair-from: there is no directory {url.removeprefix('file://')}")
    return url


class _Part(NamedTuple):
    """What one process read."""

    blobs: int
    size: int
    faults: list[Fault]
    blocked: list[Fault]  # what cannot be read
    lost: list[Lost]  # what is missing, and no tombstone allows that
    gone: list[GoneVersion]


def _part(slot: _Slot, parts: int) -> int:
    """Which process reads a blob. By other digits than those of a shard, which all its blobs have in common."""
    return int(slot[2][8:16], 16) % parts


class _Said(msgspec.Struct, frozen=True):
    """What a record says of its blob. Whether all else in it is in order, `check` tells."""

    uri: str
    size: int  # bytes


_read_said = msgspec.json.Decoder(_Said).decode


def _look(workspace: Workspace, head: Snapshot, settings: Settings, slots: Iterator[_Slot]) -> _Part:
    """Read these blobs, as many at a time as memory allows."""
    gate, progress = workspace.gate, workspace.progress
    blobs = size = 0
    faults: list[Fault] = []
    blocked: list[Fault] = []
    lost: list[Lost] = []
    gone: list[GoneVersion] = []
    tombstones = Tombstones(gate, head.commit or workspace.repo.main, workspace.now)
    while batch := list(islice(slots, _BATCH)):
        gate.documents.read_ahead(head, (target.record_path(slot, version) for target, slot, version in batch))
        records = {slot: _said(head, slot) for slot in batch}
        own = {
            slot: record.uri
            for slot, record in records.items()
            if record is not None and record.uri in settings.places(*slot)
        }
        found = gate.blobs.tries(settings, dict.fromkeys(own.values(), True))
        for slot, record in records.items():
            blob = found.get(own.get(slot, ""))
            if isinstance(blob, Blocked):
                blocked.append(Fault(slot[0].record_path(*slot[1:]), BLOCKED, str(blob)))
                continue
            missing = record.uri if record is not None and blob is not None and blob.size is None else None
            if missing is not None and (at := _retired_at(tombstones, slot)) is not None:
                gone.append(GoneVersion(str(slot[0]), slot[1], slot[2], at))
                continue
            blobs, size = blobs + 1, size + ((blob.size if blob is not None else 0) or 0)
            if missing is not None:
                lost.append(Lost(*slot, missing))
                continue
            faults += _judge(slot, record, (blob.size, blob.sha256) if blob is not None else None)
        progress.counted("blobs read", blobs, None)
    return _Part(blobs, size, faults, blocked, lost, gone)


def _retired_at(tombstones: Tombstones, slot: _Slot) -> str | None:
    """When a version was retired that has no bytes any more; None unless its tombstone allows that."""
    return tombstones.retired_at(*slot) if tombstones.may_be_gone(*slot) else None


def _said(head: Snapshot, slot: _Slot) -> _Said | None:
    data = head.read(slot[0].record_path(*slot[1:]))
    try:
        return _read_said(data) if data is not None else None
    except msgspec.DecodeError:
        return None


def _targets(head: Snapshot) -> Iterator[Target]:
    for tenant in head.names("registry"):
        if is_name(tenant) and tenant != "schemas":
            yield from (Target(tenant, surface) for surface in head.names(f"registry/{tenant}") if is_name(surface))


def _unreadable(documents: Documents, head: Snapshot, target: Target) -> Iterator[Fault]:
    """The faults of a manifest that does not say which blobs are current: none of them is read again."""
    for fault in documents.unreadable(head, target):
        says = f"it cannot be read ({fault.says}), so what is current is not known and was not verified"
        yield replace(fault, says=f"{says}: run pointsman rollback {target}, or verify with --all")


def _slots(documents: Documents, head: Snapshot, targets: Iterable[Target], choice: Choice) -> Iterator[_Slot]:
    for target in targets:
        if not choice.every:
            manifest = documents.manifest(head, target)
            yield from ((target, slot, version) for slot, version in (manifest.versions if manifest else {}).items())
            continue
        for slot in filter(is_name, head.names(f"registry/{target}")):
            for name in head.files(f"registry/{target}/{slot}"):
                version, _, rest = name.partition(".")
                if rest == "json" and is_version(version):
                    yield target, slot, version


def _chosen(slots: Iterator[_Slot], choice: Choice) -> Iterator[_Slot]:
    """The shard by the version's first digits, so that every machine makes the same; the sample anew each time."""
    place, shards = choice.shard
    mine = (slot for slot in slots if int(slot[2][:8], 16) % shards == place - 1)
    if choice.sample is None:
        return mine
    kept: list[_Slot] = []
    for count, slot in enumerate(mine):
        if count < choice.sample:
            kept.append(slot)
        elif (instead := random.randrange(count + 1)) < choice.sample:
            kept[instead] = slot
    return iter(kept)


def _judge(slot: _Slot, record: _Said | None, blob: tuple[int | None, str | None] | None) -> Iterator[Fault]:
    target, artifact_type, version = slot
    path = target.record_path(artifact_type, version)
    if record is None:
        yield Fault(path, "record-not-landed", "no record that can be read is on main: see pointsman check")
    elif blob is None:
        yield Fault(path, "foreign-uri", f"it points to {record.uri}, where no store of the settings has this version")
    elif blob[1] != version:
        says = f"the bytes at {record.uri} are not those of its version: the store was altered, restore it"
        yield Fault(path, "blob-altered", says)
    elif blob[0] != record.size:
        says = f"the blob at {record.uri} is right and has {blob[0]} bytes, but the record says {record.size}"
        yield Fault(path, "blob-missing", says)
