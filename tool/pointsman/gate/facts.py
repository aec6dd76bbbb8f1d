"""What the rules need to know of a change, read from git objects and the store. Judges nothing.

Costs what the change costs: trees along the changed paths, the commits that touched them, the blobs they name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pointsman.artifact import user_type
from pointsman.errors import Fault, Problem
from pointsman.gate.payloads import Contents, Pair
from pointsman.guardrails.comparison import Likeness
from pointsman.repo.chain import Chain, versions_in
from pointsman.repo.origin import MAIN
from pointsman.repo.repository import LATELY, Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.rules.evidence import Blob, Checkpoint, Document, State, TargetChange
from pointsman.settings import SETTINGS_PATH, Settings, read_settings
from pointsman.state.documents import (
    HOLD_ON_ALL,
    Hold,
    Manifest,
    Record,
    read_hold,
    read_manifest,
    read_record,
    read_tombstone,
)
from pointsman.state.message import Message, Said, is_restore, parse, vouching
from pointsman.state.names import NAME, VERSION, Target
from pointsman.state.objects import PLAIN_FILE, TREE, Change, Commit, Entry, Oid
from pointsman.state.paths import STATE_ROOTS, folded, is_target, path_kind, target_of
from pointsman.state.store_url import BUCKETS
from pointsman.store.base import Store
from pointsman.store.open import open_store
from pointsman.store.parallel import ask_all

_READ_AT_MOST = 1 << 24  # bytes of a state file, whatever [limits] says; its own limit is the rule too-large
_BLOB_KEY = re.compile(rf"{NAME}/{NAME}/{NAME}/{VERSION}\.json")
_REMEMBERED = 4096  # documents, and messages
_READERS: Mapping[str, Any] = {
    "manifest": read_manifest,
    "record": read_record,
    "tombstone": read_tombstone,
    "hold": read_hold,
}


class Facts:
    """Reads of one repository. Reads each chain of commits once. `contents` says whether the store is asked."""

    def __init__(self, repo: Repository, contents: Contents | None = None) -> None:
        self.repo = repo
        self.contents = contents or Contents()
        self.offline = self.contents.offline
        self._chains: dict[tuple[Oid | None, str], Chain] = {}
        self._newer: dict[tuple[Oid | None, str], frozenset[Oid] | None] = {}
        self._sinces: dict[Oid, Oid | None] = {}
        self._messages: dict[Oid, Message] = {}  # what a commit says of many targets is asked once for each of them
        self._settings: dict[str, Settings] = {}
        self._stores: dict[str, Store] = {}
        self._sizes: dict[str, Blob] = {}
        self._hashed: dict[str, Blob] = {}
        self._values: dict[tuple[str, Oid], State | list[Fault]] = {}  # (path, id of the content) → what it says

    # history

    def chain(self, tip: Oid | None, path: str) -> Chain:
        """The commits that made `path` what it is at `tip`."""
        return self._chains.setdefault((tip, path), Chain(self.repo, tip, path))

    def message(self, commit: Commit) -> Message:
        """What a commit of main says. Parsed once."""
        if commit.oid not in self._messages:
            if len(self._messages) >= _REMEMBERED:
                del self._messages[next(iter(self._messages))]
            self._messages[commit.oid] = parse(self.repo.words(commit))
        return self._messages[commit.oid]

    def said(self, chain: Chain, commit: Commit) -> Said | None:
        """What the commit's message says in vouching for the bytes that it left, None if nothing vouches for them."""
        data = self.repo.content(chain.step(commit)[1])
        return vouching(self.message(commit), target_of(chain.path), data) if data is not None else None

    def trusted(self, chain: Chain, commit: Commit) -> bool:
        """Whether a commit made what stood at `[audit] since`, as the tip of the chain names it: that is good."""
        if not self._is_older(chain, commit):
            return False
        newer = self._newer[chain.tip, chain.path]
        return newer is not None and chain.place(commit.oid) == len(newer)

    def _is_older(self, chain: Chain, commit: Commit) -> bool:
        """Whether a commit of the chain is `[audit] since` or came before it."""
        key = chain.tip, chain.path
        if key not in self._newer:
            self._newer[key] = self._newer_than_since(chain)
        newer = self._newer[key]
        return newer is not None and commit.oid not in newer

    def _newer_than_since(self, chain: Chain) -> frozenset[Oid] | None:
        """The commits of a chain that came after `[audit] since`; None if nothing is taken as it stands."""
        if chain.tip is None or (since := self._since(chain.tip)) is None:
            return None
        commits = self.repo.history(chain.tip, chain.path, no_older_than=since)
        return frozenset(each.oid for each in commits if any(change.path == chain.path for change in each.changes))

    def _since(self, tip: Oid) -> Oid | None:
        """The commit that `[audit] since` names, None if it names none of the history of `tip`."""
        if tip not in self._sinces:
            since = Oid(self.settings(Snapshot(self.repo, tip)).audit_since)
            self._sinces[tip] = since if since and self.repo.grew_from(since, tip) else None
        return self._sinces[tip]

    def taken_out(self, base: Oid, target: Target, versions: Mapping[str, str], *, tip: Oid | None = None) -> set[str]:
        """The slots whose version a restore has taken out, and which nothing on `base` has put back since.

        `tip`: the commit that descends from `base` and says what is taken as it stands; `base` itself unless given.
        Nothing older than the commit that added a version's record can have pointed to it: the walk ends there.
        """
        there = Snapshot(self.repo, base)
        open_slots = {slot for slot, version in versions.items() if there.entry(target.record_path(slot, version))}
        landed = self.landed(base, [target.record_path(slot, versions[slot]) for slot in sorted(open_slots)])
        out: set[str] = set()
        whole = self.chain(tip or base, target.manifest_path)
        chain = Chain(self.repo, base if open_slots else None, target.manifest_path, no_older_than=landed)
        for _, commit in chain.since(0):
            before, after = (versions_in(self.repo, entry) for entry in chain.step(commit))
            said = self.said(chain, commit)
            restores = (said is None or is_restore(said, before, after)) and not self._accepts_removal(chain, commit)
            if said is None and restores and self._is_older(whole, commit):
                # Nothing vouched for anything then: only what went back to an earlier state took something out.
                new = chain.step(commit)[1]
                earlier = (whole.step(each)[1] for _, each in whole.since(whole.place(commit.oid) + 1))
                restores = new is None or new in earlier
            for slot in sorted(open_slots):
                version = versions[slot]
                if restores and before.get(slot) == version != after.get(slot):
                    out.add(slot)
                elif not (restores and after.get(slot) == version) and not (said and (slot, version) in said.reships):
                    continue
                open_slots.discard(slot)
            if not open_slots:
                break
        return out

    def landed(self, base: Oid, records: Sequence[str]) -> Oid | None:
        """The oldest of the commits that added these records: one walk, as far as it takes to find them all."""
        missing, oldest = set(records), None
        for commit in self.repo.history(base, *records) if records else ():
            missing -= {change.path for change in commit.changes if change.old is None}
            oldest = commit.oid
            if not missing:
                break
        return oldest

    def _accepts_removal(self, chain: Chain, commit: Commit) -> bool:
        accepts = self.message(commit).accepts(target_of(chain.path))
        return chain.step(commit)[1] is None and "manifest-removed" in accepts

    # settings and documents

    def settings(self, snapshot: Snapshot) -> Settings:
        """The settings at a commit; Problem if there are none or they are wrong."""
        entry = snapshot.entry(SETTINGS_PATH)
        key = entry.oid if entry else ""
        if key not in self._settings:
            self._settings[key] = snapshot.settings()
        return self._settings[key]

    def settings_then(self, base: Snapshot, head: Snapshot) -> Settings:
        """The settings that a commit of the past was made under; today's where those cannot be read any more."""
        wrong = None
        for snapshot in (base, head, Snapshot(self.repo, self.repo.heads.get(MAIN))):
            try:
                return self.settings(snapshot)
            except Problem as error:
                wrong = wrong or error
        assert wrong is not None
        raise wrong

    def manifest(self, snapshot: Snapshot, target: Target) -> Manifest | None:
        """The manifest of a target in a snapshot; None if there is none or it cannot be read."""
        found = self._value(target.manifest_path, "manifest", snapshot.entry(target.manifest_path))
        return found if isinstance(found, Manifest) else None

    def record(self, snapshot: Snapshot, target: Target, slot: str, version: str) -> Record | None:
        """The record of a version in a snapshot; None if there is none or it cannot be read."""
        path = target.record_path(slot, version)
        found = self._value(path, "record", snapshot.entry(path))
        return found if isinstance(found, Record) else None

    def fetch_ahead(self, snapshot: Snapshot, targets: Iterable[Target]) -> None:
        """In a partial clone, fetch together the manifests of targets and the records that they point or pointed to."""
        if not self.repo.is_partial:
            return
        every = list(targets)
        self.repo.fetch_ahead(snapshot.entry(target.manifest_path) for target in every)
        slots = [(target, slot) for target in every for slot in self._lately(snapshot, target)]
        self.repo.fetch_ahead(snapshot.entry(target.record_path(*slot)) for target, slot in slots)

    def _lately(self, snapshot: Snapshot, target: Target) -> set[tuple[str, str]]:
        """Slot and version of what a manifest points to, and of its last states where history was read."""
        entries = [snapshot.entry(target.manifest_path)]
        if self.repo.history_index is not None and snapshot.commit in self.repo.history_index:
            chain = self.chain(snapshot.commit, target.manifest_path)
            some = (commit for place in range(LATELY) if (commit := chain.at(place)) is not None)
            entries += [entry for commit in some for entry in chain.step(commit)]
        return {slot for entry in entries for slot in versions_in(self.repo, entry).items()}

    def read_ahead(self, snapshot: Snapshot, paths: Iterable[str]) -> None:
        """Read together the documents that are going to be asked for one at a time."""
        entries = [snapshot.entry(path) for path in paths]
        self.repo.fetch_ahead(entries)
        self.repo.git.read_ahead(entry.oid for entry in entries if entry is not None and entry.mode == PLAIN_FILE)

    def slots(self, snapshot: Snapshot, target: Target, manifest: Manifest | None) -> dict[str, Record | None]:
        """Slot → record, for every slot of a manifest; None for one that has no record."""
        versions = manifest.versions if manifest is not None else {}
        return {slot: self.record(snapshot, target, slot, version) for slot, version in versions.items()}

    def records(self, snapshot: Snapshot, target: Target, manifest: Manifest | None) -> dict[str, Record]:
        """Slot → record, for every slot of a manifest that has one."""
        found = self.slots(snapshot, target, manifest)
        return {slot: record for slot, record in found.items() if record is not None}

    def _value(
        self, path: str, kind: str, entry: Entry | None, data: bytes | None = None
    ) -> State | list[Fault] | None:
        """What a state document says, or its faults; None if no plain file stands there. Read once."""
        if entry is None or entry.mode != PLAIN_FILE:
            return None
        key = path, entry.oid
        if key not in self._values:
            if len(self._values) >= _REMEMBERED:
                del self._values[next(iter(self._values))]
            self._values[key] = _READERS[kind](self.repo.git.blob(entry.oid) if data is None else data, path)
        return self._values[key]

    def document(self, change: Change, *, formatted: bool) -> Document:
        """One changed path, read as far as its kind has a form; with `formatted`, whether its bytes are canonical."""
        path, kind, new = change.path, path_kind(change.path), change.new
        if path == SETTINGS_PATH:
            return Document(path, kind, change, faults=self._settings_faults(change))
        data = self.repo.content(new) if kind == "schema" or kind in _READERS else None
        if data is None:
            return Document(path, kind, change)
        if len(data) > _READ_AT_MOST:
            fault = Fault(path, "schema", f"{len(data)} bytes: no state file is that large")
            return Document(path, kind, change, len(data), faults=(fault,))
        if kind == "schema":
            loaded = user_type.load(path.rpartition("/")[2].removesuffix(".schema.json"), data, path)
            return Document(path, kind, change, len(data), faults=(loaded,) if isinstance(loaded, Fault) else ())
        value = self._value(path, kind, new, data)
        if value is None or isinstance(value, list):
            return Document(path, kind, change, len(data), faults=tuple(value or ()))
        return Document(path, kind, change, len(data), value, formatted=not formatted or value.render() == data)

    def _settings_faults(self, change: Change) -> tuple[Fault, ...]:
        """What would stop every later command: settings that are gone or cannot be read."""
        if change.new is None:
            return (Fault(change.path, "schema", "a manifest repository cannot do without its settings: keep them"),)
        try:
            read_settings(self.repo.content(change.new) or b"")
        except Problem as error:
            return (Fault(change.path, "schema", str(error)),)
        return ()

    # what stands on the base

    def holds(self, base: Snapshot, target: Target) -> dict[str, Hold | None]:
        """Path → hold, for the holds on a target and on everything; None for one that cannot be read."""
        found: dict[str, Hold | None] = {}
        for path in (target.hold_path, HOLD_ON_ALL):
            entry = base.entry(path)
            if entry is not None and entry.mode != TREE:
                hold = self._value(path, "hold", entry)
                found[path] = hold if isinstance(hold, Hold) else None
        return found

    def retired(self, base: Snapshot, target: Target, manifest: Manifest | None) -> frozenset[str]:
        """The slots of a manifest whose version has a tombstone."""
        versions = manifest.versions if manifest is not None else {}
        return frozenset(slot for slot, version in versions.items() if base.entry(target.tombstone_path(slot, version)))

    def tombstones(self, base: Snapshot, documents: Iterable[Document]) -> tuple[frozenset[str], frozenset[str]]:
        """Of the tombstones that a change adds: those of versions that main points to, those without a record."""
        pointed_to, unrecorded = set(), set()
        for document in documents:
            if document.kind == "tombstone" and document.change.new is not None:
                target, (*_, slot, name) = target_of(document.path), document.path.split("/")
                version = name.partition(".")[0]
                manifest = self.manifest(base, target)
                if manifest is not None and manifest.versions.get(slot) == version:
                    pointed_to.add(document.path)
                if base.entry(target.record_path(slot, version)) is None:
                    unrecorded.add(document.path)
        return frozenset(pointed_to), frozenset(unrecorded)

    def in_use(self, base: Snapshot, documents: Iterable[Document]) -> dict[str, str]:
        """Path of a changed schema → a record of its type. Looks at every target: schemas change rarely."""
        found: dict[str, str] = {}
        for document in documents:
            if document.kind == "schema" and document.change.old is not None:
                slot = document.path.rpartition("/")[2].removesuffix(".schema.json")
                record = self._any_record(base, slot)
                if record is not None:
                    found[document.path] = record
        return found

    def _any_record(self, base: Snapshot, slot: str) -> str | None:
        for tenant in base.names("registry"):
            for surface in base.names(f"registry/{tenant}"):
                for name in base.files(f"registry/{tenant}/{surface}/{slot}"):
                    path = f"registry/{tenant}/{surface}/{slot}/{name}"
                    if path_kind(path) == "record":
                        return path
        return None

    def twins(self, base: Snapshot, changes: Sequence[Change], *, past: bool = False) -> dict[str, str]:
        """Added path → a path that will stand beside it, or beside a directory of it, and differs only in case.

        `past`: the changes are of the history that was read, which then knows every spelling.
        """
        gone = {change.path for change in changes if change.new is None}
        index = self.repo.history_index if past else None
        spellings: dict[str, dict[str, dict[str, str]]] = {}  # directory → folded name → name → the path that adds it
        for change in changes:
            if change.new is None or change.old is not None or (index and not index.spelled_otherwise(change.path)):
                continue
            directory = ""
            for name in change.path.split("/"):
                if directory not in spellings:
                    spellings[directory] = {}
                    for there in base.listing(directory.rstrip("/")):
                        spellings[directory].setdefault(folded(there), {})[there] = ""
                names = spellings[directory].setdefault(folded(name), {})
                names[name] = names.get(name) or change.path
                directory = f"{directory}{name}/"
        twins: dict[str, str] = {}
        for directory, same in spellings.items():
            if not directory:  # the roots of state are taken, whether anything stands there yet or not
                for root in STATE_ROOTS:
                    same.setdefault(folded(root), {}).setdefault(root, root)
            for names in same.values():
                added = [path for path in names.values() if path and path not in STATE_ROOTS]
                if len(names) > 1 and added:
                    others = [name for name, path in names.items() if path or self._stays(base, directory + name, gone)]
                    own = added[0][len(directory) :].partition("/")[0]
                    twins.update((added[0], directory + other) for other in others if other != own)
        return twins

    def _stays(self, base: Snapshot, path: str, gone: set[str]) -> bool:
        """Whether a file or anything in a directory is left when those that are `gone` are taken away."""
        below = base.listing(path)
        return any(self._stays(base, f"{path}/{name}", gone) for name in below) if below else path not in gone

    # blobs

    def compared(self, settings: Settings, changes: Sequence[TargetChange]) -> list[TargetChange]:
        """The same changes with how alike their versions are to earlier ones, as far as a guardrail in force asks."""
        first = [pair for change in changes for pair in _pairs(settings, change, 0)]
        alike = self.contents.likeness(settings, first)
        # What is like the current version passes: only where it is not, an earlier state has to be read.
        unlike = [change for change in changes if _is_unlike(settings, change, alike)]
        alike |= self.contents.likeness(settings, [pair for each in unlike for pair in _pairs(settings, each, 1)])
        return [replace(change, likeness=alike) for change in changes]

    def look_ahead(self, settings: Settings, uris: Iterable[str]) -> None:
        """Ask now for the sizes of blobs that the gate is going to ask for one target at a time."""
        self._sizes |= self.look(settings, dict.fromkeys(uris, False))

    def remember(self, hashed: Mapping[str, Blob]) -> None:
        """What these blobs hashed to just now is not read again."""
        self._hashed |= hashed

    def look(self, settings: Settings, wanted: Mapping[str, bool]) -> dict[str, Blob]:
        """What stands under URIs (URI → whether to hash it); those that are of none of the repository's stores lack."""
        found: dict[str, Blob] = {}
        for url in (settings.store, *settings.former):
            mine = [uri for uri in wanted if uri not in found and _is_blob(url, uri)]
            if not mine or url.partition("://")[0] not in ("file", *BUCKETS):
                continue
            if url not in self._stores:
                self._stores[url] = open_store(url, settings.access)
            store = self._stores[url]
            ask = partial(self._blob, store, wanted)
            at_once = store.reads_at_once if any(wanted[uri] for uri in mine) else store.at_once
            found |= zip(mine, ask_all(ask, mine, at_once=at_once), strict=True)
        return found

    def _blob(self, store: Store, wanted: Mapping[str, bool], uri: str) -> Blob:
        key = uri[len(store.url) + 1 :]
        if wanted[uri]:
            if uri in self._hashed:
                return self._hashed[uri]
            size = self.contents.take_proof(uri)
            return Blob(*(store.digest(key) or (None,))) if size is None else Blob(size, key[-69:-5])
        return self._sizes.get(uri) or Blob(store.size(key))

    def blobs(
        self, checkpoint: Checkpoint, settings: Settings, documents: Iterable[Document], targets: Iterable[TargetChange]
    ) -> dict[str, Blob]:
        """What stands under every URI of a changed manifest (changed slots hashed), and of records added alone."""
        wanted = {
            uri: checkpoint is Checkpoint.TREE or slot in change.changed
            for change in targets
            if change.after is not None
            for slot, uri in change.after.current.items()
            if uri in settings.places(change.target, slot, change.after.versions.get(slot, ""))
        }
        if checkpoint is Checkpoint.CHANGE and not targets:
            records = (document.value for document in documents if isinstance(document.value, Record))
            wanted = {
                record.uri: False
                for record in records
                if is_target(record.tenant, record.surface)
                and record.uri in settings.places(record.target, record.type, record.version)
            }
        return self.look(settings, wanted)


def _pairs(settings: Settings, change: TargetChange, reference: int) -> Iterator[Pair]:
    """Earlier and new version of each changed slot that guardrails in force compare by their contents."""
    kept, tops = (settings.limit(change.target, name) is not False for name in ("kept_low", "overlap_low"))
    for before in change.references[reference : reference + 1] if kept or tops else ():
        for slot in change.changed:
            old, new = before.get(slot), change.records.get(slot)
            if old is not None and new is not None:
                yield Pair(old, new, tops)


def _is_unlike(settings: Settings, change: TargetChange, alike: Mapping[tuple[str, str], Likeness]) -> bool:
    kept, tops = (settings.limit(change.target, name) for name in ("kept_low", "overlap_low"))
    likes = [alike[pair.before.version, pair.after.version] for pair in _pairs(settings, change, 0)]
    figures = [(like.kept, kept) for like in likes] + [(like.overlap, tops) for like in likes]
    return any(figure is not None and isinstance(limit, float) and figure < limit for figure, limit in figures)


def _is_blob(store: str, uri: str) -> bool:
    """Whether a URI can be a blob of a store: nothing else that it may name is ever opened."""
    return uri.startswith(f"{store}/") and _BLOB_KEY.fullmatch(uri, len(store) + 1) is not None
