"""Rule `schema-changed`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    for document in evidence.documents:
        if document.change.old is not None and (record := evidence.in_use.get(document.path)) is not None:
            does = "deletes" if document.change.new is None else "changes"
            says = f"this change {does} the schema of a type that has records ({record}): keep it, declare a new type"
            yield Fault(document.path, "schema-changed", says)


RULE = Rule(
    "schema-changed",
    stops="a changed or deleted schema of an artifact type that has records",
    mend="keep the schema and declare a new type",
    at=(
        Checkpoint.STAGED,
        Checkpoint.CHANGE,
        Checkpoint.AUDIT,
    ),
    judge=judge,
)
