"""Reads state documents from git: manifests, records, tombstones, holds, schemas and settings. Judges nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from pointsman.errors import Fault, Problem
from pointsman.repo.history import LATELY
from pointsman.repo.origin import MAIN
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot, versions_in
from pointsman.rules.evidence import Document, State
from pointsman.settings import SETTINGS_PATH, Settings, read_settings
from pointsman.state.documents import (
    HOLD_ON_ALL,
    Hold,
    Manifest,
    Record,
    Signed,
    Tombstone,
    read_approval,
    read_evidence,
    read_hold,
    read_manifest,
    read_record,
    read_tombstone,
)
from pointsman.state.names import Target
from pointsman.state.objects import PLAIN_FILE, TREE, Change, Entry, Oid
from pointsman.state.paths import path_kind, target_of

if TYPE_CHECKING:
    from pointsman.artifact.user_type import UserType

_LARGEST_READ = 1 << 24  # bytes; no setting raises it. The rule too-large has its own limit, in [limits]
_DOCUMENTS_CACHED = 1 << 15  # five for each of 5,000 targets that are published together: some 30 MB
_READERS: Mapping[str, Any] = {
    "manifest": read_manifest,
    "record": read_record,
    "tombstone": read_tombstone,
    "hold": read_hold,
    "evidence": read_evidence,
    "approval": read_approval,
}


class Documents:
    """Reads the documents of one repository, each content once."""

    def __init__(self, repo: Repository) -> None:
        self.repo = repo
        self._settings: dict[str, Settings] = {}
        self._values: dict[tuple[str, Oid], State | list[Fault]] = {}  # (path, id of the content) → the document

    # settings

    def settings(self, snapshot: Snapshot) -> Settings:
        """The settings at a commit; Problem if there are none or they are wrong."""
        entry = snapshot.entry(SETTINGS_PATH)
        key = entry.oid if entry else ""
        if key not in self._settings:
            self._settings[key] = snapshot.settings()
        return self._settings[key]

    def settings_then(self, base: Snapshot, head: Snapshot) -> Settings:
        """The settings before an old commit. If they cannot be read: those after it, else those of main now."""
        wrong = None
        for snapshot in (base, head, Snapshot(self.repo, self.repo.heads.get(MAIN))):
            try:
                return self.settings(snapshot)
            except Problem as error:
                wrong = wrong or error
        assert wrong is not None
        raise wrong

    # one document of a snapshot

    def manifest(self, snapshot: Snapshot, target: Target) -> Manifest | None:
        """The manifest of a target in a snapshot; None if there is none or it cannot be read."""
        found = self._value(target.manifest_path, "manifest", snapshot.entry(target.manifest_path))
        return found if isinstance(found, Manifest) else None

    def unreadable(self, snapshot: Snapshot, target: Target) -> list[Fault]:
        """Why the manifest of a target cannot be read; nothing where it can be, or where there is none."""
        path = target.manifest_path
        entry = snapshot.entry(path)
        if entry is not None and entry.mode != PLAIN_FILE:
            return [Fault(path, "not-a-plain-file", "no plain file")]
        found = self._value(path, "manifest", entry)
        return found if isinstance(found, list) else []

    def record(self, snapshot: Snapshot, target: Target, slot: str, version: str) -> Record | None:
        """The record of a version in a snapshot; None if there is none or it cannot be read."""
        path = target.record_path(slot, version)
        found = self._value(path, "record", snapshot.entry(path))
        return found if isinstance(found, Record) else None

    def slots(self, snapshot: Snapshot, target: Target, manifest: Manifest | None) -> dict[str, Record | None]:
        """Slot → record, for every slot of a manifest; None if a slot has no record."""
        versions = manifest.versions if manifest is not None else {}
        return {slot: self.record(snapshot, target, slot, version) for slot, version in versions.items()}

    def broken_slots(
        self, snapshot: Snapshot, target: Target, manifest: Manifest | None, slots: Mapping[str, Record | None]
    ) -> frozenset[str]:
        """Those of the `slots` of a manifest whose record is there and cannot be read."""
        versions = manifest.versions if manifest is not None else {}
        paths = ((slot, target.record_path(slot, versions[slot])) for slot, record in slots.items() if record is None)
        return frozenset(slot for slot, path in paths if snapshot.entry(path) is not None)

    def records(self, snapshot: Snapshot, target: Target, manifest: Manifest | None) -> dict[str, Record]:
        """Slot → record, for the slots of a manifest that have a record."""
        found = self.slots(snapshot, target, manifest)
        return {slot: record for slot, record in found.items() if record is not None}

    def holds(self, base: Snapshot, target: Target) -> dict[str, Hold | None]:
        """Path → hold, for the holds on a target and on all targets; None if a hold cannot be read."""
        found: dict[str, Hold | None] = {}
        for path in (target.hold_path, HOLD_ON_ALL):
            entry = base.entry(path)
            if entry is not None and entry.mode != TREE:
                hold = self._value(path, "hold", entry)
                found[path] = hold if isinstance(hold, Hold) else None
        return found

    def own_type(self, name: str, base: Snapshot | None = None) -> UserType | None:
        """The artifact type that a schema on `base` (None: main) declares; None if there is none that can be used."""
        from pointsman.artifact import user_type  # this import costs 25 ms, and few ask for it

        path = f"registry/schemas/{name}.schema.json"
        data = (base or Snapshot(self.repo, self.repo.heads.get(MAIN))).read(path)
        loaded = user_type.load(name, data, path) if data is not None else None
        return None if isinstance(loaded, Fault) else loaded

    def retired(self, base: Snapshot, target: Target, manifest: Manifest | None) -> frozenset[str]:
        """The slots of a manifest whose version has a tombstone."""
        versions = manifest.versions if manifest is not None else {}
        return frozenset(slot for slot, version in versions.items() if base.entry(target.tombstone_path(slot, version)))

    def tombstone(self, snapshot: Snapshot, target: Target, slot: str, version: str) -> Tombstone | None:
        """The tombstone of a version in a snapshot; None if there is none or it cannot be read."""
        path = target.tombstone_path(slot, version)
        found = self._value(path, "tombstone", snapshot.entry(path))
        return found if isinstance(found, Tombstone) else None

    def is_erased(self, record: Record) -> bool:
        """Whether main has a tombstone by which a version is to be erased."""
        main = Snapshot(self.repo, self.repo.heads.get(MAIN))
        found = self.tombstone(main, record.target, record.type, record.version)
        return found is not None and bool(found.erase)

    def _value(
        self, path: str, kind: str, entry: Entry | None, data: bytes | None = None
    ) -> State | list[Fault] | None:
        """A state document, or its faults; None if there is no plain file. Read once."""
        if entry is None or entry.mode != PLAIN_FILE:
            return None
        key = path, entry.oid
        if key not in self._values:
            if len(self._values) >= _DOCUMENTS_CACHED:
                del self._values[next(iter(self._values))]
            self._values[key] = _READERS[kind](self.repo.git.blob(entry.oid) if data is None else data, path)
        return self._values[key]

    def signed(self, snapshot: Snapshot, path: str) -> Signed | None:
        """The signed file at a path in a snapshot; None if there is none or it cannot be read."""
        found = self._value(path, path_kind(path), snapshot.entry(path))
        return found if isinstance(found, Signed) else None

    # many documents at once

    def fetch_ahead(self, snapshot: Snapshot, targets: Iterable[Target]) -> None:
        """Read together the manifests of many targets, with those they replaced, and their records of now.

        In a partial clone they are fetched, with the records of lately, too.
        """
        every = list(targets)
        if not self.repo.is_partial:
            self._read_current(snapshot, every)
            return
        self.repo.fetch_ahead(snapshot.entry(target.manifest_path) for target in every)
        slots = [(target, slot) for target in every for slot in self._lately(snapshot, target)]
        self.repo.fetch_ahead(snapshot.entry(target.record_path(*slot)) for target, slot in slots)

    def _read_current(self, snapshot: Snapshot, targets: Sequence[Target]) -> None:
        index, tip = self.repo.history_index, snapshot.commit
        if index is None or tip is None or tip not in index:  # few are asked for
            return
        lasts = (next(iter(index.history(tip, target.manifest_path)), None) for target in targets)
        changes = (change for commit in lasts if commit is not None for change in commit.changes)
        self.repo.git.read_ahead(
            entry.oid
            for each in changes
            for entry in (each.new, each.old)
            if entry is not None and entry.mode == PLAIN_FILE
        )
        manifests = ((target, self.manifest(snapshot, target)) for target in targets)
        slots = ((target, slot) for target, each in manifests if each is not None for slot in each.versions.items())
        self.read_ahead(snapshot, (target.record_path(*slot) for target, slot in slots))

    def _lately(self, snapshot: Snapshot, target: Target) -> set[tuple[str, str]]:
        """The slots and versions of a manifest, and of its last states if the history was read."""
        entries = [snapshot.entry(target.manifest_path)]
        index, tip = self.repo.history_index, snapshot.commit
        if index is not None and tip is not None and tip in index:
            for commit in islice(self.repo.history(tip, target.manifest_path), LATELY):
                entries += [entry for change in commit.changes for entry in (change.old, change.new)]
        return {slot for entry in entries for slot in versions_in(self.repo, entry).items()}

    def read_ahead(self, snapshot: Snapshot, paths: Iterable[str]) -> None:
        """Read together the documents that will be asked for one by one."""
        entries = [snapshot.entry(path) for path in paths]
        self.repo.fetch_ahead(entries)
        self.repo.git.read_ahead(entry.oid for entry in entries if entry is not None and entry.mode == PLAIN_FILE)

    # the documents of a change

    def document(self, change: Change, *, formatted: bool) -> Document:
        """One changed path, with its document if its kind has one. `formatted`: check the format of its bytes."""
        path, kind, new = change.path, path_kind(change.path), change.new
        if path == SETTINGS_PATH:
            return Document(path, kind, change, faults=self._settings_faults(change))
        was = self._value(path, kind, change.old) if kind == "tombstone" else None
        was = was if isinstance(was, Tombstone) else None
        data = self.repo.content(new) if kind == "schema" or kind in _READERS else None
        if data is None:
            return Document(path, kind, change, was=was)
        if len(data) > _LARGEST_READ:
            fault = Fault(path, "schema", f"{len(data)} bytes: a state file is never that large, make it smaller")
            return Document(path, kind, change, len(data), faults=(fault,))
        if kind == "schema":
            from pointsman.artifact import user_type  # this import costs 25 ms, and schemas change rarely

            loaded = user_type.load(path.rpartition("/")[2].removesuffix(".schema.json"), data, path)
            return Document(path, kind, change, len(data), faults=(loaded,) if isinstance(loaded, Fault) else ())
        value = self._value(path, kind, new, data)
        if value is None or isinstance(value, list):
            return Document(path, kind, change, len(data), faults=tuple(value or ()), was=was)
        formatted = not formatted or value.render() == data
        return Document(path, kind, change, len(data), value, formatted=formatted, was=was)

    def _settings_faults(self, change: Change) -> tuple[Fault, ...]:
        """Settings that are deleted or cannot be read: they would stop every later command."""
        if change.new is None:
            return (Fault(change.path, "schema", "no command works without the settings: do not delete them"),)
        try:
            read_settings(self.repo.content(change.new) or b"")
        except Problem as error:
            return (Fault(change.path, "schema", str(error)),)
        return ()

    def unrecorded(self, base: Snapshot, documents: Iterable[Document]) -> frozenset[str]:
        """The tombstones that a change adds of versions without a record."""
        added = ((path, *retired_by(path)) for path in tombstones(documents))
        return frozenset(path for path, target, *slot in added if base.entry(target.record_path(*slot)) is None)

    def in_use(self, base: Snapshot, documents: Iterable[Document]) -> dict[str, str]:
        """Path of a changed schema → a record of its type, if any. It looks at every target; schemas change rarely."""
        found: dict[str, str] = {}
        for document in documents:
            if document.kind == "schema" and document.change.old is not None:
                slot = document.path.rpartition("/")[2].removesuffix(".schema.json")
                record = any_record(base, slot)
                if record is not None:
                    found[document.path] = record
        return found


def any_record(base: Snapshot, slot: str) -> str | None:
    """The path of a record of an artifact type; None if there is none. It looks at every target."""
    paths = (
        f"registry/{target}/{slot}/{name}"
        for target in base.targets("registry")
        for name in base.files(f"registry/{target}/{slot}")
    )
    return next((path for path in paths if path_kind(path) == "record"), None)


def tombstones(documents: Iterable[Document]) -> dict[str, Document]:
    """Path → document, for the tombstones that a change leaves."""
    return {each.path: each for each in documents if each.kind == "tombstone" and each.change.new is not None}


def retired_by(path: str) -> tuple[Target, str, str]:
    """The target, the artifact type and the version that a tombstone is about, by its path."""
    *_, slot, name = path.split("/")
    return target_of(path), slot, name.partition(".")[0]
