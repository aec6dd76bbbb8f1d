"""Rule `record-not-landed`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        if broken := change.versions_of(change.unreadable):
            says = (
                f"what stands for the record of {broken} cannot be read, and publishing again adds no other: whoever "
                "may push main pushes the git revert of the commit that left it so (git log -- "
                f"registry/{change.target} names it), for record-changed lets no pull request do that"
            )
            yield Fault(change.target.manifest_path, "record-not-landed", says)
        none = (slot for slot, record in change.records.items() if record is None and slot not in change.unreadable)
        if lacking := change.versions_of(none):
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
