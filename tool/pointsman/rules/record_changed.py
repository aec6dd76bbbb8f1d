"""Rule `record-changed`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    for document in evidence.documents:
        if document.kind in ("record", "tombstone") and document.change.old is not None:
            does = "deletes" if document.change.new is None else "changes"
            says = f"this change {does} a {document.kind}: records and tombstones are only ever added, so take this out"
            yield Fault(document.path, "record-changed", says)


RULE = Rule(
    "record-changed",
    stops="a record or tombstone that is changed, renamed or deleted",
    mend="take that out of the change",
    at=(
        Checkpoint.STAGED,
        Checkpoint.CHANGE,
        Checkpoint.AUDIT,
    ),
    judge=judge,
)
