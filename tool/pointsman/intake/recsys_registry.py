"""The registry that recsys-pipelines wrote: its manifests, its records, and whether its blobs fit them.

    <registry>/current/<tenant>/<surface>/manifest.json              what is served: type → absolute URI of a blob
    <registry>/records/<tenant>/<surface>/<type>/<version>.json      one for each version ever published
    <blobs>/<tenant>/<surface>/<type>/<version>.json                 the artifact, indented, its build filled in

A registry and its blobs may be in different stores: the URIs say where. Everything here only reads. A wrong document is
a fault of one target or one version. A store that cannot be reached is a problem.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from msgspec import Struct, field
from msgspec.structs import replace

from pointsman import artifact
from pointsman.artifact import Artifact
from pointsman.artifact.user_type import UserType
from pointsman.errors import Fault, Problem
from pointsman.intake.staging import Source, unfit
from pointsman.progress import Progress
from pointsman.settings import Settings
from pointsman.state import observed
from pointsman.state.names import Target, is_name, is_version, short
from pointsman.state.store_url import Access, split_url
from pointsman.state.strict_json import shown
from pointsman.state.times import window_instant
from pointsman.store.base import Store
from pointsman.store.open import open_store
from pointsman.store.parallel import ask_all

_POINTERS = "/current/{tenant}/{surface}/manifest.json"
_DOCUMENT_BYTES = 1 << 20  # the most of a manifest or a record
MOST_TIMES_LARGER = 16  # a blob is indented, and may be that many times as large as its canonical payload


class Slot(Struct, frozen=True, order=True):
    """One version of one type of one target."""

    target: Target
    type: str
    version: str

    @property
    def key(self) -> str:
        return self.target.blob_key(self.type, self.version)


class Note(Struct, frozen=True):
    """The segment and the window that a record names. Times are RFC 3339."""

    segment: str
    window_start: str
    window_end: str


class Registry(Struct):
    """The documents of a registry, checked without its blobs."""

    current: dict[Target, tuple[Slot, ...]] = field(default_factory=dict)
    places: dict[Slot, str] = field(default_factory=dict)  # the URL of the store that has the blob
    notes: dict[Slot, Note] = field(default_factory=dict)
    left: dict[Target, list[Fault]] = field(default_factory=dict)  # the faults of wrong manifests
    wrong: dict[Slot, list[Fault]] = field(default_factory=dict)  # the faults of wrong records
    faults: list[Fault] = field(default_factory=list)  # of files with names that are not allowed


class Verified(Struct, frozen=True):
    """A blob that fits its name. `sha256` is the hash of its bytes as stored, indented or not."""

    source: Source
    sha256: str


def url_beside(settings: Settings) -> str:
    """The registry whose manifests stand where serving reads them; Problem if no place of serving is such a one."""
    reached = (place.manifest for place in settings.serving if place.access == settings.access)
    pointers = next((each for each in reached if each.endswith(_POINTERS)), None)
    if pointers is None:
        raise Problem(f"say where the registry is with --from URL: [serving] manifest does not end in {_POINTERS}")
    return pointers.removesuffix(_POINTERS)


def read_registry(url: str, access: Access, blobs: str | None) -> Registry:
    """All manifests and records of a registry. `blobs`: the URL of the store that has the blobs, instead of the URIs'.

    Problem if there is no registry. Memory holds only as many documents as are read at the same time.
    """
    store = open_store(checked_url(url, "--from"), access)
    home = checked_url(blobs, "--blobs") if blobs is not None else None
    found = Registry()
    manifests = [key for key in store.keys("current/", 3) if key.endswith("/manifest.json")]
    records = [key for key in store.keys("records/", 4) if key.endswith(".json")]
    if not manifests and not records:
        says = "it has neither current/<tenant>/<surface>/manifest.json nor records/"
        raise Problem(f"{store.url} is not a registry of recsys-pipelines: {says}; say where it is with --from URL")
    _each(store, manifests, partial(_manifest, found, home))
    _each(store, records, partial(_record, found, home))
    return found


def checked_url(url: str, option: str) -> str:
    """A store's URL from an option or a manifest, without a trailing slash; Problem if it is wrong."""
    try:
        _, rest = split_url(url)
    except Problem as problem:
        raise Problem(f"{option}: {problem}") from problem
    rest = rest.rstrip("/")
    if not rest or re.search(r"[\x00-\x1f\x7f]|//|/\.{1,2}(/|$)", rest):
        raise Problem(f"{option}: {shown(url)} has an empty or dotted part or a control character")
    return url.rstrip("/")


