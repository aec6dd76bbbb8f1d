"""A review: every target of a change with its figures, from records, contents and the gate's answer.

Its shape: `schemas/output/review.schema.json`; the metrics: docs/review.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from pointsman.artifact.content import Content
from pointsman.errors import Fault
from pointsman.forge.open import KINDS
from pointsman.gate.gate import Gate, Verdict
from pointsman.gate.lineage import Lineage
from pointsman.gate.payloads import Contents, Missing, alike
from pointsman.guardrails.comparison import window_age
from pointsman.guardrails.limits import Limit
from pointsman.guardrails.table import GUARDRAILS
from pointsman.repo.snapshot import Snapshot
from pointsman.report.approvals import approvals_of
from pointsman.report.review.contents import counts_of, figures, with_contents
from pointsman.report.review.value import (
    Changes,
    GuardrailFigure,
    Kind,
    PastShip,
    Review,
    ReviewedEvidence,
    ReviewedHold,
    ReviewedTarget,
    ReviewedType,
    Side,
    Undoes,
    Window,
)
from pointsman.report.review.verdict import verdict_line
from pointsman.rules.evidence import Checkpoint, Evidence, TargetChange
from pointsman.rules.guardrail import findings
from pointsman.state.documents import HOLD_ON_ALL, Hold, Manifest, Record, read_hold, rfc3339
from pointsman.state.names import Target, short
from pointsman.state.objects import Oid
from pointsman.state.ring import NOT_SOAKED
from pointsman.values import HoldTerms, JudgedFault, judged

_PAST = 12  # ships of a target whose counts are shown
_PAST_OF = 20  # targets; the past of more would cost more than it tells


def describe(
    gate: Gate, base: Oid, head: Oid | None, verdict: Verdict, *, compared: bool = False, brief: bool = False
) -> Review:
    """The review. `compared`: nobody proposes this change, two states are held against each other.

    `brief`: only what the gate has read already, no contents and nothing of the past.
    """
    evidence = verdict.evidence or Evidence(Checkpoint.CHANGE, gate.documents.settings(Snapshot(gate.repo, base)))
    describing = _Describing(gate, base, evidence, verdict, compared, None if brief else gate.blobs.contents)
    targets = [describing.target(change) for change in evidence.targets]
    targets.sort(key=lambda each: (-_unusual(each), each.target))
    paths = {change.target.manifest_path for change in evidence.targets}
    review = Review(
        verdict="",
        base=base,
        head=head,
        pull_request=None,
        records=sum(each.kind == "record" and each.change.new is not None for each in evidence.documents),
        holds=_holds(gate, evidence),
        faults=[judged(fault) for fault in verdict.faults if fault.path not in paths],
        targets=targets,
        approvals=approvals_of(gate, base, evidence.consent),
        evidence=_attested(evidence),
    )
    return replace(review, verdict=verdict_line(review))


def _attested(evidence: Evidence) -> list[ReviewedEvidence] | None:
    """What is demanded about the versions that a change ships, and what of it is there."""
    found = [
        ReviewedEvidence(str(target), each.slot, each.name, each.by or None, each.meets, each.says)
        for target, every in evidence.attested.items()
        for each in every
    ]
    return found or None


def _holds(gate: Gate, evidence: Evidence) -> list[ReviewedHold]:
    """What a change does to holds: on what, and what each was and is."""
    changed = []
    for each in evidence.documents:
        if each.kind == "hold" and (each.change.new is None or isinstance(each.value, Hold)):
            on = "all" if each.path == HOLD_ON_ALL else each.path.removeprefix("holds/").removesuffix(".json")
            data = gate.repo.content(each.change.old)
            was = read_hold(data, each.path) if data is not None else None
            changed.append(ReviewedHold(on, _hold(was), _hold(each.value)))
    return changed


def _hold(hold: object) -> HoldTerms | None:
    return HoldTerms.of(hold) if isinstance(hold, Hold) else None


def _unusual(target: ReviewedTarget) -> int:
    """How much a reviewer should look at a target before the others."""
    return 3 if target.is_stopped else 2 if target.faults else 1 if target.kind not in ("ship", "unchanged") else 0


class _Describing(Struct, frozen=True):
    """What every target's description needs."""

    gate: Gate
    base: Oid
    evidence: Evidence
    verdict: Verdict
    compared: bool
    contents: Contents | None  # None: be brief

    def target(self, change: TargetChange) -> ReviewedTarget:
        documents, target = self.gate.documents, change.target
        base = Snapshot(self.gate.repo, self.base)
        before = dict(change.references[0]) if change.references else documents.records(base, target, change.before)
        after = {slot: record for slot, record in change.records.items() if record is not None}
        was, now = _versions(change.before), _versions(change.after)
        changes = {
            slot: (was.get(slot), now.get(slot)) for slot in sorted({*was, *now}) if was.get(slot) != now.get(slot)
        }
        read = self._contents(before, after, changes)
        if not change.likeness:  # nobody asked for it yet: no guardrail decides about this change
            both = [(before[slot].version, after[slot].version) for slot in changes if slot in before and slot in after]
            known = {(old, new): alike(read[old], read[new]) for old, new in both if old in read and new in read}
            change = replace(change, likeness=known)
        types = {slot: self._type(change, slot, before, after, read) for slot in sorted({*was, *now})}
        found = {slot: figures(slot, before.get(slot), after.get(slot), read) for slot in changes}
        lineage = self.gate.lineage(self.base, target)
        same = change.before is not None and change.before == change.after
        kind: Kind = "unchanged" if same else "compared" if self.compared else change.kind.value
        return ReviewedTarget(
            target=str(target),
            kind=kind,
            changes=changes,
            metrics=found,
            types=types,
            guardrails=self._guardrails(change),
            faults=self._faults(change),
            notes=[fault.says for fault in self.verdict.notes if fault.path == target.manifest_path],
            undoes=self._undoes(change, lineage, changes) if kind == "restore" else None,
            history=self._history(lineage, sorted({*was, *now})),
            owners=self._owners(target),
            undo=_undo(change),
        )

    def _contents(
        self, before: Mapping[str, Record], after: Mapping[str, Record], changes: Changes
    ) -> Mapping[str, Content | Missing]:
        """Contents of both sides of every slot that both have, and of a popularity that is new."""
        both = [side[slot] for slot in changes if slot in before and slot in after for side in (before, after)]
        new = [after[slot] for slot in changes if slot == "popularity" and slot not in before and slot in after]
        return self.contents.read_all(self.evidence.settings, [*both, *new]) if self.contents is not None else {}

    def _type(
        self,
        change: TargetChange,
        slot: str,
        before: Mapping[str, Record],
        after: Mapping[str, Record],
        read: Mapping[str, Content | Missing],
    ) -> ReviewedType:
        old, new = before.get(slot), after.get(slot)
        age = window_age(new, self.evidence.clock) if new is not None else None
        seen = self.contents is not None and new is not None
        described = ReviewedType(
            was=_side(old),
            is_=_side(new),
            age_days=round(age / 86400, 1) if age is not None else None,
            first_shipped=self._first_shipped(change.target, slot, new) if seen and new is not None else None,
        )
        was, now = (read.get(record.version) if record is not None else None for record in (old, new))
        return with_contents(described, was, now)

    def _first_shipped(self, target: Target, slot: str, record: Record) -> str | None:
        """When main first pointed to a version; None if it never did. Looks no further back than its record."""
        if Snapshot(self.gate.repo, self.base).entry(record.path) is None:
            return None
        first = None
        for step in self.gate.past.since_recorded(self.base, target, [record.path]):
            if step.versions.get(slot) == record.version:
                first = step.commit.time
        return rfc3339(first) if first is not None else None

    def _guardrails(self, change: TargetChange) -> list[GuardrailFigure]:
        if change.after is None:
            return []
        found = []
        for guardrail in GUARDRAILS.values():
            for each in findings(self.evidence, change, guardrail):
                limit = self.evidence.settings.limit(change.target, guardrail.setting, each.slot)
                figure = round(each.figure, 4) if isinstance(each.figure, float) else each.figure
                found.append(
                    GuardrailFigure(guardrail.name, each.slot, figure, _limit(limit), not each.broken, each.says)
                )
        return found

    def _faults(self, change: TargetChange) -> list[JudgedFault]:
        """What the change accepts stands first: reviewers approve it with the rest."""
        path = change.target.manifest_path
        accepted = [judged(fault, why) for fault, why in self.verdict.accepted if fault.path == path]
        seen = {fault.rule for fault in accepted}
        for rule, why in (change.said.accepts if change.said is not None else {}).items():
            if rule not in seen:
                says = "its message accepts this, which is not broken as far as could be judged"
                says = "it goes to every ring at once, without waiting in any" if rule == NOT_SOAKED else says
                accepted.append(judged(Fault(path, rule, says), why))
        return accepted + [judged(fault) for fault in self.verdict.faults if fault.path == path]

    def _undoes(self, change: TargetChange, lineage: Lineage, changes: Changes) -> Undoes:
        last = lineage.last.commit if lineage.last is not None else None
        wanted = _versions(change.after)
        made = next((step.commit for step in lineage.since(1) if step.versions == wanted), None)
        return Undoes(
            commit=last.oid if last else None,
            title=last.message.partition("\n")[0] if last else "",
            restores=made.oid if made else None,
            restored_at=rfc3339(made.time) if made else None,
            age_days=round((self.evidence.clock - made.time) / 86400, 1) if made else None,
            lost={slot: old for slot, (old, _) in changes.items() if old is not None},
        )

    def _history(self, lineage: Lineage, slots: Sequence[str]) -> dict[str, list[PastShip]]:
        """Slot → what the last ships had of it, oldest first, from records."""
        if len(self.evidence.targets) > _PAST_OF or self.contents is None:
            return {}
        found: dict[str, list[PastShip]] = {slot: [] for slot in slots}
        documents, target = self.gate.documents, lineage.target
        for step in islice(lineage, _PAST):
            commit = step.commit
            at = Snapshot(self.gate.repo, commit.oid)
            for slot, record in documents.records(at, target, documents.manifest(at, target)).items():
                if slot in found and record.summary:
                    count = next(iter(counts_of(record)), 0)
                    found[slot].insert(0, PastShip(commit.oid, rfc3339(commit.time), count))
        return {slot: past for slot, past in found.items() if past}

    def _owners(self, target: Target) -> list[str]:
        base = Snapshot(self.gate.repo, self.base)
        kind = KINDS[base.settings().forge]
        text = next((data for path in kind.owners if (data := base.read(path)) is not None), b"")
        return list(kind.read_owners(text.decode("utf-8", "replace")).of(target.manifest_path))


def _versions(manifest: Manifest | None) -> Mapping[str, str]:
    return manifest.versions if manifest is not None else {}


def _side(record: Record | None) -> Side | None:
    if record is None:
        return None
    return Side(
        version=record.version,
        segment=record.segment,
        window=Window(record.window_start, record.window_end),
        built_at=record.built_at,
        recorded_at=record.recorded_at,
        run=record.run,
        size=record.size,
        summary=record.summary,
    )


def _limit(limit: Limit) -> float | str | bool | list[str]:
    return limit if isinstance(limit, bool | int | float) else list(limit) if isinstance(limit, tuple) else str(limit)


def _undo(change: TargetChange) -> str:
    """The command that puts back what is there before the change."""
    if change.last is None or change.before is None:
        return "git pull --rebase, then git revert the merge commit (nothing was shipped before)"
    return f"pointsman rollback {change.target} --to {short(change.last)}"
