"""Rule `stale-base`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence, Kind
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        if change.said is None or (change.kind is not Kind.SHIP and change.said.supersedes is None):
            continue
        replaces, last = change.said.supersedes, change.last or "none"
        if replaces != last:
            again = "publish" if change.kind is Kind.SHIP else "roll back"
            says = (
                f"{change.target} was built on a manifest that is no longer current (it replaces "
                f"{(replaces or 'nothing it names')[:12]}, main has {last[:12]}): {again} again"
            )
            yield Fault(change.target.manifest_path, "stale-base", says)


RULE = Rule(
    "stale-base",
    stops="a ship whose `Supersedes:` is not the commit that last changed its manifest: someone was faster",
    mend="publish again",
    at=(
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
    ),
    judge=judge,
)
