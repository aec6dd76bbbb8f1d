"""Rule `bad-json`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    yield from evidence.unreadable("bad-json")
    yield from (fault for fault in evidence.contents if fault.rule == "bad-json")


RULE = Rule(
    "bad-json",
    stops="JSON that two readers could read differently: duplicate names, NaN, a byte order mark, trailing data; "
    "in a document, or in a blob of a ship",
    mend="write it again as plain JSON",
    at=(
        Checkpoint.STAGED,
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
        Checkpoint.TREE,
    ),
    judge=judge,
)
