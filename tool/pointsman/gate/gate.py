"""The gate: may this change be current? Gathers the facts of a change and asks the rules.

The same judge stands before a merge, in CI, in pre-commit, in sync and in audit. It reads git objects and blobs, never
a worktree, and costs what the change costs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pointsman.errors import Fault
from pointsman.gate.facts import Facts
from pointsman.gate.payloads import Contents
from pointsman.repo.chain import Chain, versions_in
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.rules.evidence import Checkpoint, Document, Evidence, Kind, TargetChange
from pointsman.rules.rule import Rule
from pointsman.rules.table import BY_NAME, RULES, judge
from pointsman.rules.table import notes as notes_of
from pointsman.settings import SETTINGS_PATH, Settings
from pointsman.state.documents import Manifest, Record
from pointsman.state.message import Message, Said, is_restore, parse, vouching
from pointsman.state.names import Target
from pointsman.state.objects import Change, Commit, Entry, Oid, object_id
from pointsman.state.paths import path_kind, target_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """The faults of a change: those that stop it, and those that it accepts by name, with the reason; and notes."""

    faults: tuple[Fault, ...]
    accepted: tuple[tuple[Fault, str], ...] = ()
    notes: tuple[Fault, ...] = ()  # what guardrails say that stops nothing
    evidence: Evidence | None = field(default=None, compare=False, repr=False)  # what was judged


class Gate:
    """Judges changes of one repository by `rules`. `offline` leaves the store alone.

    `contents` reads what guardrails compare, and remembers what it found from one keeper to the next.
    """

    def __init__(
        self,
        repo: Repository,
        *,
        offline: bool = False,
        rules: Sequence[Rule] = RULES,
        contents: Contents | None = None,
    ) -> None:
        self.repo = repo
        self.facts = Facts(repo, contents or Contents(offline=offline))
        self._rules = rules
        self._own_faults: dict[tuple[Oid, str], tuple[Fault, ...]] = {}
        self._ships: set[tuple[Oid, str]] = set()

    # the gates

    def change(self, base: Oid, head: Oid, *, clock: int | None = None, notes: bool = True) -> Verdict:
        """Judge what lies between the merge base and `head`, against the tip of `base` and with its settings.

        `clock`: when it would be committed, seconds since 1970; the head's own time unless given. Without `notes`
        nothing is read that could only become one: a restore does not wait for its contents to be compared.
        """
        fork = self.repo.merge_base(base, head)
        if fork is None:
            says = "the change shares no history with main: build it on a commit of main"
            return Verdict((Fault("main", "mixed-change", says),))
        changes = self.repo.git.differences(fork, head)
        message = parse(self.repo.messages(base, head))
        before, after = Snapshot(self.repo, base), Snapshot(self.repo, head)
        self.repo.fetch_ahead(entry for change in changes for entry in (change.old, change.new))
        targets = [target_of(change.path) for change in changes if path_kind(change.path) == "manifest"]
        self.repo.expect(len(targets), base)
        for side in (before, after):
            self.facts.fetch_ahead(side, targets)
        at = self.repo.time_of(head) if clock is None else clock
        evidence = self._evidence(Checkpoint.CHANGE, before, after, changes, message, at, notes=notes)
        return self._verdict(evidence, message, notes=notes)

    def proposed(
        self, base: Oid, records: Mapping[str, bytes], manifests: Mapping[str, bytes], message: str
    ) -> Verdict:
        """Judge manifests not committed yet, on `base` as it would be with `records` landed.

        Whether their blobs stand in the store is not asked: they may be put there later.
        """
        self.repo.expect(len(manifests), base)
        landed: dict[str, Entry | None] = {path: self.repo.git.keep(data) for path, data in records.items()}
        staged: dict[str, Entry | None] = {path: self.repo.git.keep(data) for path, data in manifests.items()}
        before = Snapshot(self.repo, base, landed)
        changes = [Change(path, before.entry(path), entry) for path, entry in staged.items()]
        after, said = Snapshot(self.repo, base, {**landed, **staged}), parse(message)
        evidence = self._evidence(Checkpoint.CHANGE, before, after, changes, said, int(time.time()), blobs=False)
        return self._verdict(evidence, said)

    def staged(self) -> Verdict:
        """Judge the index against HEAD."""
        head, changes = self.repo.staged()
        before = Snapshot(self.repo, head)
        after = Snapshot(self.repo, head, {change.path: change.new for change in changes})
        return self._verdict(self._evidence(Checkpoint.STAGED, before, after, changes, Message(), 0), Message())

    def tree(self, head: Oid) -> Verdict:
        """Judge everything that stands at `head`, and the commit that made each manifest what it is."""
        after = Snapshot(self.repo, head)
        changes = self.repo.git.differences(object_id("tree", b"", len(head)), head)
        self.repo.fetch_ahead(change.new for change in changes)
        verdict = self._verdict(self._evidence(Checkpoint.TREE, after, after, changes, Message(), 0), Message())
        targets = [target_of(change.path) for change in changes if path_kind(change.path) == "manifest"]
        self.repo.expect(len(targets), head)
        made = [fault for target in targets for fault in self.made(head, target)]
        return replace(verdict, faults=tuple(sorted({*verdict.faults, *made})))

    def made(self, tip: Oid, target: Target, *, store: bool = False) -> tuple[Fault, ...]:
        """The faults of the commit that last changed a target's manifest; with `store`, as sync asks, of its blobs."""
        chain = self.facts.chain(tip, target.manifest_path)
        if chain.at(0) is None:
            return ()
        faults = self._judged(chain, 0)
        manifest = self.facts.manifest(Snapshot(self.repo, tip), target)
        if not store or self.facts.offline or manifest is None:
            return faults
        return faults + self.standing(tip, target, manifest, hashed=False)

    def standing(self, tip: Oid, target: Target, manifest: Manifest, *, hashed: bool = True) -> tuple[Fault, ...]:
        """The faults of the records and tombstones on `tip` of what a manifest points to, and of its blobs."""
        return self._all_standing(tip, {target: manifest}, hashed=hashed)

    def proven(self, tip: Oid, manifests: Mapping[Target, Manifest]) -> tuple[Fault, ...]:
        """The same of many manifests, every blob hashed. This keeper does not read again what proved right here."""
        return self._all_standing(tip, manifests, hashed=True, remember=True)

    def _all_standing(
        self, tip: Oid, manifests: Mapping[Target, Manifest], *, hashed: bool, remember: bool = False
    ) -> tuple[Fault, ...]:
        snapshot = Snapshot(self.repo, tip)
        settings = self.facts.settings(snapshot)
        uris = (uri for manifest in manifests.values() for uri in manifest.current.values())
        blobs = self.facts.look(settings, dict.fromkeys(uris, hashed))
        if remember:
            self.facts.remember(blobs)
        foreign: list[Fault] = []
        for target, manifest in manifests.items():
            for slot, uri in manifest.current.items():
                if uri not in settings.places(target, slot, manifest.versions.get(slot, "")) or uri not in blobs:
                    says = f"{slot} points to {uri}, which no store in the settings of main can hold: name it in former"
                    foreign.append(Fault(target.manifest_path, "foreign-uri", says))
                    break
        if foreign:
            return tuple(foreign)
        facts = [self._standing(snapshot, target, manifest, manifest) for target, manifest in manifests.items()]
        checkpoint = Checkpoint.TREE if hashed else Checkpoint.SYNC
        return tuple(judge(Evidence(checkpoint, settings, (), facts, blobs), self._rules))

    def landed(self, tip: Oid, commit: Commit, unsigned: Mapping[str, str] | None = None) -> Verdict:
        """Judge one commit of the history of `tip`, all that it changed, against its first parent.

        `unsigned`: the paths that nobody has signed who may, and why; nobody else looks at signatures.
        """
        message = self.facts.message(commit)
        base, head = self._step(commit)
        evidence = self._evidence(Checkpoint.AUDIT, base, head, commit.changes, message, commit.time, tip=tip)
        return self._verdict(replace(evidence, unsigned=unsigned) if unsigned else evidence, message)

    def rewritten(self, checkpoint: Checkpoint, lost: Mapping[str, Oid]) -> tuple[Fault, ...]:
        """The faults of a main that no longer descends from commits that someone saw on it (who → commit)."""
        return tuple(judge(Evidence(checkpoint, Settings(""), lost=lost), self._rules))

    # the past

    def good(self, chain: Chain, place: int) -> bool:
        """Whether the commit so many steps back in a manifest's chain broke no rule."""
        return not self._judged(chain, place)

    def is_ship(self, chain: Chain, commit: Commit) -> bool:
        """Whether a commit of a manifest's chain vouches for new bytes that are no restore."""
        said = self.facts.said(chain, commit)
        return said is not None and not is_restore(
            said, *(versions_in(self.repo, entry) for entry in chain.step(commit))
        )

    def _judged(self, chain: Chain, place: int) -> tuple[Fault, ...]:
        """The faults of one commit of a manifest's chain, as sync judges it, without the store.

        A ship answers for the commit that it was built on, too, but not for those below: judging one would judge all.
        """
        return (*self._own(chain, place), *self._below(chain, place))

    def _below(self, chain: Chain, place: int) -> list[Fault]:
        """The faults of what the commit was built on, if it is a ship."""
        commit, below = chain.at(place), chain.at(place + 1)
        self._own(chain, place)
        if commit is None or below is None or (commit.oid, chain.path) not in self._ships:
            return []
        return [_laundered(fault, below.oid) for fault in self._own(chain, place + 1)]

    def _own(self, chain: Chain, place: int) -> tuple[Fault, ...]:
        """The faults of that commit alone. Remembered."""
        commit = chain.at(place)
        assert commit is not None
        key = (commit.oid, chain.path)
        if key not in self._own_faults:
            self._own_faults[key] = () if self.facts.trusted(chain, commit) else self._judge_own(chain, place, commit)
        return self._own_faults[key]

    def _judge_own(self, chain: Chain, place: int, commit: Commit) -> tuple[Fault, ...]:
        base, head = self._step(commit)
        change = next(change for change in commit.changes if change.path == chain.path)
        settings = self.facts.settings_then(base, head)
        document, message = self.facts.document(change, formatted=False), self.facts.message(commit)
        if self.repo.history_index is None:
            head.listing("")  # a tree that git misreads ends here
        change_of_target = self._target_change(chain, place + 1, base, document, message)
        if change_of_target.kind is Kind.SHIP:
            self._ships.add((commit.oid, chain.path))
        evidence = Evidence(Checkpoint.SYNC, settings, [document], [change_of_target], clock=commit.time)
        accepts = _accepts(evidence, message)
        return tuple(fault for fault in judge(evidence, self._rules) if _accepted(fault, accepts) is None)

    def _step(self, commit: Commit) -> tuple[Snapshot, Snapshot]:
        """What was before and after a commit."""
        return Snapshot(self.repo, commit.parents[0] if commit.parents else None), Snapshot(self.repo, commit.oid)

    # one case

    def _verdict(self, evidence: Evidence, message: Message, *, notes: bool = True) -> Verdict:
        stopping: list[Fault] = []
        accepted: list[tuple[Fault, str]] = []
        accepts = _accepts(evidence, message)
        for fault in judge(evidence, self._rules):
            reason = _accepted(fault, accepts)
            if reason is None:
                stopping.append(fault)
            else:
                accepted.append((fault, reason))
        said = tuple(notes_of(evidence, self._rules)) if notes else ()
        return Verdict(tuple(stopping), tuple(accepted), said, evidence)

    def _evidence(
        self,
        checkpoint: Checkpoint,
        base: Snapshot,
        head: Snapshot,
        changes: Sequence[Change],
        message: Message,
        clock: int,
        *,
        blobs: bool = True,
        notes: bool = True,
        tip: Oid | None = None,
    ) -> Evidence:
        """All facts of a change from `base` to `head`; with `tip`, of a commit `head` in its history."""
        facts = self.facts
        past = checkpoint is Checkpoint.AUDIT
        settings = (
            facts.settings_then(base, head)
            if past
            else facts.settings(base if base.entry(SETTINGS_PATH) is not None else head)
        )
        formatted = checkpoint in (Checkpoint.STAGED, Checkpoint.CHANGE)
        documents = [facts.document(change, formatted=formatted) for change in changes]
        targets = []
        for document in documents:
            if document.kind != "manifest":
                continue
            if checkpoint is Checkpoint.TREE:
                after = document.value if isinstance(document.value, Manifest) else None
                targets.append(self._standing(base, target_of(document.path), None, after))
                continue
            chain = facts.chain(tip if past else base.commit, document.path)
            place = chain.place(head.commit) + 1 if past and head.commit is not None else 0
            change = self._target_change(chain, place, base, document, message)
            targets.append(
                self._at_the_gate(change, chain, base, notes=notes) if checkpoint is Checkpoint.CHANGE else change
            )
        if checkpoint is Checkpoint.CHANGE:
            targets = facts.compared(settings, targets)
        pointed_to, unrecorded = facts.tombstones(base, documents)
        looks = blobs and not facts.offline and checkpoint in (Checkpoint.CHANGE, Checkpoint.TREE)
        return Evidence(
            checkpoint,
            settings,
            documents,
            targets,
            facts.blobs(checkpoint, settings, documents, targets) if looks else {},
            clock,
            facts.twins(base, changes, past=past),
            facts.in_use(base, documents),
            pointed_to,
            unrecorded,
        )

    def _standing(
        self, base: Snapshot, target: Target, before: Manifest | None, after: Manifest | None
    ) -> TargetChange:
        """The facts of a manifest that stands where it is: what it points to is judged, not how it came there."""
        records, retired = self.facts.slots(base, target, after), self.facts.retired(base, target, after)
        return TargetChange(target, Kind.RESTORE, before, after, None, None, records=records, retired=retired)

    def _target_change(
        self, chain: Chain, place: int, base: Snapshot, document: Document, message: Message
    ) -> TargetChange:
        """The facts of a change of one manifest whose base is `place` steps back in its chain."""
        facts, change, target = self.facts, document.change, target_of(document.path)
        after = document.value if isinstance(document.value, Manifest) else None
        last = chain.at(place)
        before = facts.manifest(base, target)
        data = self.repo.content(change.new)
        said = vouching(message, target, data) if data is not None else None
        kind = self._kind(chain, place, change.new, before, after, said)
        said = said or message.about(target)
        found = TargetChange(
            target,
            kind,
            before,
            after,
            said,
            last.oid if last else None,
            kind is Kind.REMOVAL and self._undoes_first(chain, place),
            facts.slots(base, target, after),
            retired=facts.retired(base, target, after),
        )
        if kind is Kind.RESTORE and said is not None and said.restores:
            known = all(self._had(chain, place, slot, version) for slot, version in said.restores.items())
            return replace(found, restores_known=known)
        if kind is not Kind.SHIP or after is None:
            return found
        versions = after.versions
        reships = said.reships if said is not None else set()
        changed = {slot: versions[slot] for slot in found.changed if slot in versions}
        taken_out = facts.taken_out(base.commit, target, changed, tip=chain.tip) if base.commit is not None else set()
        put_back = {slot for slot, version in reships if versions.get(slot) == version}
        return replace(found, taken_out=frozenset(taken_out - put_back), holds=facts.holds(base, target))

    def _at_the_gate(self, change: TargetChange, chain: Chain, base: Snapshot, *, notes: bool) -> TargetChange:
        """The same with what only a change that is not on main yet is judged by."""
        if change.after is None:
            return change
        if change.kind is not Kind.SHIP:
            if not notes or change.kind is not Kind.RESTORE:
                return change
            return replace(change, references=[self.facts.records(base, change.target, change.before)])
        built_on: list[Fault] = []
        if change.last is not None:
            built_on = [_laundered(fault, change.last) for fault in self._own(chain, 0)] + self._below(chain, 0)
        return replace(change, built_on=tuple(built_on), references=self._references(chain, change, base))

    def _kind(
        self,
        chain: Chain,
        place: int,
        new: Entry | None,
        before: Manifest | None,
        after: Manifest | None,
        said: Said | None,
    ) -> Kind:
        if new is None:
            return Kind.REMOVAL
        if said is not None:
            was = before.versions if before else {}
            now = after.versions if after else {}
            return Kind.RESTORE if is_restore(said, was, now) else Kind.SHIP
        for back, commit in chain.since(place):
            # Only where something vouches for the bytes: a restore in between is as good as what it restored.
            known = chain.step(commit)[1] == new and (
                self.facts.said(chain, commit) is not None or self.facts.trusted(chain, commit)
            )
            if known and not self._judged(chain, back):
                return Kind.RESTORE
        return Kind.EDIT

    def _references(self, chain: Chain, change: TargetChange, base: Snapshot) -> list[dict[str, Record]]:
        """The states a ship is compared with: the current one, and the last one shipped without Accept: lines."""
        facts, target = self.facts, change.target
        references = [facts.records(base, target, change.before)]
        for place, commit in chain.since(0):
            said = facts.said(chain, commit)
            accepts = facts.message(commit).accepts(target, said.manifest) if said is not None else {}
            if said is not None and not accepts and self.is_ship(chain, commit):
                shipped = Snapshot(self.repo, commit.oid)
                manifest = facts.manifest(shipped, target)
                if place == 0 or manifest is None or base.commit is None:
                    return references
                # What a restore took out was not good: nothing is measured by it.
                bad = facts.taken_out(base.commit, target, manifest.versions, tip=chain.tip)
                records = facts.records(shipped, target, manifest)
                return [*references, {slot: record for slot, record in records.items() if slot not in bad}]
        return references

    def _undoes_first(self, chain: Chain, place: int) -> bool:
        """Whether what stands `place` steps back is what a first ship left: without it there was nothing, as before."""
        last = chain.at(place)
        for back, commit in chain.since(place):
            old, new = chain.step(commit)
            if last is not None and old is None:
                return chain.step(last)[1] == new and (back == place or not self._judged(chain, back))
        return False

    def _had(self, chain: Chain, place: int, slot: str, version: str) -> bool:
        return any(
            versions_in(self.repo, chain.step(commit)[1]).get(slot) == version and not self._judged(chain, back)
            for back, commit in chain.since(place)
        )


def _laundered(fault: Fault, built_on: Oid) -> Fault:
    back = f"put a good one back before shipping on it, with pointsman rollback {target_of(fault.path)}"
    return replace(fault, says=f"main's own manifest breaks this rule since {built_on[:12]}: {back} ({fault.says})")


def _accepts(evidence: Evidence, message: Message) -> Mapping[str, Mapping[str, str]]:
    """Path → rule → reason, for what a change accepts; of a ship, for the bytes that it vouches for."""
    bytes_of = {
        each.target: each.said.manifest if each.kind is Kind.SHIP and each.said else "" for each in evidence.targets
    }
    return {target.manifest_path: message.accepts(target, manifest) for target, manifest in bytes_of.items()}


def _accepted(fault: Fault, accepts: Mapping[str, Mapping[str, str]]) -> str | None:
    """The reason for which a change accepts a fault, None if it does not or the rule cannot be accepted."""
    return accepts.get(fault.path, {}).get(fault.rule) if BY_NAME[fault.rule].acceptable else None
