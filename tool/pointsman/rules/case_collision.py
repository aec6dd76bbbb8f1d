"""Rule `case-collision`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    for path, twin in evidence.twins.items():
        says = f"a clone on macOS or Windows would merge it with {twin}, which differs only in case: rename it"
        yield Fault(path, "case-collision", says)


RULE = Rule(
    "case-collision",
    stops="two paths that differ only in case: a clone on macOS or Windows would merge them",
    mend="choose another name",
    at=(
        Checkpoint.STAGED,
        Checkpoint.CHANGE,
        Checkpoint.AUDIT,
        Checkpoint.TREE,
    ),
    judge=judge,
)
