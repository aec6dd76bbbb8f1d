"""What is in a store, held against what main records: one listing, each key once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pointsman.progress import Progress
from pointsman.retention.recorded import Recorded, State
from pointsman.retention.trash import TRASH, Slot, read_place, slot_of
from pointsman.state.names import NAME, VERSION
from pointsman.store.base import Listed, Store

_OURS = ".pointsman/"
# What recsys-pipelines writes beside the blobs: a record keeps its version, a pointer is read with those of serving.
_PIPELINES = re.compile(rf"registry/(?:records/{NAME}/{NAME}/{NAME}/({VERSION})\.json|current/.*)", re.DOTALL)
_BLOB = re.compile(rf"/{VERSION}\.json")
_STEP = 5000  # objects between two words about progress


@dataclass(frozen=True, slots=True)
class Stored:
    """A blob as it was listed."""

    key: str
    size: int
    written: float  # seconds since 1970, by the store's clock

    @property
    def slot(self) -> Slot:
        found = slot_of(self.key)
        assert found is not None
        return found

    @property
    def version(self) -> str:
        return self.key[-69:-5]


@dataclass
class Survey:
    """Counts and sizes of what there is. `orphans` and `retired` may go as far as main tells, and are old enough."""

    listed: int = 0  # blobs
    known: int = 0  # those among them of targets that have a record
    live: int = 0
    live_bytes: int = 0
    young: int = 0  # blobs that no record names, and that may be of a publish that goes on
    unknown: int = 0  # objects that are never touched, because nothing tells whose they are
    orphans: list[Stored] = field(default_factory=list)
    retired: list[Stored] = field(default_factory=list)
    trash: list[Listed] = field(default_factory=list)
    pipelines: set[str] = field(default_factory=set)  # versions that records of recsys-pipelines name
    of_unknown_targets: int = 0  # blobs among the unknown


def survey(
    store: Store, recorded: Sequence[Recorded], targets: Iterable[str], oldest: float, progress: Progress
) -> Survey:
    """List a store once. `recorded`: of each repository that counts. `targets`: those that may have a record.

    Blobs that were written after `oldest`, seconds since 1970, are left alone.
    """
    found, may_have = Survey(), frozenset(targets)
    waiting: dict[str, list[Stored]] = {}  # target → orphans, while nobody knows yet whether it has a record
    known: dict[str, int] = {}
    ask = recorded[0].ask
    directory, target = "", ""  # of the last blob; "" for a directory in which no blob can be
    for count, each in enumerate(store.objects("")):
        if count % _STEP == 0:
            progress.counted("objects listed", count, None)
        key = each.key
        if key[:-70] != directory or not directory:
            directory = key[:-70]
            slot = slot_of(key)
            target = f"{slot[0]}" if slot is not None else ""
        if not target or each.size is None or not _BLOB.fullmatch(key, len(directory)):
            _no_blob(found, each)
            directory = ""
            continue
        found.listed += 1
        if target not in may_have:
            found.unknown += 1
            found.of_unknown_targets += 1
            continue
        known[target] = known.get(target, 0) + 1
        state = ask(directory, key[-69:-5])
        if state.record and not state.tombstone:
            found.live += 1
            found.live_bytes += each.size
        else:
            states = [state, *(every.ask(directory, key[-69:-5]) for every in recorded[1:])]
            _sort(found, waiting.setdefault(target, []), Stored(key, each.size, each.written), states, oldest)
    _settle(found, recorded, waiting, known)
    return found


def _sort(found: Survey, orphans: list[Stored], blob: Stored, states: Sequence[State], oldest: float) -> None:
    records = [state for state in states if state.record]
    if any(not state.tombstone for state in records) or (records and blob.written > oldest):
        found.live += 1
        found.live_bytes += blob.size
    elif blob.written > oldest:
        found.young += 1
    elif records:
        found.retired.append(blob)
    else:
        orphans.append(blob)


def _settle(
    found: Survey, recorded: Sequence[Recorded], waiting: Mapping[str, list[Stored]], known: Mapping[str, int]
) -> None:
    """Only the targets of the first repository are its own to collect, and only those that have a record."""
    for every in recorded:
        every.finish()
    for target, count in known.items():
        if target in recorded[0].targets:
            found.known += count
            found.orphans += waiting.get(target, ())
        else:
            found.unknown += len(waiting.get(target, ()))
            found.of_unknown_targets += len(waiting.get(target, ()))


def _no_blob(found: Survey, each: Listed) -> None:
    """Count what is ours and no blob, and what is somebody else's."""
    if each.key.startswith(_OURS):
        if each.key.startswith(TRASH) and read_place(each.key) is not None:
            found.trash.append(each)
        return
    pipelines = _PIPELINES.fullmatch(each.key)
    if pipelines is None:
        found.unknown += 1
    elif pipelines[1]:
        found.pipelines.add(pipelines[1])
