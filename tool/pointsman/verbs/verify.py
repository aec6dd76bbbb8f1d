"""`verify`: read stored blobs again, whole, and hold their bytes against their names and records."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Annotated, NamedTuple

import msgspec

from pointsman.errors import Blocked, Fault, Problem, Unreachable
from pointsman.gate.documents import Documents
from pointsman.gate.unmounted import require_mounted
from pointsman.history.events import unknown
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.settings import Settings
from pointsman.state.names import Target, is_name, is_version
from pointsman.store.processes import cores, in_processes
from pointsman.struct import struct
from pointsman.values import Count, ToldFault, told
from pointsman.workspace import Workspace

_BATCH = 1024  # records read before their blobs are; memory follows this, not the number of blobs
_MANY = 2048  # from so many blobs on, reading them is shared by several processes
_Slot = tuple[Target, str, str]  # target, type, version


@dataclass(frozen=True, slots=True)
class Choice:
    """Which blobs: those that are current, or `every` recorded one; of these one shard (i, n), of that a sample."""

    every: bool = False
    sample: int | None = None
    shard: tuple[int, int] = (1, 1)


@struct(frozen=True)
class Verified:
    """What was read again, and what of it is not as it should be."""

    blobs: Annotated[Count, "how many were read"]
    bytes: Annotated[Count, "of all that were read"]
    faults: Sequence[ToldFault]


def read_shard(text: str) -> tuple[int, int]:
    """The i and n of "i/n"; Problem unless 1 ≤ i ≤ n."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise Problem(f"not a shard: {text!r} (write I/N, such as 1/4 for the first of four)")
    return int(found[1]), int(found[2])


def verify(workspace: Workspace, targets: Sequence[Target], choice: Choice) -> Outcome[Verified]:
    """Hash the chosen blobs of the targets named, of all without any. Exit 1 if one is missing or altered."""
    repo, progress = workspace.repo, workspace.progress
    head = Snapshot(repo, repo.refresh())
    gate, settings = workspace.gate, head.settings()
    require_mounted(gate.documents, head)
    known = sorted(_targets(head))
    for target in targets:
        if target not in known:
            raise Problem(unknown(target, [str(each) for each in known]))
    slots = _chosen(_slots(gate.documents, head, sorted(set(targets)) or known, choice), choice)
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
    return Outcome(Verified(blobs, size, list(map(told, faults))), 1 if faults else 0)


class _Part(NamedTuple):
    """What one process read."""

    blobs: int
    size: int
    faults: list[Fault]
    blocked: list[Fault]  # what cannot be read


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
                blocked.append(Fault(slot[0].record_path(*slot[1:]), "blocked", str(blob)))
                continue
            blobs, size = blobs + 1, size + ((blob.size if blob is not None else 0) or 0)
            faults += _judge(slot, record, (blob.size, blob.sha256) if blob is not None else None)
        progress.counted("blobs read", blobs, None)
    return _Part(blobs, size, faults, blocked)


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
    elif blob[0] is None:
        yield Fault(path, "blob-missing", f"no blob at {record.uri}: publish its artifact again")
    elif blob[1] != version:
        says = f"the bytes at {record.uri} are not those of its version: the store was altered, restore it"
        yield Fault(path, "blob-altered", says)
    elif blob[0] != record.size:
        says = f"the blob at {record.uri} is right and has {blob[0]} bytes, but the record says {record.size}"
        yield Fault(path, "blob-missing", says)
