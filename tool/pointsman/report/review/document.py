"""The document of a review: every target of a change with its figures, from records, contents and the gate's answer.

Its shape: `schemas/output/review.schema.json`; the metrics: docs/review.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from pointsman.artifact import metrics
from pointsman.artifact.content import Content, Lists, Rows
from pointsman.errors import Fault
from pointsman.forge.codeowners import CODEOWNERS_PATHS, CodeOwners
from pointsman.gate.gate import Gate, Verdict
from pointsman.gate.lineage import Lineage
from pointsman.gate.payloads import Contents, Missing, alike
from pointsman.guardrails.comparison import MEASURES, window_age
from pointsman.guardrails.table import GUARDRAILS
from pointsman.outcome import told
from pointsman.repo.snapshot import Snapshot
from pointsman.report.review.verdict import verdict_line
from pointsman.rules.evidence import Checkpoint, Evidence, TargetChange
from pointsman.rules.guardrail import findings
from pointsman.state.documents import HOLD_ON_ALL, Hold, Manifest, Record, read_hold, rfc3339
from pointsman.state.names import Target
from pointsman.state.objects import Oid

SHOWN = 20  # ids of a list
_PAST = 12  # ships of a target whose counts are shown
_PAST_OF = 20  # targets; the past of more would cost more than it tells


def describe(
    gate: Gate, base: Oid, head: Oid | None, verdict: Verdict, *, compared: bool = False, brief: bool = False
) -> dict[str, Any]:
    """The document of a review. `compared`: nobody proposes this change, two states are held against each other.

    `brief`: only what the gate has read already, no contents and nothing of the past.
    """
    evidence = verdict.evidence or Evidence(Checkpoint.CHANGE, gate.documents.settings(Snapshot(gate.repo, base)))
    describing = _Describing(gate, base, evidence, verdict, compared, None if brief else gate.blobs.contents)
    targets = [describing.target(change) for change in evidence.targets]
    targets.sort(key=lambda each: (-_unusual(each), each["target"]))
    paths = {change.target.manifest_path for change in evidence.targets}
    beside = [told(fault, accepted=False) for fault in verdict.faults if fault.path not in paths]
    document = {
        "verdict": "",
        "base": base,
        "head": head,
        "pull_request": None,
        "records": sum(each.kind == "record" and each.change.new is not None for each in evidence.documents),
        "holds": _holds(gate, evidence),
        "faults": beside,
        "targets": targets,
    }
    return {**document, "verdict": verdict_line(document)}


def _holds(gate: Gate, evidence: Evidence) -> list[dict[str, Any]]:
    """What a change does to holds: on what, and what each was and is; None for none, or one that cannot be read."""
    changed = []
    for each in evidence.documents:
        if each.kind == "hold" and (each.change.new is None or isinstance(each.value, Hold)):
            on = "all" if each.path == HOLD_ON_ALL else each.path.removeprefix("holds/").removesuffix(".json")
            data = gate.repo.content(each.change.old)
            was = read_hold(data, each.path) if data is not None else None
            changed.append({"target": on, "was": _hold(was), "is": _hold(each.value)})
    return changed


def _hold(hold: object) -> dict[str, str] | None:
    return {"until": hold.until, "reason": hold.reason} if isinstance(hold, Hold) else None


def _unusual(target: Mapping[str, Any]) -> int:
    """How much a reviewer should look at a target before the others."""
    stopped = any(not fault["accepted"] for fault in target["faults"])
    return 3 if stopped else 2 if target["faults"] else 1 if target["kind"] not in ("ship", "unchanged") else 0


@dataclass(frozen=True, slots=True)
class _Describing:
    """What every target's description needs."""

    gate: Gate
    base: Oid
    evidence: Evidence
    verdict: Verdict
    compared: bool
    contents: Contents | None  # None: be brief

    def target(self, change: TargetChange) -> dict[str, Any]:
        documents, target = self.gate.documents, change.target
        base = Snapshot(self.gate.repo, self.base)
        before = dict(change.references[0]) if change.references else documents.records(base, target, change.before)
        after = {slot: record for slot, record in change.records.items() if record is not None}
        was, now = _versions(change.before), _versions(change.after)
        changes = {
            slot: [was.get(slot), now.get(slot)] for slot in sorted({*was, *now}) if was.get(slot) != now.get(slot)
        }
        read = self._contents(before, after, changes)
        if not change.likeness:  # nobody asked for it yet: no guardrail decides about this change
            both = [(before[slot].version, after[slot].version) for slot in changes if slot in before and slot in after]
            known = {(old, new): alike(read[old], read[new]) for old, new in both if old in read and new in read}
            change = replace(change, likeness=known)
        types = {slot: self._type(change, slot, before, after, read) for slot in sorted({*was, *now})}
        found = {slot: _metrics(slot, before.get(slot), after.get(slot), read) for slot in changes}
        lineage = self.gate.lineage(self.base, target)
        same = change.before is not None and change.before == change.after
        kind = "unchanged" if same else "compared" if self.compared else change.kind.value
        return {
            "target": str(target),
            "kind": kind,
            "changes": changes,
            "metrics": found,
            "types": types,
            "guardrails": self._guardrails(change),
            "faults": self._faults(change),
            "notes": [fault.says for fault in self.verdict.notes if fault.path == target.manifest_path],
            "undoes": self._undoes(change, lineage, changes) if kind == "restore" else None,
            "history": self._history(lineage, sorted({*was, *now})),
            "owners": self._owners(target),
            "undo": _undo(change),
        }

    def _contents(
        self, before: Mapping[str, Record], after: Mapping[str, Record], changes: Mapping[str, Any]
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
    ) -> dict[str, Any]:
        old, new = before.get(slot), after.get(slot)
        age = window_age(new, self.evidence.clock) if new is not None else None
        described: dict[str, Any] = {
            "was": _side(old),
            "is": _side(new),
            "age_days": round(age / 86400, 1) if age is not None else None,
            "first_shipped": self._first_shipped(change.target, slot, new)
            if new is not None and self.contents is not None
            else None,
        }
        was, now = (read.get(record.version) if record is not None else None for record in (old, new))
        for content in (was, now):
            if isinstance(content, Missing):
                return {**described, "not_available": content.why}
        if isinstance(now, Rows) and now.type == "popularity":
            return {**described, **_tops(was if isinstance(was, Rows) else None, now)}
        if isinstance(was, Rows) and isinstance(now, Rows) and now.type == "content_sim":
            tags = metrics.tags(was), metrics.tags(now)
            return {
                **described,
                **_listed("tags_appeared", tags[1] - tags[0]),
                **_listed("tags_vanished", tags[0] - tags[1]),
            }
        if isinstance(was, Rows | Lists) and isinstance(now, Rows | Lists):
            ids = set(metrics.ids(was)), set(metrics.ids(now))
            return {**described, **_listed("added", ids[1] - ids[0]), **_listed("removed", ids[0] - ids[1])}
        return described

    def _first_shipped(self, target: Target, slot: str, record: Record) -> str | None:
        """When main first pointed to a version; None if it never did. Looks no further back than its record."""
        if Snapshot(self.gate.repo, self.base).entry(record.path) is None:
            return None
        first = None
        for step in self.gate.past.since_recorded(self.base, target, [record.path]):
            if step.versions.get(slot) == record.version:
                first = step.commit.time
        return rfc3339(first) if first is not None else None

    def _guardrails(self, change: TargetChange) -> list[dict[str, Any]]:
        if change.after is None:
            return []
        found = []
        for guardrail in GUARDRAILS.values():
            limit = self.evidence.settings.limit(change.target, guardrail.setting)
            for each in findings(self.evidence, change, guardrail):
                figure = round(each.figure, 4) if isinstance(each.figure, float) else each.figure
                found.append(
                    {
                        "rule": guardrail.name,
                        "type": each.slot,
                        "figure": figure,
                        "limit": _limit(limit),
                        "ok": not each.broken,
                        "says": each.says,
                    }
                )
        return found

    def _faults(self, change: TargetChange) -> list[dict[str, Any]]:
        """What the change accepts stands first: reviewers approve it with the rest."""
        path = change.target.manifest_path
        accepted = [
            {**told(fault, accepted=True), "reason": why} for fault, why in self.verdict.accepted if fault.path == path
        ]
        seen = {fault["rule"] for fault in accepted}
        for rule, why in (change.said.accepts if change.said is not None else {}).items():
            if rule not in seen:
                fault = Fault(path, rule, "its message accepts this, which is not broken as far as could be judged")
                accepted.append({**told(fault, accepted=True), "reason": why})
        return accepted + [told(fault, accepted=False) for fault in self.verdict.faults if fault.path == path]

    def _undoes(
        self, change: TargetChange, lineage: Lineage, changes: Mapping[str, list[str | None]]
    ) -> dict[str, Any]:
        last = lineage.last.commit if lineage.last is not None else None
        wanted = _versions(change.after)
        made = next((step.commit for step in lineage.since(1) if step.versions == wanted), None)
        return {
            "commit": last.oid if last else None,
            "title": last.message.partition("\n")[0] if last else "",
            "restores": made.oid if made else None,
            "restored_at": rfc3339(made.time) if made else None,
            "age_days": round((self.evidence.clock - made.time) / 86400, 1) if made else None,
            "lost": {slot: old for slot, (old, _) in changes.items() if old is not None},
        }

    def _history(self, lineage: Lineage, slots: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Slot → what the last ships had of it, oldest first, from records."""
        if len(self.evidence.targets) > _PAST_OF or self.contents is None:
            return {}
        found: dict[str, list[dict[str, Any]]] = {slot: [] for slot in slots}
        documents, target = self.gate.documents, lineage.target
        for step in islice(lineage, _PAST):
            commit = step.commit
            at = Snapshot(self.gate.repo, commit.oid)
            for slot, record in documents.records(at, target, documents.manifest(at, target)).items():
                if slot in found and record.summary:
                    count = next(iter(_measures(record)), 0)
                    found[slot].insert(0, {"commit": commit.oid, "at": rfc3339(commit.time), "items": count})
        return {slot: past for slot, past in found.items() if past}

    def _owners(self, target: Target) -> list[str]:
        base = Snapshot(self.gate.repo, self.base)
        text = next((data for path in CODEOWNERS_PATHS if (data := base.read(path)) is not None), b"")
        return list(CodeOwners(text.decode("utf-8", "replace")).of(target.manifest_path))


def _versions(manifest: Manifest | None) -> Mapping[str, str]:
    return manifest.versions if manifest is not None else {}


def _side(record: Record | None) -> dict[str, Any] | None:
    if record is None:
        return None
    return {
        "version": record.version,
        "segment": record.segment,
        "window": {"start": record.window_start, "end": record.window_end},
        "built_at": record.built_at,
        "recorded_at": record.recorded_at,
        "run": record.run,
        "size": record.size,
        "summary": dict(record.summary),
    }


def _metrics(
    slot: str, old: Record | None, new: Record | None, read: Mapping[str, Content | Missing]
) -> dict[str, Any]:
    """What records tell, and what contents tell where both are there; shares and means to two decimals."""
    found: dict[str, Any] = {}
    for measure in dict.fromkeys(name for record in (old, new) if record for name in _ordered(record)):
        found[measure] = [record.summary.get(measure) if record else None for record in (old, new)]
    found["size"] = [record.size if record else None for record in (old, new)]
    was, now = (read.get(record.version) if record else None for record in (old, new))
    if isinstance(was, Rows | Lists) and isinstance(now, Rows | Lists):
        found |= {
            name: [round(each, 2) for each in figure] if isinstance(figure, list) else round(figure, 2)
            for name, figure in metrics.compare(was, now).items()
        }
    return found


def _ordered(record: Record) -> list[str]:
    """The names of a summary, what the type is counted in first."""
    first = MEASURES.get(record.type, ())
    return [
        *(name for name in first if name in record.summary),
        *(name for name in record.summary if name not in first),
    ]


def _measures(record: Record) -> Iterator[int]:
    return (record.summary[name] for name in _ordered(record))


def _tops(was: Rows | None, now: Rows) -> dict[str, Any]:
    """Both top lists side by side: with each id the place that it has on the other side, None if it is not there."""
    top, was_top = now.ranking[:SHOWN], was.ranking[:SHOWN] if was else []
    ranks, places = _places(was.ranking if was else (), top), _places(now.ranking, was_top)
    rows = was.rows if was else {}
    return {
        "top": [{"id": each, "count": now.rows[each].count, "rank": place, "was_rank": ranks.get(each)}
                for place, each in enumerate(top, 1)],
        "was_top": [{"id": each, "count": rows[each].count, "rank": place, "is_rank": places.get(each)}
                    for place, each in enumerate(was_top, 1)],
        **_listed("entered", [each for each in top if each not in was_top] if was else []),
        **_listed("left", [each for each in was_top if each not in top]),
    }  # fmt: skip


def _places(ranking: Sequence[str], ids: Collection[str]) -> dict[str, int]:
    """Where each of a few ids stands in a ranking, from 1 on."""
    few = frozenset(ids)
    return {each: place for place, each in enumerate(ranking, 1) if each in few}


def _listed(name: str, ids: Sequence[str] | set[str]) -> dict[str, Any]:
    every = sorted(ids) if isinstance(ids, set) else list(ids)
    return {name: every[:SHOWN], f"{name}_count": len(every)}


def _limit(limit: object) -> object:
    return limit if isinstance(limit, bool | int | float) else list(limit) if isinstance(limit, tuple) else str(limit)


def _undo(change: TargetChange) -> str:
    """The command that puts back what is there before the change."""
    if change.last is None or change.before is None:
        return "git revert the merge commit (nothing was shipped before)"
    return f"pointsman rollback {change.target} --to {change.last[:12]}"