def _each(store: Store, keys: Sequence[str], take: Callable[[str, str, bytes | Fault], None]) -> None:
    """Read documents, and call `take` with the key, the URL and the content of each: a Fault if it is too long."""

    def document(key: str) -> bytes | Fault:
        path = f"{store.url}/{key}"
        if (store.size(key) or 0) > _DOCUMENT_BYTES:
            return Fault(path, "too-large", f"more than {_DOCUMENT_BYTES} bytes: not a file of recsys-pipelines")
        held = store.read(key)
        return held.data if held is not None else b""

    for key, content in zip(keys, ask_all(document, keys, at_once=store.at_once), strict=True):
        take(key, f"{store.url}/{key}", content)


def _target(found: Registry, path: str, tenant: str, surface: str) -> Target | None:
    try:
        return Target(tenant, surface)
    except Problem as problem:
        found.faults.append(Fault(path, "bad-path", str(problem)))
        return None


# manifests


def _manifest(found: Registry, home: str | None, key: str, path: str, content: bytes | Fault) -> None:
    target = _target(found, path, *key.split("/")[1:3])
    if target is None:
        return
    current = _current(content, path, target)
    faults = [current] if isinstance(current, Fault) else []
    slots = []
    for kind, uri in current.items() if not isinstance(current, Fault) else ():
        place = _place(uri, target, kind, path, home)
        if isinstance(place, Fault):
            faults.append(place)
        else:
            slots.append(place[0])
            found.places[place[0]] = place[1]
    found.current[target] = tuple(sorted(slots))
    if faults:
        found.left[target] = faults


def _current(content: bytes | Fault, path: str, target: Target) -> Mapping[str, str] | Fault:
    """Type → URI of a manifest, as recsys-service reads it."""
    read = content if isinstance(content, Fault) else observed.read_pointer(content, target, path)
    if isinstance(read, Fault):
        return dataclasses.replace(
            read, says=f"{read.says}, so recsys-service loads nothing here: write it again, or delete it"
        )
    if not read.current:
        return Fault(path, "schema", "current must name a URI for at least one type: there is nothing to adopt")
    return read.current


def _place(uri: str, target: Target, kind: str, path: str, home: str | None) -> tuple[Slot, str] | Fault:
    """The version that a URI names, and the URL of the store that has it."""
    if not is_name(kind):
        return Fault(path, "bad-path", f"{shown(kind)} is not a name for a type: use letters, digits, '.', '_', '-'")
    root, slash, name = uri.rpartition(f"/{target}/{kind}/")
    version = name.removesuffix(".json")
    if not slash or not is_version(version) or name != f"{version}.json":
        says = f"{kind} points to {_without_credentials(uri)}, which is not <store>/{target}/{kind}/<version>.json"
        return Fault(path, "foreign-uri", f"{says}: publish its artifact with pointsman publish")
    if home is None and re.match(r"file://[^/]", uri):
        says = f"{kind} points to {_without_credentials(uri)}, which is relative to the directory of the pipeline"
        return Fault(path, "foreign-uri", f"{says}: say where the blobs are with --blobs URL")
    try:
        return Slot(target, kind, version), home or checked_url(root, kind)
    except Problem as problem:
        return Fault(path, "foreign-uri", f"{problem}; or say where the blobs are with --blobs URL")


def _without_credentials(uri: str) -> str:
    """A URI for messages. One that may have credentials is not shown."""
    return shown(uri) if uri.startswith("file://") or not re.search("[@?#]", uri) else "a URL with credentials in it"


# records


def _record(found: Registry, home: str | None, key: str, path: str, content: bytes | Fault) -> None:
    _, tenant, surface, kind, name = key.split("/")
    target = _target(found, path, tenant, surface)
    if target is None:
        return
    version = name.removesuffix(".json")
    if not is_name(kind) or not is_version(version):
        says = "not a file of recsys-pipelines: a record is <type>/<version>.json with 64 hex digits; delete it"
        found.faults.append(Fault(path, "bad-path", says))
        return
    slot = Slot(target, kind, version)
    said = _said(content, slot, path, home)
    if isinstance(said, Fault):
        found.wrong[slot] = [said]
        return
    found.notes[slot] = said[0]
    found.places.setdefault(slot, said[1])  # where serving reads it, if it is current


