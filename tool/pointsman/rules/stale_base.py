"""Rule `stale-base`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence, Kind
from pointsman.rules.rule import Rule
from pointsman.state.names import short


def judge(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        if change.said is None or (change.kind is not Kind.SHIP and change.said.supersedes is None):
            continue
        replaces, last = change.said.supersedes, change.last or "none"
        if replaces != last:
            is_ship = change.kind is Kind.SHIP
            again = (
                f"publish again, or run pointsman pr refresh{evidence.way_back(change.target)}"
                if is_ship
                else f"run pointsman rollback {change.target} again"
            )
            says = (
                f"{change.target} was built on a manifest that is no longer current (it replaces "
                f"{short(replaces) if replaces else 'no commit that it names'}, main has {short(last)}): {again}"
            )
            yield Fault(change.target.manifest_path, "stale-base", says)


RULE = Rule(
    "stale-base",
    stops="a ship whose `Supersedes:` is not the commit that last changed its manifest: someone was faster",
    mend="publish again, or `pointsman pr refresh`",
    at=(
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
    ),
    judge=judge,
)
