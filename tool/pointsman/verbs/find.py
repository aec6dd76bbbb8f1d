"""Find: which stored versions hold an id, current, retired or in the trash. It reads every blob and writes nothing.

Ids are personal data: they are in what it returns, and in no commit, branch, progress line or problem.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Annotated, Literal

from msgspec import Struct

from pointsman.artifact.holding import place_of
from pointsman.errors import Problem, Unreachable
from pointsman.files import read_file, why
from pointsman.gate import blob_cache
from pointsman.gate.unmounted import require_mounted
from pointsman.history.versions import recorded
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.retention import finding
from pointsman.state.names import Target, is_name
from pointsman.state.paths import is_target
from pointsman.values import ArtifactType, Count, TargetName, Version
from pointsman.workspace import Workspace

_MOST = 1 << 26  # bytes of a file of ids
_MANY = 256  # from so many records on, reading the blobs is shared by several processes
STDIN = "-"

State = Annotated[
    Literal["recorded", "retired", "trash", "unrecorded"],
    "trash: it was taken, gc can still put it back; unrecorded: main has no record of it",
]


class Request(Struct, frozen=True):
    """What to look for: ids, and files with one id a line ("-" is standard input); in one shard (i, n)."""

    ids: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    shard: tuple[int, int] = (1, 1)


class FoundWindow(Struct, frozen=True):
    """The window of an artifact, as its blob says it."""

    start: str
    end: str


class FoundVersion(Struct, frozen=True):
    """One blob that holds an id."""

    id: str
    target: TargetName
    type: ArtifactType
    version: Version
    window: Annotated[FoundWindow | None, "null: the blob does not say it"]
    current: Annotated[bool, "the manifest on main points to it"]
    state: State
    uri: Annotated[str, "where its bytes are"]


class NotRead(Struct, frozen=True):
    """A blob, or a whole store, of which nobody knows what is in it."""

    uri: str
    why: str


class Finding(Struct, frozen=True):
    """What was found, and what could not be looked into."""

    read: Annotated[Count, "blobs that were read"]
    bytes: Annotated[Count, "of all that were read"]
    found: Sequence[FoundVersion]
    unread: Annotated[Sequence[NotRead], "what could not be read"]
    others: Annotated[Count, "objects in the stores that are no blobs, such as serving pointers: not looked into"]


def find(workspace: Workspace, request: Request) -> Outcome[Finding]:
    """Look into every blob of the stores for the ids. Exit 5 if some could not be read; Unreachable if none could."""
    ids = read_ids(request)
    head = Snapshot(workspace.repo, workspace.repo.refresh())
    found = look(workspace, head, ids, request.shard)
    return Outcome(found, 5 if found.unread else 0)


def look(workspace: Workspace, head: Snapshot, ids: Sequence[str], shard: tuple[int, int] = (1, 1)) -> Finding:
    """What the stores have of the ids, by the records and tombstones of one commit of main."""
    gate, settings = workspace.gate, workspace.gate.settings(head)
    require_mounted(gate.documents, head, settings)
    some = len(list(islice(recorded(head), _MANY)))
    workspace.repo.git.close()  # each process reads objects through a git of its own
    own_type = partial(gate.documents.own_type, base=head)
    many, expected = some == _MANY, some > 0
    seen = finding.find(settings, ids, own_type, workspace.progress, shard, many=many, expected=expected)
    if seen.unread and not seen.read:
        first = seen.unread[0]
        raise Unreachable(first.why if first.uri in first.why else f"{first.uri}: {first.why}")
    workspace.progress(f"read {seen.read} blobs, {seen.bytes} bytes")
    drop_erased(workspace, head)
    told = [each for found in seen.found for each in _told(workspace, head, found)]
    unread = [NotRead(each.uri, each.why) for each in seen.unread]
    return Finding(seen.read, seen.bytes, sorted(told, key=lambda each: each.id), unread, seen.others)


def _told(workspace: Workspace, head: Snapshot, found: finding.Found) -> list[FoundVersion]:
    target, slot, version = found.target, found.type, found.version
    state: State = "recorded"
    if found.in_trash:
        state = "trash"
    elif head.entry(target.tombstone_path(slot, version)) is not None:
        state = "retired"
    elif head.entry(target.record_path(slot, version)) is None:
        state = "unrecorded"
    manifest = workspace.gate.documents.manifest(head, target)
    current = manifest is not None and manifest.versions.get(slot) == version
    window = FoundWindow(*found.held.window) if found.held.window is not None else None
    return [
        FoundVersion(each, str(target), slot, version, window, current, state, found.uri) for each in found.held.ids
    ]


def drop_erased(workspace: Workspace, head: Snapshot) -> None:
    """Drop from the cache of blobs what main has a tombstone of by which it is to be erased.

    What is damaged or unfinished goes, too: nobody could say what is in it, and it is of no use.
    """
    documents = workspace.gate.documents
    blob_cache.drop_unfinished()
    for version in blob_cache.versions():
        data = blob_cache.peek(version)
        place = place_of(data) if data is not None else None
        if place is None or not (is_target(*place[:2]) and is_name(place[2])):
            blob_cache.forget(version)
            continue
        tombstone = documents.tombstone(head, Target(*place[:2]), place[2], version)
        if tombstone is not None and tombstone.erase:
            blob_cache.forget(version)


def read_ids(request: Request) -> list[str]:
    """The ids that were asked for, each once. Problem if there is none, or one cannot be read; it quotes no id."""
    found = [each for each in request.ids if each != STDIN]
    files = [*request.files, *(STDIN for each in request.ids if each == STDIN)]
    for name in dict.fromkeys(files):
        found += _read(name)
    if not found and files:
        raise Problem(f"no id is in {' or '.join('standard input' if each == STDIN else each for each in files)}")
    if not any(found):
        raise Problem("name an id, or a file with one id a line: pointsman find --from FILE, or - for standard input")
    if "" in found:
        raise Problem("an id is empty: no artifact has such a one")
    return list(dict.fromkeys(found))


def _read(name: str) -> list[str]:
    where = "standard input" if name == STDIN else name
    try:
        data = sys.stdin.buffer.read(_MOST + 1) if name == STDIN else read_file(name, _MOST)
    except OSError as error:
        raise Problem(f"cannot read {where}: {why(error)}") from error
    if len(data) > _MOST:
        raise Problem(f"{where} has more than {_MOST:,} bytes: split it")
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    try:
        return [text for line in lines if (text := line.removesuffix(b"\r").decode())]
    except UnicodeDecodeError as error:
        raise Problem(f"{where} is not UTF-8: write one id a line") from error