def _said(content: bytes | Fault, slot: Slot, path: str, home: str | None) -> tuple[Note, str] | Fault:
    if isinstance(content, Fault):
        return content
    try:
        document = observed.read_object(content)
        key, window = document.struct("Key"), document.struct("Window")
        if not key.pairs or not window.pairs:
            raise observed.Unread("it has no Key or no Window")
        names = {f"Key.{member}": key.text(member) for member in ("Tenant", "Surface", "Type")}
        names["Version"] = document.text("Version")
        segment, uri = key.text("Segment"), document.text("URI")
        start, end = window.text("Start"), window.text("End")
    except observed.Unread as unread:
        says = f"not a record of recsys-pipelines ({unread}): delete it if its version is not needed"
        return Fault(path, unread.rule, says)
    in_path = (slot.target.tenant, slot.target.surface, slot.type, slot.version)
    for (member, value), name in zip(names.items(), in_path, strict=True):
        if value != name:
            rule = "version-mismatch" if member == "Version" else "wrong-place"
            says = f"$.{member} is {shown(value)}, but the path says {shown(name)}"
            return Fault(path, rule, f"{says}: move the record to its own place, or delete it")
    place = _place(uri, slot.target, slot.type, path, home)
    if isinstance(place, Fault):
        return place
    if place[0] != slot:
        says = f"$.URI names version {short(place[0].version)}, but the record is of version {short(slot.version)}"
        return Fault(path, "version-mismatch", f"{says}: delete it if its version is not needed")
    return Note(segment, start, end), place[1]


# blobs


def verify(
    registry: Registry,
    slots: Iterable[Slot],
    access: Access,
    types: Mapping[str, UserType | Fault],
    limit: int,
    progress: Progress,
) -> dict[Slot, Verified | list[Fault]]:
    """Hash every blob again. Each is verified, or has faults and cannot be adopted. `limit`: the most canonical bytes.

    Memory holds only as many blobs as are read at the same time, so a blob is read again when it is stored.
    """
    by_place: dict[str, list[Slot]] = {}
    for slot in slots:
        by_place.setdefault(registry.places[slot], []).append(slot)
    total = sum(map(len, by_place.values()))
    verdicts: dict[Slot, Verified | list[Fault]] = {}
    for place, there in sorted(by_place.items()):
        store = open_store(place, access)
        ask = partial(_verify, store, registry.notes, types, limit)
        for slot, verdict in zip(there, ask_all(ask, there, at_once=store.at_once), strict=True):
            verdicts[slot] = verdict
            progress(f"{'verified' if isinstance(verdict, Verified) else 'left'} {store.url}/{slot.key}")
            progress.counted("blobs verified", len(verdicts), total)
    return verdicts


def _verify(
    store: Store, notes: Mapping[Slot, Note], types: Mapping[str, UserType | Fault], limit: int, slot: Slot
) -> Verified | list[Fault]:
    path = f"{store.url}/{slot.key}"
    size = store.size(slot.key)
    if size is None:
        return [Fault(path, "blob-missing", "there is no blob here: publish its artifact again, or delete its record")]
    if size > MOST_TIMES_LARGER * limit:
        return [Fault(path, "too-large", f"{size} bytes, the limit is {limit} ([limits] artifact_bytes)")]
    data = _fetch(store, slot.key)
    sha256 = hashlib.sha256(data).hexdigest()
    read = artifact.read(data, path, types=types)
    if isinstance(read, Fault):
        return [read]
    faults = [*unfit(read, path, limit), *_disagreements(read, path, slot, notes.get(slot))]
    if faults:
        return faults
    bare = replace(read, canonical=b"")
    return Verified(Source(path, bare, len(read.canonical), types, partial(_fetch, store, slot.key)), sha256)


def _fetch(store: Store, key: str) -> bytes:
    held = store.read(key)
    if held is None:
        raise Problem(f"{store.url}/{key} was deleted while it was read: run the command again")
    return held.data


def _disagreements(read: Artifact, path: str, slot: Slot, note: Note | None) -> Iterable[Fault]:
    if read.version != slot.version:
        says = f"the name says version {short(slot.version)}, but the content has version {short(read.version)}"
        yield Fault(path, "version-mismatch", f"{says}: the blob was altered, publish its artifact again")
    for what, here, there in (
        ("tenant", read.tenant, slot.target.tenant),
        ("surface", read.surface, slot.target.surface),
        ("type", read.type, slot.type),
        ("segment", read.segment, note.segment if note is not None else read.segment),
    ):
        if here != there:
            other = "its record" if what == "segment" else "its path"
            says = f"the artifact says {what} {shown(here)}, but {other} says {shown(there)}"
            yield Fault(path, "wrong-place", f"{says}: publish its artifact again")
    if note is None:
        return
    for what, here, there in (
        ("start", read.window_start, note.window_start),
        ("end", read.window_end, note.window_end),
    ):
        if window_instant(here) != window_instant(there):
            says = f"the artifact says window {what} {shown(here)}, but its record says {shown(there)}"
            yield Fault(path, "wrong-place", f"{says}: publish its artifact again")
