"""Rule `blob-missing`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    for path, slot, record, blob in evidence.seen_blobs():
        if blob.size is None:
            yield Fault(path, "blob-missing", f"{slot}: no blob at {record.uri}: publish its artifact again")
        elif blob.size != record.size:
            says = (
                f"{slot}: the blob at {record.uri} has {blob.size} bytes, but its record says {record.size}: delete it "
                "and publish its artifact again"
            )
            yield Fault(path, "blob-missing", says)


RULE = Rule(
    "blob-missing",
    stops="a blob that is missing, or has another size than its record says",
    mend="delete a blob of the wrong size; publish its artifact again",
    at=(
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.TREE,
    ),
    judge=judge,
)
