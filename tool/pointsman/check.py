"""The gate: may this change be current? Reads the facts of a change once; the rules judge them.

The same judge stands before a merge, in CI, in pre-commit and in sync. It reads git objects and blobs, never a
worktree, and costs what the change costs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pointsman import user_type
from pointsman.documents import Manifest, Record, read_manifest, read_record
from pointsman.errors import Fault, Problem
from pointsman.message import Message, Said, parse
from pointsman.names import Target
from pointsman.outcome import Outcome, told
from pointsman.plumbing import Change, Commit, Entry, Oid, object_id
from pointsman.repo import Repository
from pointsman.rules import BY_NAME, Blob, Case, Document, Gate, Kind, TargetChange, judge, path_kind
from pointsman.settings import SETTINGS_PATH, Settings, read_settings
from pointsman.snapshot import Chain, Snapshot, versions_in
from pointsman.store import open_store

_READ_AT_MOST = 1 << 24  # bytes of a state file, whatever [limits] says; its own limit is the rule too-large


@dataclass(frozen=True, slots=True)
class Verdict:
    """The faults of a change: those that stop it, and those that it accepts by name, with the reason."""

    faults: tuple[Fault, ...]
    accepted: tuple[tuple[Fault, str], ...] = ()


class Gatekeeper:
    """Judges changes of one repository. `offline` leaves the store alone. Reads each chain of commits once."""

    def __init__(self, repo: Repository, *, offline: bool = False) -> None:
        self.repo = repo
        self.offline = offline
        self._chains: dict[tuple[Oid | None, str], Chain] = {}
        self._known: dict[tuple[Oid, str, bool], tuple[Fault, ...]] = {}
        self._settings: dict[str, Settings] = {}

    # the gates

    def change(self, base: Oid, head: Oid) -> Verdict:
        """Judge what lies between the merge base and `head`, against the tip of `base` and with its settings."""
        fork = self.repo.merge_base(base, head)
        if fork is None:
            says = "the change shares no history with main: build it on a commit of main"
            return Verdict((Fault("main", "mixed-change", says),))
        changes = self.repo.git.differences(fork, head)
        messages = self.repo.messages(base, head)
        return self._verdict(
            Gate.CHANGE, Snapshot(self.repo, base), Snapshot(self.repo, head), changes, parse(messages)
        )

    def proposed(
        self, base: Oid, records: Mapping[str, bytes], manifests: Mapping[str, bytes], message: str
    ) -> Verdict:
        """Judge manifests not committed yet, on `base` as it would be with `records` landed. Looks at no blob."""
        landed: dict[str, Entry | None] = {path: self.repo.git.hold(data) for path, data in records.items()}
        staged: dict[str, Entry | None] = {path: self.repo.git.hold(data) for path, data in manifests.items()}
        before = Snapshot(self.repo, base, landed)
        changes = [Change(path, before.entry(path), entry) for path, entry in staged.items()]
        after = Snapshot(self.repo, base, {**landed, **staged})
        return self._verdict(Gate.CHANGE, before, after, changes, parse(message), blobs=False)

    def staged(self) -> Verdict:
        """Judge the index against HEAD."""
        head, changes = self.repo.staged()
        before = Snapshot(self.repo, head)
        after = Snapshot(self.repo, head, {change.path: change.new for change in changes})
        return self._verdict(Gate.STAGED, before, after, changes, Message())

    def tree(self, head: Oid) -> Verdict:
        """Judge everything that stands at `head`, and the commit that made each manifest what it is."""
        after = Snapshot(self.repo, head)
        changes = self.repo.git.differences(object_id("tree", b"", len(head)), head)
        verdict = self._verdict(Gate.TREE, after, after, changes, Message())
        targets = [_target_of(change.path) for change in changes if path_kind(change.path) == "manifest"]
        made = [fault for target in targets for fault in self.made(head, target)]
        return replace(verdict, faults=tuple(sorted({*verdict.faults, *made})))

    def made(self, tip: Oid, target: Target, *, store: bool = False) -> tuple[Fault, ...]:
        """The faults of the commit that last changed a target's manifest; with `store`, as sync asks, of its blobs."""
        chain = self.chain(tip, target.manifest_path)
        commit = chain.at(0)
        if commit is None:
            return ()
        faults = self._judged(chain, 0)
        manifest = self.manifest(Snapshot(self.repo, tip), target)
        if not store or self.offline or manifest is None:
            return faults
        return faults + self._blob_faults(tip, target, manifest)

    def standing(self, tip: Oid, target: Target, manifest: Manifest) -> tuple[Fault, ...]:
        """The faults of the records on `tip` and the blobs that a manifest points to, every blob read and hashed."""
        return self._blob_faults(tip, target, manifest, hashed=True)

    def good(self, chain: Chain, place: int) -> bool:
        """Whether the commit so many steps back in a manifest's chain broke no rule."""
        return not self._judged(chain, place)

    def is_ship(self, chain: Chain, commit: Commit) -> bool:
        """Whether a commit of a manifest's chain vouches for new bytes that are no restore."""
        said = self._said(chain, commit)
        return said is not None and not is_restore(
            said, *(versions_in(self.repo, entry) for entry in chain.step(commit))
        )

    # facts

    def chain(self, tip: Oid | None, path: str) -> Chain:
        return self._chains.setdefault((tip, path), Chain(self.repo, tip, path))

    def settings(self, snapshot: Snapshot) -> Settings:
        entry = snapshot.entry(SETTINGS_PATH)
        key = entry.oid if entry else ""
        if key not in self._settings:
            self._settings[key] = snapshot.settings()
        return self._settings[key]

    def manifest(self, snapshot: Snapshot, target: Target) -> Manifest | None:
        """The manifest of a target in a snapshot; None if there is none or it cannot be read."""
        data = snapshot.read(target.manifest_path)
        found = read_manifest(data, target.manifest_path) if data is not None else None
        return found if isinstance(found, Manifest) else None

    def record(self, snapshot: Snapshot, target: Target, slot: str, version: str) -> Record | None:
        """The record of a version in a snapshot; None if there is none or it cannot be read."""
        path = target.record_path(slot, version)
        data = snapshot.read(path)
        found = read_record(data, path) if data is not None else None
        return found if isinstance(found, Record) else None

    def records(self, snapshot: Snapshot, target: Target, manifest: Manifest | None) -> dict[str, Record]:
        """Slot → record, for every slot of a manifest that has one."""
        versions = manifest.versions if manifest is not None else {}
        found = {slot: self.record(snapshot, target, slot, version) for slot, version in versions.items()}
        return {slot: record for slot, record in found.items() if record is not None}

    def blob(self, settings: Settings, uri: str, *, hashed: bool) -> Blob | None:
        """What stands under a URI of one of the repository's stores; None for a URI that is not of any."""
        for url in (settings.store, *settings.former):
            if uri.startswith(f"{url}/") and url.startswith("file://"):
                store, key = open_store(url), uri[len(url) + 1 :]
                if not hashed:
                    return Blob(store.size(key))
                found = store.digest(key)
                return Blob(*found) if found is not None else Blob(None)
        return None

    def taken_out(self, base: Oid, target: Target, versions: Mapping[str, str]) -> set[str]:
        """The slots whose version a restore has taken out, and which nothing on `base` has put back since.

        Nothing older than the commit that added a version's record can have pointed to it: the walk ends there.
        """
        there = Snapshot(self.repo, base)
        open_slots = {slot for slot, version in versions.items() if there.entry(target.record_path(slot, version))}
        landed = self._landed(base, [target.record_path(slot, versions[slot]) for slot in sorted(open_slots)])
        out: set[str] = set()
        chain = Chain(self.repo, base if open_slots else None, target.manifest_path, no_older_than=landed)
        for _, commit in chain.since(0):
            before, after = (versions_in(self.repo, entry) for entry in chain.step(commit))
            said = self._said(chain, commit)
            restores = (said is None or is_restore(said, before, after)) and not self._accepts_removal(chain, commit)
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

    def _landed(self, base: Oid, records: Sequence[str]) -> Oid | None:
        """The oldest of the commits that added these records: one walk, as far as it takes to find them all."""
        missing, oldest = set(records), None
        for commit in self.repo.history(base, *records) if records else ():
            missing -= {change.path for change in commit.changes if change.old is None}
            oldest = commit.oid
            if not missing:
                break
        return oldest

    # one case

    def _verdict(
        self,
        gate: Gate,
        base: Snapshot,
        head: Snapshot,
        changes: Iterable[Change],
        message: Message,
        *,
        blobs: bool = True,
    ) -> Verdict:
        case = self._case(gate, base, head, list(changes), message, blobs=blobs and not self.offline)
        stopping: list[Fault] = []
        accepted: list[tuple[Fault, str]] = []
        for fault in judge(case):
            reason = _accepted(fault, message)
            if reason is None:
                stopping.append(fault)
            else:
                accepted.append((fault, reason))
        return Verdict(tuple(stopping), tuple(accepted))

    def _case(
        self, gate: Gate, base: Snapshot, head: Snapshot, changes: list[Change], message: Message, *, blobs: bool
    ) -> Case:
        settings = self.settings(base if base.entry(SETTINGS_PATH) is not None else head)
        documents = [self._document(head, change, settings) for change in changes]
        targets = []
        for document in documents:
            if document.kind == "manifest" and gate is not Gate.STAGED:
                target = _target_of(document.path)
                targets.append(self._target_change(gate, target, base, document, message))
        found = self._blobs(gate, settings, documents, targets) if blobs and gate is not Gate.STAGED else {}
        return Case(gate, settings, documents, targets, found)

    def _settings_faults(self, change: Change) -> tuple[Fault, ...]:
        """What would stop every later command: settings that cannot be read."""
        try:
            read_settings(self.repo.content(change.new) or b"")
        except Problem as error:
            return (Fault(change.path, "schema", str(error)),)
        return ()

    def _document(self, head: Snapshot, change: Change, settings: Settings) -> Document:
        kind = path_kind(change.path)
        if change.path == SETTINGS_PATH and change.new is not None:
            return Document(change.path, kind, change, faults=self._settings_faults(change))
        data = self.repo.content(change.new) if kind in ("manifest", "record", "schema") else None
        if data is None:
            return Document(change.path, kind, change)
        if len(data) > _READ_AT_MOST:
            fault = Fault(change.path, "schema", f"{len(data)} bytes: no state file is that large")
            return Document(change.path, kind, change, len(data), faults=(fault,))
        read: Callable[[bytes, str], Manifest | Record | list[Fault]] = (
            read_manifest if kind == "manifest" else read_record
        )
        if kind == "schema":
            name = change.path.rpartition("/")[2].removesuffix(".schema.json")
            loaded = user_type.load(name, data, change.path)
            return Document(change.path, kind, change, len(data), faults=(loaded,) if isinstance(loaded, Fault) else ())
        value = read(data, change.path)
        if isinstance(value, list):
            return Document(change.path, kind, change, len(data), faults=tuple(value))
        return Document(change.path, kind, change, len(data), value)

    def _target_change(
        self, gate: Gate, target: Target, base: Snapshot, document: Document, message: Message
    ) -> TargetChange:
        after = document.value if isinstance(document.value, Manifest) else None
        if gate is Gate.TREE:
            records = self._slots(base, target, after)
            return TargetChange(target, Kind.RESTORE, None, after, None, None, records=records)
        chain = self.chain(base.commit, target.manifest_path)
        return self._facts(chain, 0, target, base, document.change, after, message, gate=True)

    def _facts(
        self,
        chain: Chain,
        place: int,
        target: Target,
        base: Snapshot,
        change: Change,
        after: Manifest | None,
        message: Message,
        *,
        gate: bool,
        below: bool = True,
    ) -> TargetChange:
        """The facts of a change of one manifest whose base is `place` steps back in its chain."""
        last = chain.at(place)
        before = self.manifest(base, target)
        data = self.repo.content(change.new)
        said = message.of(target, hashlib.sha256(data).hexdigest()) if data is not None else None
        kind = self._kind(chain, place, change, before, after, said)
        said = said or message.about(target)
        undoes_first = kind is Kind.REMOVAL and last is not None and chain.step(last)[0] is None
        facts = TargetChange(
            target,
            kind,
            before,
            after,
            said,
            last.oid if last else None,
            undoes_first,
            self._slots(base, target, after),
        )
        if kind is Kind.RESTORE and said is not None and said.restores:
            known = all(self._had(chain, place, slot, version) for slot, version in said.restores.items())
            return replace(facts, restores_known=known)
        if kind is not Kind.SHIP or after is None:
            return facts
        reships = said.reships if said is not None else set()
        versions = after.versions
        taken_out = frozenset(
            self.taken_out(base.commit, target, {slot: versions[slot] for slot in facts.changed if slot in versions})
            if base.commit is not None
            else ()
        ) - {slot for slot, version in reships if versions.get(slot) == version}
        built_on: tuple[Fault, ...] = ()
        if last is not None and below:
            built_on = self._judged(chain, place) if gate else self._own(chain, place)
        references = self._references(chain, place, target, base, before) if gate else ()
        return replace(facts, taken_out=taken_out, built_on=built_on, references=references)

    def _kind(
        self,
        chain: Chain,
        place: int,
        change: Change,
        before: Manifest | None,
        after: Manifest | None,
        said: Said | None,
    ) -> Kind:
        if change.new is None:
            return Kind.REMOVAL
        if said is not None:
            old = before.versions if before else {}
            new = after.versions if after else {}
            return Kind.RESTORE if is_restore(said, old, new) else Kind.SHIP
        for back, commit in chain.since(place):
            # Only where something vouches for the bytes: a restore in between is as good as what it restored.
            known = chain.step(commit)[1] == change.new and self._said(chain, commit) is not None
            if known and not self._judged(chain, back):
                return Kind.RESTORE
        return Kind.EDIT

    def _judged(self, chain: Chain, place: int) -> tuple[Fault, ...]:
        """The faults of one commit of a manifest's chain, as sync judges it, without the store. Remembered."""
        return self._faults_of(chain, place, below=True)

    def _own(self, chain: Chain, place: int) -> tuple[Fault, ...]:
        """The same without those of the commit that it was built on: else judging one would judge them all."""
        return self._faults_of(chain, place, below=False)

    def _faults_of(self, chain: Chain, place: int, *, below: bool) -> tuple[Fault, ...]:
        commit = chain.at(place)
        assert commit is not None
        key = (commit.oid, chain.path, below)
        if key not in self._known:
            base = Snapshot(self.repo, commit.parents[0] if commit.parents else None)
            head = Snapshot(self.repo, commit.oid)
            change = next(change for change in commit.changes if change.path == chain.path)
            settings = self._settings_then(base, head)
            document = self._document(head, change, settings)
            after = document.value if isinstance(document.value, Manifest) else None
            target, message = _target_of(chain.path), self._message(commit)
            facts = self._facts(chain, place + 1, target, base, change, after, message, gate=False, below=below)
            faults = judge(Case(Gate.SYNC, settings, [document], [facts]))
            self._known[key] = tuple(fault for fault in faults if _accepted(fault, message) is None)
        return self._known[key]

    def _settings_then(self, base: Snapshot, head: Snapshot) -> Settings:
        """The settings that a commit of the past was made under; today's where those cannot be read any more."""
        for snapshot in (base, head):
            try:
                return self.settings(snapshot)
            except Problem:
                continue
        return self.settings(Snapshot(self.repo, self.repo.main))

    def _slots(self, base: Snapshot, target: Target, after: Manifest | None) -> dict[str, Record | None]:
        versions = after.versions if after is not None else {}
        return {slot: self.record(base, target, slot, version) for slot, version in versions.items()}

    def _references(
        self, chain: Chain, place: int, target: Target, base: Snapshot, before: Manifest | None
    ) -> list[dict[str, Record]]:
        """The states a ship is compared with: the current one, and the last one shipped without Accept: lines."""
        references = [self.records(base, target, before)]
        for _, commit in chain.since(place):
            said = self._said(chain, commit)
            if said is not None and not said.accepts and self.is_ship(chain, commit):
                shipped = Snapshot(self.repo, commit.oid)
                return [*references, self.records(shipped, target, self.manifest(shipped, target))]
        return references

    def _had(self, chain: Chain, place: int, slot: str, version: str) -> bool:
        return any(
            versions_in(self.repo, chain.step(commit)[1]).get(slot) == version and not self._judged(chain, back)
            for back, commit in chain.since(place)
        )

    def _said(self, chain: Chain, commit: Commit) -> Said | None:
        """What the commit's message says in vouching for the bytes that it left, None if nothing vouches for them."""
        data = self.repo.content(chain.step(commit)[1])
        if data is None:
            return None
        return self._message(commit).of(_target_of(chain.path), hashlib.sha256(data).hexdigest())

    def _message(self, commit: Commit) -> Message:
        """What a commit of main says; a merge commit speaks for the side that it brought in, too."""
        merges = len(commit.parents) > 1
        return parse(self.repo.messages(commit.parents[0], commit.oid) if merges else commit.message)

    def _accepts_removal(self, chain: Chain, commit: Commit) -> bool:
        accepts = self._message(commit).accepts(_target_of(chain.path))
        return chain.step(commit)[1] is None and "manifest-removed" in accepts

    # blobs

    def _blobs(
        self, gate: Gate, settings: Settings, documents: Iterable[Document], targets: Iterable[TargetChange]
    ) -> dict[str, Blob]:
        """What stands under every URI of a changed manifest (changed slots hashed), and of records added alone."""
        wanted = {
            uri: gate is Gate.TREE or slot in change.changed
            for change in targets
            if change.after is not None
            for slot, uri in change.after.current.items()
        }
        if gate is Gate.CHANGE and not wanted:
            wanted = {document.value.uri: False for document in documents if isinstance(document.value, Record)}
        found = {uri: self.blob(settings, uri, hashed=hashed) for uri, hashed in wanted.items()}
        return {uri: blob for uri, blob in found.items() if blob is not None}

    def _blob_faults(self, tip: Oid, target: Target, after: Manifest, *, hashed: bool = False) -> tuple[Fault, ...]:
        snapshot = Snapshot(self.repo, tip)
        settings = self.settings(snapshot)
        found = {uri: self.blob(settings, uri, hashed=hashed) for uri in after.current.values()}
        blobs = {uri: blob for uri, blob in found.items() if blob is not None}
        versions, stores = after.versions, (settings.store, *settings.former)
        for slot, uri in after.current.items():
            places = [f"{store}/{target.blob_key(slot, versions.get(slot, ''))}" for store in stores]
            if uri not in places or uri not in blobs:
                says = f"{slot} points to {uri}, which no store in the settings of main can hold: name it in former"
                return (Fault(target.manifest_path, "foreign-uri", says),)
        records = self._slots(snapshot, target, after)
        facts = TargetChange(target, Kind.RESTORE, after, after, None, None, records=records)
        gate = Gate.TREE if hashed else Gate.SYNC
        return tuple(judge(Case(gate, settings, (), [facts], blobs)))


