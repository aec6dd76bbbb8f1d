"""Guardrails as rules: what they find is a fault of a ship, and a note on a restore."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.guardrails.comparison import Finding, Step
from pointsman.guardrails.guardrail import Guardrail
from pointsman.guardrails.table import judge, sentence
from pointsman.rules.evidence import Checkpoint, Evidence, Kind, TargetChange
from pointsman.rules.rule import Rule


def rule_of(guardrail: Guardrail) -> Rule:
    """A guardrail as a rule."""

    def faults(evidence: Evidence) -> Iterator[Fault]:
        for change in evidence.targets:
            found = findings(evidence, change, guardrail) if change.kind is Kind.SHIP else ()
            if said := sentence(each for each in found if each.broken):
                way = f"publish or ship with --accept {change.target}:{guardrail.name} --reason …"
                says = f"{said}; if it is right, {way}"
                yield Fault(change.target.manifest_path, guardrail.name, says, said)

    return Rule(
        guardrail.name,
        stops=guardrail.stops,
        mend=f"`publish --accept TARGET:{guardrail.name} --reason TEXT` if it is right",
        at=(Checkpoint.CHANGE,),
        judge=faults,
        acceptable=True,
    )


def notes(evidence: Evidence, guardrail: Guardrail) -> Iterator[Fault]:
    """What a guardrail says that stops nothing: all that it finds in a restore, and what it could not compare."""
    for change in evidence.targets:
        restored = change.kind is Kind.RESTORE
        found = findings(evidence, change, guardrail) if restored or change.kind is Kind.SHIP else ()
        if said := sentence(each for each in found if each.says and (restored or not each.broken)):
            yield Fault(change.target.manifest_path, guardrail.name, said)


def findings(evidence: Evidence, change: TargetChange, guardrail: Guardrail) -> list[Finding]:
    """What a guardrail finds in the change of one target."""
    if change.after is None:
        return []
    settings, target = evidence.settings, change.target
    return judge(guardrail, lambda slot: settings.limit(target, guardrail.setting, slot), steps(evidence, change))


def steps(evidence: Evidence, change: TargetChange) -> list[Step]:
    """The change, compared with each state that counts, the current one first."""
    after = {slot: record for slot, record in change.records.items() if record is not None}
    slots = tuple(change.after.current) if change.after is not None else ()
    dropped = tuple(change.said.drops) if change.said is not None else ()
    was = change.before.current if change.before is not None and change.references else ()
    return [
        Step(
            before,
            after,
            change.changed,
            slots,
            dropped,
            evidence.clock,
            change.likeness,
            [slot for slot in was if slot not in before] if place == 0 else (),
        )
        for place, before in enumerate(change.references or [{}])
    ]
