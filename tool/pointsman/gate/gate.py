"""The gate: may this change become current? It gathers the evidence of a change and asks the rules.

The same gate is used in pre-commit, in CI, before a merge, in sync and in audit. It reads git objects and blobs, never
a worktree. Its cost depends on the size of the change, not of the repository.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec.structs import replace

from pointsman.errors import Fault
from pointsman.gate.blobs import Blobs
from pointsman.gate.documents import Documents
from pointsman.gate.gathering import Gathering
from pointsman.gate.lineage import Lineage, Past, Step
from pointsman.gate.odd_trees import odd_changes
from pointsman.gate.payloads import Contents
from pointsman.gate.policies import Policy
from pointsman.gate.target_change import TargetChanges, inherited
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.rules.evidence import Attested, Blob, Checkpoint, Consent, Evidence, Kind
from pointsman.settings import Settings
from pointsman.state.documents import Manifest
from pointsman.state.message import Message, parse
from pointsman.state.names import Target, short
from pointsman.state.objects import Change, Commit, Entry, Oid, object_id
from pointsman.state.paths import path_kind, target_of

if TYPE_CHECKING:
    from pointsman.rules.rule import Rule


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say of a change: faults that stop it, faults that it accepts, each with the reason, and notes."""

    faults: tuple[Fault, ...]
    accepted: tuple[tuple[Fault, str], ...] = ()
    notes: tuple[Fault, ...] = ()  # what guardrails say without stopping the change
    evidence: Evidence | None = field(default=None, compare=False, repr=False)  # what was judged


