"""Rule `schema`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    yield from evidence.unreadable("schema")
    yield from (fault for fault in evidence.contents if fault.rule == "schema")


RULE = Rule(
    "schema",
    stops="a document that is no manifest, record, tombstone, hold or artifact schema, settings that cannot be read, "
    "or a blob of a ship that is no artifact of its type",
    mend="the fault says which member is wrong and what it must be",
    at=(
        Checkpoint.STAGED,
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
        Checkpoint.TREE,
    ),
    judge=judge,
)
