"""Rule `rolled-back`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence, Kind
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        if change.kind is Kind.SHIP and change.after is not None and change.taken_out:
            was, it = ("was", "it is") if len(change.taken_out) == 1 else ("were", "they are")
            says = (
                f"{change.versions_of(change.taken_out)} {was} rolled back: if {it} good after all, publish or ship "
                f"with --reship{evidence.way_back(change.target)}"
            )
            yield Fault(change.target.manifest_path, "rolled-back", says)


RULE = Rule(
    "rolled-back",
    stops="a ship of a version that a restore took out",
    mend="if it is good after all, publish or ship it with `--reship`",
    at=(
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
    ),
    judge=judge,
)
