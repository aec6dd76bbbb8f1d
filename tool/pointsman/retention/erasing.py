"""What is to be erased and still waits: for time, for the merge of its tombstone, or for what still needs it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated

from msgspec import Struct

from pointsman.errors import Problem
from pointsman.gate.documents import retired_by
from pointsman.repo.repository import Repository
from pointsman.retention.collect import Run
from pointsman.retention.look import Party
from pointsman.retention.trash import Slot, slot_of
from pointsman.state.documents import Tombstone, read_tombstone
from pointsman.state.objects import Oid
from pointsman.state.paths import path_kind
from pointsman.store.base import Store
from pointsman.store.parallel import ask_all
from pointsman.values import ArtifactType, Moment, TargetName, Version

_BRANCHES = "refs/heads/retire"


class Erasing(Struct, frozen=True):
    """A version that is to be erased, and whose bytes are still there."""

    target: TargetName
    type: ArtifactType
    version: Version
    until: Annotated[Moment | None, "from when on gc may take it, if only time is missing"]
    branch: Annotated[str | None, "the branch that has its tombstone, which is not merged yet"]
    says: Annotated[str, "why it waits"]


def erasing(store: Store, party: Party, run: Run) -> list[Erasing]:
    """What of a repository waits, in the order of its names."""
    landed = _landed(store, party, run) if run.found.has_tombstones else ()  # the first reads the latest history
    found = {slot: _told(slot, until, None, says) for slot, until, says in landed}
    for slot, branch in _proposed(party):
        found.setdefault(slot, _told(slot, "", branch, "its tombstone is not merged"))
    return [found[slot] for slot in sorted(found)]


def _told(slot: Slot, until: str, branch: str | None, says: str) -> Erasing:
    return Erasing(str(slot[0]), slot[1], slot[2], until or None, branch, says)


def _landed(store: Store, party: Party, run: Run) -> Iterator[tuple[Slot, str, str]]:
    """What main wants erased and this run may not take yet: until when, and why."""
    stones = next(iter(party.stones.values()))
    waits = {}
    for slot in {*stones.fresh(), *filter(None, map(slot_of, run.spared))}:
        verdict = stones.verdict(*slot)
        if verdict is not None and verdict.tombstone is not None and verdict.tombstone.erase:
            waits[slot] = verdict
    versions = {slot[2] for slot in waits}
    known = {each.version for blobs in (run.found.retired, run.found.trash) for each in blobs.of(versions)}
    asked = [slot for slot in waits if slot[2] not in known]  # blobs younger than the grace are not sorted
    sizes = ask_all(lambda slot: store.size(_key(slot)), asked, at_once=store.at_once)
    gone = {slot for slot, size in zip(asked, sizes, strict=True) if size is None}
    for slot, verdict in waits.items():
        if slot not in gone and (says := verdict.why or run.spared.get(_key(slot), "")):
            yield slot, verdict.until, says


def _proposed(party: Party) -> Iterator[tuple[Slot, str]]:
    """What open branches of retire want erased, and main does not yet."""
    repo = party.workspace.repo
    stones = next(iter(party.stones.values()))
    for ref in repo.heads.below(_BRANCHES):
        with contextlib.suppress(Problem):  # the look had read it, and the run is over: what it did is to be told
            for slot in _wanted(repo, repo.heads[ref]):
                landed = stones.verdict(*slot)
                if landed is None or landed.tombstone is None or not landed.tombstone.erase:
                    yield slot, ref.removeprefix("refs/heads/")


def _wanted(repo: Repository, head: Oid) -> list[Slot]:
    """What a branch wants erased."""
    fork = repo.merge_base(repo.main, head)
    changes = repo.differences(fork, head) if fork is not None else ()
    stones = ((each, repo.content(each.new)) for each in changes if path_kind(each.path) == "tombstone")
    read = ((each, read_tombstone(data, each.path)) for each, data in stones if data is not None)
    return [retired_by(each.path) for each, stone in read if isinstance(stone, Tombstone) and stone.erase]


def _key(slot: Slot) -> str:
    return f"{slot[0]}/{slot[1]}/{slot[2]}.json"