def _accepted(fault: Fault, message: Message) -> str | None:
    """The reason for which a change accepts a fault, None if it does not or the rule cannot be accepted."""
    if not BY_NAME[fault.rule].acceptable:
        return None
    for said in message.said:
        if said.target.manifest_path == fault.path and fault.rule in said.accepts:
            return said.accepts[fault.rule]
    return None


def is_restore(said: Said, before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Whether every slot that changes between two states (slot → version) is one that the message says it restores."""
    slots = {slot for slot in {*before, *after} if before.get(slot) != after.get(slot)}
    return bool(slots) and all(slot in after and said.restores.get(slot) == after[slot] for slot in slots)


def _target_of(path: str) -> Target:
    return Target(*path.split("/")[1:3])


def check(
    repo: Repository, *, base: str | None = None, head: str | None = None, staged: bool = False, offline: bool = False
) -> Outcome:
    """Judge the index, a change, or, without `base`, all that stands at `head`. Exit 1 if a fault is not accepted."""
    gate = Gatekeeper(repo, offline=offline)
    if repo.worktree is None:
        repo.refresh()
    if staged:
        verdict, old, new = gate.staged(), None, None
    else:
        new = repo.resolve(head) if head else repo.resolve("HEAD") if repo.worktree is not None else repo.main
        old = repo.resolve(base) if base else None
        verdict = gate.change(old, new) if old is not None else gate.tree(new)
    faults = [told(fault, accepted=False) for fault in verdict.faults]
    faults += [{**told(fault, accepted=True), "reason": reason} for fault, reason in verdict.accepted]
    return Outcome({"base": old, "head": new, "faults": faults}, 1 if verdict.faults else 0)


def render(document: Mapping[str, Any]) -> str:
    """One line per fault and one verdict."""
    lines = [
        f"{fault['path']}: {fault['rule']}: {fault['says']}"
        + (f" (accepted: {fault['reason']})" if fault["accepted"] else "")
        for fault in document["faults"]
    ]
    broken = sum(not fault["accepted"] for fault in document["faults"])
    return "\n".join(
        [
            *lines,
            f"{broken} fault{'s' if broken > 1 else ''}: this may not be current" if broken else "nothing is wrong",
        ]
    )
