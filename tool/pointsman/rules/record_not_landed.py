"""Rule `record-not-landed`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        if lacking := change.versions_of(slot for slot, record in change.records.items() if record is None):
            says = (
                f"main has no record of {lacking} (below registry/{change.target}): publish the artifact, which adds "
                f"the record{evidence.way_back(change.target)}"
            )
            yield Fault(change.target.manifest_path, "record-not-landed", says)
    for path in sorted(evidence.unrecorded):
        yield Fault(path, "record-not-landed", "main has no record of this version: there is nothing to retire")


RULE = Rule(
    "record-not-landed",
    stops="a manifest that points to a version without a record on main, or a tombstone of such a version",
    mend="publish the artifact: this adds the record first",
    at=(
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
        Checkpoint.TREE,
    ),
    judge=judge,
)
