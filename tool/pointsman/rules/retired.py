"""Rule `retired`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule
from pointsman.state.names import short


def judge(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        for slot in sorted(change.retired):
            version = change.after.versions[slot] if change.after is not None else ""
            place = change.target.tombstone_path(slot, version)
            says = f"{slot} {short(version)} was retired ({place}): publish another version; {change.way_back}"
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