class Gate:
    """Judges changes of one repository by `rules` (None: all), `offline` without the store. `now`: seconds since 1970.

    `contents` reads what guardrails compare. It keeps what it found, so several gates can share one.
    """

    def __init__(
        self,
        repo: Repository,
        *,
        offline: bool = False,
        rules: Sequence[Rule] | None = None,
        contents: Contents | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.repo = repo
        self.documents = Documents(repo)
        self.blobs = Blobs(contents or Contents(offline=offline))
        self.blobs.contents.declared = self.documents.own_type
        self.blobs.contents.erased = self.documents.is_erased
        self.past = Past(repo, self.documents, self)
        self._changes = TargetChanges(self.documents, self.past)
        self._gathering = Gathering(self.documents, self.blobs, self.past, self._changes, now)
        self.consents = self._gathering.consents
        self.attestations = self._gathering.attestations
        self._rules = rules
        self.now = now
        self._own_faults: dict[tuple[Oid, Target], tuple[Fault, ...]] = {}
        self._ships: set[tuple[Oid, Target]] = set()

    def lineage(self, tip: Oid | None, target: Target) -> Lineage:
        """The commits that changed a target's manifest, up to `tip`, and whether each of them was good."""
        return self.past.lineage(tip, target)

    # at each checkpoint

    def judge_change(self, base: Oid, head: Oid, *, clock: int | None = None, notes: bool = True) -> Verdict:
        """Judge the change from the merge base to `head`, against the tip of `base` and with its settings.

        `clock`: the time of the merge, seconds since 1970; default: the time of `head`, but never later than now.
        Without `notes`, nothing is read that could only become a note: so a restore does not wait for contents to be
        compared.
        """
        fork = self.repo.merge_base(base, head)
        if fork is None:
            says = "the change shares no history with main: build it on a commit of main"
            return Verdict((Fault("main", "mixed-change", says),))
        changes = self.repo.differences(fork, head)
        commits = self.repo.beyond(base, head)
        message = parse("\n".join(commit.message for commit in commits))
        before, after = Snapshot(self.repo, base), Snapshot(self.repo, head)
        self.repo.fetch_ahead(entry for change in changes for entry in (change.old, change.new))
        targets = [target_of(change.path) for change in changes if path_kind(change.path) == "manifest"]
        self.repo.expect(len(targets), base)
        for side in (before, after):
            self.documents.fetch_ahead(side, targets)
        now = int(self.now())  # whoever makes a commit chooses its time
        at = min(self.repo.time_of(head) or now, now) if clock is None else clock
        evidence = self._gathering.evidence(Checkpoint.CHANGE, before, after, changes, message, at, notes=notes)
        verdict = self._verdict(evidence, message, notes=notes)
        return dataclasses.replace(verdict, notes=(*verdict.notes, *_squashed(evidence, commits))) if notes else verdict

    def consent(self, base: Oid, head: Oid) -> Consent | None:
        """Who has approved the change from the merge base to `head`; None if it needs no approval. Reads no blob."""
        return self._gathering.consent(Snapshot(self.repo, base), Snapshot(self.repo, head))

    def judge_proposed(
        self, base: Oid, records: Mapping[str, bytes], manifests: Mapping[str, bytes], message: str
    ) -> Verdict:
        """Judge manifests that are not committed yet, as if `records` were on `base` already.

        The store is not asked for their blobs: these may be stored later.
        """
        self.repo.expect(len(manifests), base)
        landed: dict[str, Entry | None] = {path: self.repo.git.keep(data) for path, data in records.items()}
        staged: dict[str, Entry | None] = {path: self.repo.git.keep(data) for path, data in manifests.items()}
        before = Snapshot(self.repo, base, landed)
        changes = [Change(path, before.entry(path), entry) for path, entry in staged.items()]
        after, said = Snapshot(self.repo, base, {**landed, **staged}), parse(message)
        evidence = self._gathering.evidence(
            Checkpoint.CHANGE, before, after, changes, said, int(self.now()), blobs=False, consent=False
        )
        return self._verdict(evidence, said)

    def judge_staged(self) -> Verdict:
        """Judge the index against HEAD."""
        head, changes = self.repo.staged()
        before = Snapshot(self.repo, head)
        after = Snapshot(self.repo, head, {change.path: change.new for change in changes})
        return self._verdict(
            self._gathering.evidence(Checkpoint.STAGED, before, after, changes, Message(), 0), Message()
        )

    def judge_tree(self, head: Oid) -> Verdict:
        """Judge everything on the commit `head`, and for each manifest the commit that last changed it."""
        after = Snapshot(self.repo, head)
        changes = self.repo.git.differences(object_id("tree", b"", len(head)), head)
        self.repo.fetch_ahead(change.new for change in changes)
        verdict = self._verdict(
            self._gathering.evidence(Checkpoint.TREE, after, after, changes, Message(), 0), Message()
        )
        targets = [target_of(change.path) for change in changes if path_kind(change.path) == "manifest"]
        self.repo.expect(len(targets), head)
        of_commits = [fault for target in targets for fault in self.faults_of_current(head, target)]
        return dataclasses.replace(verdict, faults=tuple(sorted({*verdict.faults, *of_commits})))

    def faults_of_current(
        self, tip: Oid, target: Target, *, store: bool = False, blobs: Mapping[str, Blob] | None = None
    ) -> tuple[Fault, ...]:
        """The faults of the commit that last changed a target's manifest. `store`: also of its blobs, for sync.

        `blobs`: what another store has of them, by URI; default: the stores of the settings are asked.
        """
        last = self.lineage(tip, target).last
        if last is None:
            return ()
        manifest = self.documents.manifest(Snapshot(self.repo, tip), target) if store else None
        return self.faults_of_step(last, manifest, blobs=blobs)

    def faults_of_step(
        self, step: Step, manifest: Manifest | None, *, blobs: Mapping[str, Blob] | None = None
    ) -> tuple[Fault, ...]:
        """The faults of a commit, and of what its manifest points to, as `faults_of_current` says; None: not asked."""
        tip, target = step.lineage.tip, step.lineage.target
        if tip is None or self.blobs.offline or manifest is None:
            return step.faults
        said = {(fault.path, fault.rule) for fault in step.faults}
        more = self.faults_of_pointers(tip, {target: manifest}, hashed=False, blobs=blobs)
        return (*step.faults, *(fault for fault in more if (fault.path, fault.rule) not in said))

    def faults_of_pointers(
        self,
        tip: Oid,
        manifests: Mapping[Target, Manifest],
        *,
        hashed: bool = True,
        remember: bool = False,
        blobs: Mapping[str, Blob] | None = None,
    ) -> tuple[Fault, ...]:
        """The faults of what manifests point to: of records and tombstones on `tip`, and of blobs.

        `hashed`: read and hash every blob; otherwise only ask for its size. `remember`: do not hash it again later.
        `blobs`: what another store has of them, by URI; default: the stores of the settings are asked.
        """
        snapshot = Snapshot(self.repo, tip)
        settings = self.settings(snapshot)
        uris = (uri for manifest in manifests.values() for uri in manifest.current.values())
        blobs = self.blobs.look(settings, dict.fromkeys(uris, hashed)) if blobs is None else blobs
        if remember:
            self.blobs.remember(blobs)
        foreign: list[Fault] = []
        for target, manifest in manifests.items():
            for slot, uri in manifest.current.items():
                if uri not in settings.places(target, slot, manifest.versions.get(slot, "")) or uri not in blobs:
                    says = (
                        f"{slot} points to {uri}, which is in none of this repository's stores; if it is an old store, "
                        "add its URL to [store] former"
                    )
                    foreign.append(Fault(target.manifest_path, "foreign-uri", says))
                    break
        if foreign:
            return tuple(foreign)
        changes = [
            self._changes.without_history(snapshot, target, manifest, manifest)
            for target, manifest in manifests.items()
        ]
        checkpoint = Checkpoint.TREE if hashed else Checkpoint.SYNC
        return tuple(_judged(Evidence(checkpoint, settings, (), changes, blobs), self._rules))

    def judge_commit(self, tip: Oid, commit: Commit, unsigned: Mapping[str, str] | None = None) -> Verdict:
        """Judge all changes of one commit in the history of `tip`, against its first parent.

        `unsigned`: path → why its signature is missing. Only audit passes this.
        """
        message = self.past.message(commit)
        base, head = _before_and_after(self.repo, commit)
        evidence = self._gathering.evidence(Checkpoint.AUDIT, base, head, commit.changes, message, commit.time, tip=tip)
        odd = odd_changes(self.repo.history_index, commit, base, head)
        return self._verdict(replace(evidence, unsigned=unsigned or {}, odd=odd), message)

    def faults_of_rewrite(self, checkpoint: Checkpoint, lost: Mapping[str, Oid]) -> tuple[Fault, ...]:
        """The faults of a main that no longer descends from commits that were seen on it (`lost`: who → commit)."""
        return tuple(_judged(Evidence(checkpoint, Settings(""), lost=lost), self._rules))

    # the past

    def settings(self, head: Snapshot) -> Settings:
        """The settings that count at a commit: those that stand there, or the last ones that were approved."""
        return self.consents.policies.counted(head)

    def remember(self, policy: Policy | None) -> None:
        """Judge by the settings and the signers that counted when main was seen last, whatever main says of them."""
        if self.consents.policies.remember(policy):
            self.past.forget()
            self._own_faults.clear()
            self._ships.clear()

    def own_faults(self, step: Step) -> tuple[Fault, ...]:
        """The faults of one commit of a lineage alone, judged as sync does, without the store. Judged once."""
        key = (step.commit.oid, step.lineage.target)
        if key not in self._own_faults:
            self._own_faults[key] = () if step.is_trusted else self._judge_step(step)
        return self._own_faults[key]

    def faults_below(self, step: Step) -> tuple[Fault, ...]:
        """If a commit is a ship: the faults of the commit that it was built on."""
        self.own_faults(step)
        if (step.commit.oid, step.lineage.target) not in self._ships or (below := step.older) is None:
            return ()
        return tuple(inherited(fault, below.commit.oid) for fault in self.own_faults(below))

    def signed(self, step: Step) -> tuple[Consent | None, Sequence[Attested]]:
        """Who approved a commit of a lineage, None if it needed nobody, and the evidence that was demanded of it."""
        return self._gathering.signed(step)

    def _judge_step(self, step: Step) -> tuple[Fault, ...]:
        base, head = _before_and_after(self.repo, step.commit)
        change = next(change for change in step.commit.changes if change.path == step.lineage.path)
        settings = self.documents.settings_then(base, head)
        document = self.documents.document(change, formatted=False)
        if self.repo.history_index is None:
            head.listing("")  # raises for a tree that git cannot read
        on_target = self._changes.of(step.lineage, step.place + 1, base, document, step.message)
        if on_target.kind is Kind.SHIP:
            self._ships.add((step.commit.oid, step.lineage.target))
        consent, attested = self._gathering.signed_of(step, base, head, settings, on_target)
        evidence = Evidence(
            Checkpoint.SYNC,
            settings,
            [document],
            [on_target],
            clock=step.commit.time,
            consent=consent,
            attested=attested,
        )
        accepts = _accepts(evidence, step.message)
        return tuple(fault for fault in _judged(evidence, self._rules) if _accepted(fault, accepts) is None)

    def _verdict(self, evidence: Evidence, message: Message, *, notes: bool = True) -> Verdict:
        stopping: list[Fault] = []
        accepted: list[tuple[Fault, str]] = []
        accepts = _accepts(evidence, message)
        for fault in _judged(evidence, self._rules):
            reason = _accepted(fault, accepts)
            if reason is None:
                stopping.append(fault)
            else:
                accepted.append((fault.once_accepted(), reason))
        said = tuple(_noted(evidence, self._rules)) if notes else ()
        return Verdict(tuple(stopping), tuple(accepted), said, evidence)


def _squashed(evidence: Evidence, commits: Sequence[Commit]) -> Iterator[Fault]:
    """Of each ship: that its message may not reach main, if its branch has a merge commit."""
    merge = next((commit.oid for commit in commits if len(commit.parents) > 1), None)
    for target in evidence.targets:
        if merge is not None and target.kind is Kind.SHIP:
            says = (
                f"the branch has a merge commit ({short(merge)}), so a squash on the forge can lose the message that "
                "vouches for this manifest; before the merge, run: pointsman pr refresh"
            )
            yield Fault(target.target.manifest_path, "unvouched-manifest", says)


def _before_and_after(repo: Repository, commit: Commit) -> tuple[Snapshot, Snapshot]:
    return Snapshot(repo, commit.parents[0] if commit.parents else None), Snapshot(repo, commit.oid)


def _accepts(evidence: Evidence, message: Message) -> Mapping[str, Mapping[str, str]]:
    """Path → rule → reason, for the faults that a change accepts. Those of a ship count for its own bytes only."""
    bytes_of = {
        each.target: each.said.manifest if each.kind is Kind.SHIP and each.said else "" for each in evidence.targets
    }
    return {target.manifest_path: message.accepts(target, manifest) for target, manifest in bytes_of.items()}


# The rules are thirty modules: a command that judges nothing has no need of them.


def _judged(evidence: Evidence, rules: Sequence[Rule] | None) -> list[Fault]:
    from pointsman.rules.table import RULES, judge

    return judge(evidence, RULES if rules is None else rules)


def _noted(evidence: Evidence, rules: Sequence[Rule] | None) -> list[Fault]:
    from pointsman.rules.table import RULES, notes

    return notes(evidence, RULES if rules is None else rules)


def _accepted(fault: Fault, accepts: Mapping[str, Mapping[str, str]]) -> str | None:
    """Why a change accepts a fault; None if it does not, or if nobody may accept this rule."""
    from pointsman.rules.table import BY_NAME

    return accepts.get(fault.path, {}).get(fault.rule) if BY_NAME[fault.rule].acceptable else None
