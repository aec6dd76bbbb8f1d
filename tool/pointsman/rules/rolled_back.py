"""Rule `rolled-back`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence, Kind
from pointsman.rules.rule import Rule
from pointsman.state.names import short


def judge(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        if change.kind is Kind.SHIP and change.after is not None:
            for slot in sorted(change.taken_out):
                version = change.after.versions[slot]
                says = (
                    f"{slot} {short(version)} was rolled back: if it is good after all, publish it with --reship; "
                    f"{change.way_back}"
                )
                yield Fault(change.target.manifest_path, "rolled-back", says)


RULE = Rule(
    "rolled-back",
    stops="a ship of a version that a restore took out",
    mend="if it is good after all, publish it with `--reship`",
    at=(
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
    ),
    judge=judge,
)
