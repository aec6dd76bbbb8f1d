"""Gathers the evidence of one change: everything that the rules may look at, read before they are asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from pointsman.gate import blob_cache
from pointsman.gate.attestations import Attestations
from pointsman.gate.blobs import Blobs
from pointsman.gate.case_twins import case_twins
from pointsman.gate.consents import Consents
from pointsman.gate.documents import Documents, retired_by, tombstones
from pointsman.gate.lineage import Past, Step
from pointsman.gate.odd_trees import odd_trees
from pointsman.gate.retention import Retention
from pointsman.gate.target_change import TargetChanges
from pointsman.repo.snapshot import Snapshot
from pointsman.rules.evidence import Attested, Checkpoint, Consent, Document, Evidence, TargetChange
from pointsman.settings import SETTINGS_PATH, Settings
from pointsman.state.documents import Manifest, Tombstone
from pointsman.state.message import Message, parse
from pointsman.state.names import Target
from pointsman.state.objects import Change, Oid
from pointsman.state.paths import path_kind, target_of


class Gathering:
    """For the changes of one repository. What it reads is kept by the parts that read it."""

    def __init__(
        self, documents: Documents, blobs: Blobs, past: Past, changes: TargetChanges, now: Callable[[], float]
    ) -> None:
        self._documents = documents
        self._blobs = blobs
        self._past = past
        self._changes = changes
        self._retention = Retention(past)
        self._now = now
        self.consents = Consents(documents, past)
        self.attestations = Attestations(documents, self.consents)

    def evidence(
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
        consent: bool = True,
    ) -> Evidence:
        """The evidence of a change from `base` to `head`. With `tip`, `head` is a commit in the history of `tip`.

        Without `consent` nobody has to approve it yet.
        """
        self._blobs.contents.forget_proofs()
        reads, past = self._documents, checkpoint is Checkpoint.AUDIT
        settings = (
            reads.settings_then(base, head)
            if past
            else reads.settings(base if base.entry(SETTINGS_PATH) is not None else head)
        )
        policy = self.consents.policies.at(base, settings)
        settings = policy.settings if policy is not None else settings
        formatted = checkpoint in (Checkpoint.STAGED, Checkpoint.CHANGE)
        documents = [reads.document(change, formatted=formatted) for change in changes]
        for tombstone in (document.value for document in documents if isinstance(document.value, Tombstone)):
            if tombstone.erase:
                blob_cache.forget(tombstone.version)
        targets = []
        for document in documents:
            if document.kind != "manifest":
                continue
            if checkpoint is Checkpoint.TREE:
                after = document.value if isinstance(document.value, Manifest) else None
                targets.append(self._changes.without_history(base, target_of(document.path), None, after))
                continue
            lineage = self._past.lineage(tip if past else base.commit, target_of(document.path))
            place = lineage.of(head.commit).place + 1 if past and head.commit is not None else 0
            change = self._changes.of(lineage, place, base, document, message)
            if checkpoint is Checkpoint.CHANGE:
                change = self._changes.before_merge(change, lineage, base, notes=notes)
            targets.append(change)
        if checkpoint is Checkpoint.CHANGE:
            targets = self._blobs.compared(settings, targets)
        judges_history = checkpoint in (Checkpoint.CHANGE, Checkpoint.AUDIT)
        looks = blobs and not self._blobs.offline and checkpoint in (Checkpoint.CHANGE, Checkpoint.TREE)
        brought = targets if looks and checkpoint is Checkpoint.CHANGE else ()
        return Evidence(
            checkpoint,
            settings,
            documents,
            targets,
            self._blobs.of_change(checkpoint, settings, documents, targets) if looks else {},
            self._blobs.contents_of(settings, brought, partial(reads.own_type, base=base)),
            clock,
            case_twins(base, changes, self._past.repo.history_index if past else None),
            reads.in_use(base, documents),
            self._needed(tip or base.commit, base.commit, settings, documents, clock) if judges_history else {},
            reads.unrecorded(base, documents),
            odd_trees(base, head, changes) if checkpoint in (Checkpoint.CHANGE, Checkpoint.TREE) else {},
            consent=self.consents.of(base, head, settings, changes, targets, message, tip=tip)
            if judges_history and consent
            else None,
            attested=self.attestations.of(base, settings, targets, now=None if past else clock or int(self._now()))
            if judges_history
            else {},
        )

    def consent(self, base: Snapshot, head: Snapshot) -> Consent | None:
        """Who has approved the change from the merge base to `head`; None if it needs no approval."""
        repo, settings = self._past.repo, self._documents.settings(base)
        assert base.commit is not None
        assert head.commit is not None
        demanded = self.consents.policies.at(base, settings) is not None
        fork = repo.merge_base(base.commit, head.commit) if demanded else None
        if fork is None:
            return None
        changes = repo.differences(fork, head.commit)
        message = parse(repo.messages(base.commit, head.commit))
        targets = [
            self._changes.of(
                self._past.lineage(base.commit, target_of(change.path)),
                0,
                base,
                self._documents.document(change, formatted=False),
                message,
            )
            for change in changes
            if path_kind(change.path) == "manifest"
        ]
        return self.consents.of(base, head, settings, changes, targets, message)

    def signed(self, step: Step) -> tuple[Consent | None, Sequence[Attested]]:
        """Who approved a commit of a lineage, None if it needed nobody, and the evidence that was demanded of it."""
        repo, commit = self._past.repo, step.commit
        base, head = Snapshot(repo, commit.parents[0] if commit.parents else None), Snapshot(repo, commit.oid)
        change = next(change for change in commit.changes if change.path == step.lineage.path)
        document = self._documents.document(change, formatted=False)
        on_target = self._changes.of(step.lineage, step.place + 1, base, document, step.message)
        settings = self._documents.settings_then(base, head)
        consent, attested = self.signed_of(step, base, head, settings, on_target)
        return consent, attested.get(step.lineage.target, ())

    def signed_of(
        self, step: Step, base: Snapshot, head: Snapshot, settings: Settings, on_target: TargetChange
    ) -> tuple[Consent | None, Mapping[Target, Sequence[Attested]]]:
        """The same of a step that was read already."""
        past, tip = step.place > 0, step.lineage.tip
        consent = self.consents.of(base, head, settings, None, [on_target], step.message, tip=tip, past=past)
        return consent, self.attestations.of(base, settings, [on_target], believes=past)

    def _needed(
        self, tip: Oid | None, base: Oid | None, settings: Settings, documents: Sequence[Document], clock: int
    ) -> dict[str, str]:
        """Tombstone → why its version is still needed, of those that a change on `base` adds."""
        found: dict[str, str] = {}
        now = int(self._now())
        for path, document in tombstones(documents).items() if tip is not None and base is not None else ():
            assert tip is not None
            assert base is not None
            erase = isinstance(document.value, Tombstone) and bool(document.value.erase)
            target, *version = retired_by(path)
            why = self._retention.why_needed(
                tip, base, target, (version[0], version[1]), settings, min(clock or now, now), erase=erase
            )
            if why:
                found[path] = why
        return found
