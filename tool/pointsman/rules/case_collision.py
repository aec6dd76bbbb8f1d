"""Rule `case-collision`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    for path, twin in evidence.twins.items():
        says = f"it differs from {twin} only in case, and a clone on macOS or Windows can have only one: rename it"
        yield Fault(path, "case-collision", says)


RULE = Rule(
    "case-collision",
    stops="two paths that differ only in case: a clone on macOS or Windows can have only one of them",
    mend="choose another name",
    at=(
        Checkpoint.STAGED,
        Checkpoint.CHANGE,
        Checkpoint.AUDIT,
        Checkpoint.TREE,
    ),
    judge=judge,
)
