"""Rule `record-not-landed`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule
from pointsman.state.names import short


def judge(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        for slot, record in change.records.items():
            if record is None and change.after is not None and slot in change.after.versions:
                version = change.after.versions[slot]
                place = change.target.record_path(slot, version)
                says = (
                    f"{slot} {short(version)} has no record on main ({place}): publish its artifact, which adds the "
                    f"record; {change.way_back}"
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
