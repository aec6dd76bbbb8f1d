"""Rule `blob-altered`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    for path, slot, record, blob in evidence.seen_blobs():
        if blob.sha256 is not None and blob.sha256 != record.version:
            says = (
                f"{slot}: the bytes at {record.uri} do not hash to their version: someone changed the store; delete "
                "the blob and publish its artifact again"
            )
            yield Fault(path, "blob-altered", says)


RULE = Rule(
    "blob-altered",
    stops="a blob whose bytes do not hash to its version",
    mend="find out who writes to the store; delete the blob and publish its artifact again",
    at=(
        Checkpoint.CHANGE,
        Checkpoint.TREE,
    ),
    judge=judge,
)
