"""Rule `on-hold`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence, Kind
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        for path, hold in change.holds.items() if change.kind is Kind.SHIP else ():
            if hold is None:
                says = (
                    f"the hold {path} cannot be read, so it may be one on {change.target}: correct or remove it"
                    f"{evidence.way_back(change.target)}"
                )
                yield Fault(change.target.manifest_path, "on-hold", says)
            elif hold.binds(evidence.clock):
                back = evidence.way_back(change.target)
                says = (
                    f"{change.target} is on hold until {hold.until} ({hold.reason}): wait, or end the hold with "
                    f"pointsman release {hold.target}{back and f'{back}, which passes in a hold'}"
                )
                yield Fault(change.target.manifest_path, "on-hold", says)


RULE = Rule(
    "on-hold",
    stops="a ship of a target during a hold, by the commit's clock; restores pass",
    mend="wait, or end the hold with `release`",
    at=(
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
    ),
    judge=judge,
)
