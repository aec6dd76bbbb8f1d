"""Rule `evidence-missing`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pointsman.errors import Fault
from pointsman.rules.evidence import Attested, Checkpoint, Evidence
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        why = list(dict.fromkeys(_missing(evidence.attested.get(change.target, ()))))
        if why:
            way = f"attest it, or publish with --accept {change.target}:evidence-missing --reason …"
            found = "; ".join(why)
            says = f"{found}: {way}{evidence.way_back(change.target)}"
            yield Fault(change.target.manifest_path, "evidence-missing", says, found)


def _missing(attested: Sequence[Attested]) -> Iterator[str]:
    """What is against it, and which evidence lacks."""
    for each in attested:
        if each.against:
            yield f"{each.name} of {each.slot}, by {each.by}, says {each.says}"
    for slot, name in dict.fromkeys((each.slot, each.name) for each in attested):
        mine = [each for each in attested if (each.slot, each.name) == (slot, name)]
        if not any(each.meets or each.against for each in mine):
            yield f"{name} of {slot} is missing: {mine[0].says}"


RULE = Rule(
    "evidence-missing",
    stops="a ship of a version without the signed evidence that `[evidence.<name>]` demands, or with evidence that "
    "speaks against it",
    mend="measure it and attest it, or do not ship it; one of several signers who is against it stops it",
    at=(
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
    ),
    judge=judge,
    acceptable=True,
)
