"""What `retire` is to retire: versions that are named, old ones of targets, or those that hold an id."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice

from msgspec import Struct, field

from pointsman.errors import Problem
from pointsman.history.events import unknown
from pointsman.history.targets import choose as choose_targets
from pointsman.history.versions import Recorded, find_versions, recorded_of
from pointsman.repo.snapshot import Snapshot
from pointsman.state.message import check_value
from pointsman.state.names import Pattern, Target
from pointsman.state.times import HOW_LONG, duration
from pointsman.verbs import find
from pointsman.workspace import Workspace

_BATCH = 1024  # records that are read together


class Request(Struct, frozen=True, kw_only=True):
    """What to retire: `versions` by their first digits, or of `targets` what is `older_than`, or what holds ids of the
    file `holding`. Problem, when it is made, if these do not fit together.

    `keep`: so many of the newest versions of each type stay, whatever their age.
    """

    versions: tuple[str, ...] = ()
    targets: tuple[Target | Pattern, ...] = ()
    older_than: str = ""
    keep: int = 0
    holding: str = ""
    erase: bool = False
    reason: str = ""
    merge: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.reason:
            check_value(self.reason, "--reason")
        ways = [bool(self.versions), bool(self.targets), bool(self.holding)]
        if sum(ways) != 1:
            raise Problem("name versions, or targets with --older-than, or a file of ids with --holding: one of these")
        if self.targets and not self.older_than:
            raise Problem("say how old a version must be to be retired, such as --older-than 180d")
        if not self.targets and (self.older_than or self.keep):
            raise Problem("--older-than and --keep choose among the versions of targets: name these, or leave them out")
        if self.older_than and duration(self.older_than) is None:
            raise Problem(f"--older-than {self.older_than} is no length of time: {HOW_LONG}")

    @property
    def why(self) -> str:
        """What the tombstones say: the reason that was given, or what chose the versions."""
        if self.reason:
            return self.reason
        if self.holding:
            return "somebody asked for it" if self.erase else "it holds what somebody asked for"
        kept = f", and not of the newest {self.keep}" if self.keep else ""
        return f"older than {self.older_than}{kept}" if self.targets else "it is of no use any more"


class Chosen(Struct):
    """The versions to retire, and what of the finding no tombstone can be of."""

    slots: list[Recorded] = field(default_factory=list)
    kept: int = 0  # as old as asked for, but of the newest
    elsewhere: list[find.FoundVersion] = field(default_factory=list)  # in the trash, or without a record
    unread: Sequence[find.NotRead] = ()


def choose(workspace: Workspace, head: Snapshot, request: Request) -> Chosen:
    """What a request means on one commit of main. Problem if it names what is not there."""
    if request.versions:
        return Chosen(find_versions(head, request.versions))
    return _holding(workspace, head, request) if request.holding else _old(workspace, head, request)


def _holding(workspace: Workspace, head: Snapshot, request: Request) -> Chosen:
    ids = find.read_ids(find.Request(files=(request.holding,)))
    if any(_has_word(request.reason, each) for each in ids):
        raise Problem("--reason has an id of the file in it, and would stand in git for ever: say it without")
    found = find.look(workspace, head, ids)
    chosen = Chosen(unread=found.unread)
    slots = set()
    for each in found.found:
        slot = Recorded(each.version, Target.parse(each.target), each.type)
        if head.entry(slot.target.record_path(slot.slot, slot.version)) is not None:
            slots.add(slot)
        if each.state in ("trash", "unrecorded"):
            chosen.elsewhere.append(each)
    chosen.slots = sorted(slots)
    return chosen


def _has_word(text: str, word: str) -> bool:
    """Whether a word, of any characters, stands in a text and is not a part of a longer one."""
    return word in text and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None


def _old(workspace: Workspace, head: Snapshot, request: Request) -> Chosen:
    before = workspace.now - (duration(request.older_than) or 0)
    chosen = Chosen()
    for target in choose_targets(head, request.targets, more=head.targets("registry")):
        every = list(recorded_of(head, target))
        if not every and target in request.targets:
            raise Problem(unknown(target, [str(each) for each in head.targets("registry")]))
        by_type: dict[str, list[tuple[float, Recorded]]] = {}
        for at, each in _times(workspace, head, every):
            by_type.setdefault(each.slot, []).append((at, each))
        for slots in by_type.values():
            slots.sort(reverse=True)
            chosen.kept += sum(at < before for at, _ in slots[: request.keep])
            chosen.slots += [each for at, each in slots[request.keep :] if at < before]
    return chosen


def _times(workspace: Workspace, head: Snapshot, every: Sequence[Recorded]) -> Iterator[tuple[float, Recorded]]:
    """When each version without a tombstone was recorded, seconds since 1970. A record that cannot be read has none."""
    documents = workspace.gate.documents
    alive = (each for each in every if head.entry(each.target.tombstone_path(each.slot, each.version)) is None)
    while batch := list(islice(alive, _BATCH)):
        documents.read_ahead(head, (each.target.record_path(each.slot, each.version) for each in batch))
        for each in batch:
            record = documents.record(head, each.target, each.slot, each.version)
            if record is not None:
                yield datetime.fromisoformat(record.recorded_at).timestamp(), each
