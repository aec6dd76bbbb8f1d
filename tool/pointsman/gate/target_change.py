"""What a change does to one target, and all that the rules compare it with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from msgspec.structs import replace

from pointsman.errors import Fault
from pointsman.gate.documents import Documents
from pointsman.gate.lineage import Lineage, Past
from pointsman.repo.snapshot import Snapshot
from pointsman.rules.evidence import Document, Kind, TargetChange
from pointsman.state.documents import Manifest, Record
from pointsman.state.message import Message, Said, is_restore, unsaid, vouching
from pointsman.state.names import Target, short
from pointsman.state.objects import Entry, Oid
from pointsman.state.paths import target_of
from pointsman.state.ring import NOT_SOAKED


class TargetChanges:
    """Gathers the facts about changes of manifests."""

    def __init__(self, documents: Documents, past: Past) -> None:
        self.repo = documents.repo
        self._documents = documents
        self._past = past

    def without_history(
        self, base: Snapshot, target: Target, before: Manifest | None, after: Manifest | None
    ) -> TargetChange:
        """A manifest that is judged only by what it points to, not by how it came onto main."""
        records, retired = self._documents.slots(base, target, after), self._documents.retired(base, target, after)
        broken = self._documents.broken_slots(base, target, after, records)
        return TargetChange(
            target, Kind.RESTORE, before, after, None, None, records=records, unreadable=broken, retired=retired
        )

    def of(self, lineage: Lineage, place: int, base: Snapshot, document: Document, message: Message) -> TargetChange:
        """A change of one manifest. Its base is the step at `place` in the lineage."""
        documents, change, target = self._documents, document.change, target_of(document.path)
        after = document.value if isinstance(document.value, Manifest) else None
        last = lineage.at(place)
        before = documents.manifest(base, target)
        data = self.repo.content(change.new)
        said = vouching(message, target, data) if data is not None else None
        kind = _kind(lineage, place, change.new, before, after, said)
        vouched, said = said is not None, said or message.about(target)
        records = documents.slots(base, target, after)
        missing = tuple(unsaid(said, before.versions if before else {}, after.versions if after else {}))
        found = TargetChange(
            target,
            kind,
            before,
            after,
            said,
            last.commit.oid if last else None,
            kind is Kind.REMOVAL and _undoes_first(lineage, place),
            records,
            unreadable=documents.broken_slots(base, target, after, records),
            retired=documents.retired(base, target, after),
        )
        if kind is Kind.SHIP and after is not None and said is not None and said.supersedes == (found.last or "none"):
            # A stale ship would be compared with what it does not know of. A slot that goes is for type-dropped.
            found = replace(found, unsaid=tuple(slot for slot in missing if slot in after.versions))
        elif kind in (Kind.RESTORE, Kind.REMOVAL) and message.names_another(target) and not vouched:
            silent = said is None or (bool(missing) and message.ships_another(target))
            found = replace(found, unsaid=missing, passenger=silent)
        if kind is Kind.RESTORE and said is not None and said.restores:
            known = all(_had(lineage, place, slot, version) for slot, version in said.restores.items())
            return replace(found, restores_known=known)
        if kind is not Kind.SHIP or after is None:
            return found
        versions = after.versions
        reships = said.reships if said is not None else set()
        changed = {slot: versions[slot] for slot in found.changed if slot in versions}
        taken_out = (
            self._past.taken_out(base.commit, target, changed, tip=lineage.tip) if base.commit is not None else set()
        )
        put_back = {slot for slot, version in reships if versions.get(slot) == version}
        return replace(found, taken_out=frozenset(taken_out - put_back), holds=documents.holds(base, target))

    def before_merge(self, change: TargetChange, lineage: Lineage, base: Snapshot, *, notes: bool) -> TargetChange:
        """The same change with the facts that matter only before the merge."""
        if change.after is None:
            return change
        if change.kind is not Kind.SHIP:
            if not notes or change.kind is not Kind.RESTORE:
                return change
            return replace(change, references=[self._documents.records(base, change.target, change.before)])
        built_on: tuple[Fault, ...] = ()
        if (last := lineage.last) is not None:
            built_on = (*(inherited(fault, last.commit.oid) for fault in last.own_faults), *last.faults_below)
        return replace(change, built_on=built_on, references=self._references(lineage, change, base))

    def _references(self, lineage: Lineage, change: TargetChange, base: Snapshot) -> list[Mapping[str, Record]]:
        """The states that guardrails compare a ship with: the current one, and the last one without Accept: lines."""
        documents, target = self._documents, change.target
        references: list[Mapping[str, Record]] = [documents.records(base, target, change.before)]
        for step in lineage:
            accepts = step.message.accepts(target, step.said.manifest) if step.said is not None else {}
            if not accepts.keys() - {NOT_SOAKED} and step.is_ship:
                shipped = Snapshot(self.repo, step.commit.oid)
                manifest = documents.manifest(shipped, target)
                if step.place == 0 or manifest is None or base.commit is None:
                    return references
                # A rolled-back version was not good, so nothing is compared with it.
                bad = self._past.taken_out(base.commit, target, manifest.versions, tip=lineage.tip)
                records = documents.records(shipped, target, manifest)
                return [*references, {slot: record for slot, record in records.items() if slot not in bad}]
        return references


def _kind(
    lineage: Lineage,
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
    return Kind.RESTORE if lineage.is_vouched(new, place) else Kind.EDIT


def _undoes_first(lineage: Lineage, place: int) -> bool:
    """Whether the manifest at `place` is that of a first ship, or none since was good: deleting it undoes that."""
    last = lineage.at(place)
    steps = []
    for step in lineage.since(place):
        steps.append(step)
        if last is not None and step.before is None:
            return (last.after == step.after and step.is_good) or not any(each.is_good for each in steps)
    return False


def _had(lineage: Lineage, place: int, slot: str, version: str) -> bool:
    return any(step.versions.get(slot) == version and step.is_good for step in lineage.since(place))


def inherited(fault: Fault, built_on: Oid) -> Fault:
    """The fault of a ship that is built on a faulty commit."""
    says = (
        f"the manifest on main already breaks this rule (since {short(built_on)}): run pointsman rollback "
        f"{target_of(fault.path)} first (the fault there: {fault.says})"
    )
    return dataclasses.replace(fault, says=says)
