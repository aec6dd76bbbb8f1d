"""Guardrails as rules: what stops a ship is a fault, and on a restore it is a note."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.guardrails.comparison import Finding, Step
from pointsman.guardrails.guardrail import Guardrail
from pointsman.guardrails.table import judge, sentence
from pointsman.rules.evidence import Checkpoint, Evidence, Kind, TargetChange
from pointsman.rules.rule import Rule


def rule_of(guardrail: Guardrail) -> Rule:
    """The rule that a guardrail makes."""

    def faults(evidence: Evidence) -> Iterator[Fault]:
        for change in evidence.targets:
            found = findings(evidence, change, guardrail) if change.kind is Kind.SHIP else ()
            if said := sentence(each for each in found if each.broken):
                says = f"{said}; if it is right, publish with --accept {guardrail.name} --reason …"
                yield Fault(change.target.manifest_path, guardrail.name, says)

    return Rule(
        guardrail.name,
        stops=guardrail.stops,
        mend=f"`publish --accept {guardrail.name} --reason TEXT` if it is right",
        at=(Checkpoint.CHANGE,),
        judge=faults,
        acceptable=True,
    )


def notes(evidence: Evidence, guardrail: Guardrail) -> Iterator[Fault]:
    """What a guardrail has to say and stops nothing: all of it on a restore, and what it could not look at."""
    for change in evidence.targets:
        restored = change.kind is Kind.RESTORE
        found = findings(evidence, change, guardrail) if restored or change.kind is Kind.SHIP else ()
        if said := sentence(each for each in found if each.says and (restored or not each.broken)):
            yield Fault(change.target.manifest_path, guardrail.name, said)


def findings(evidence: Evidence, change: TargetChange, guardrail: Guardrail) -> list[Finding]:
    """What a guardrail finds in what a change makes of one target."""
    if change.after is None:
        return []
    return judge(guardrail, evidence.settings.limit(change.target, guardrail.setting), steps(evidence, change))


def steps(evidence: Evidence, change: TargetChange) -> list[Step]:
    """What a change makes of each state that it may be compared with, the current one first."""
    after = {slot: record for slot, record in change.records.items() if record is not None}
    slots = tuple(change.after.current) if change.after is not None else ()
    dropped = tuple(change.said.drops) if change.said is not None else ()
    return [
        Step(before, after, change.changed, slots, dropped, evidence.clock, change.likeness)
        for before in change.references or [{}]
    ]
