"""Rule `retired`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        if change.retired:
            was = "was" if len(change.retired) == 1 else "were"
            says = (
                f"{change.versions_of(change.retired)} {was} retired (registry/{change.target} has the tombstone): "
                f"publish another version{evidence.way_back(change.target)}"
            )
            yield Fault(change.target.manifest_path, "retired", says)


RULE = Rule(
    "retired",
    stops="a manifest that points to a version with a tombstone",
    mend="publish another version",
    at=(
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.TREE,
    ),
    judge=judge,
)
