"""Rule `wrong-place`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault, Problem
from pointsman.rules.evidence import Checkpoint, Evidence, State
from pointsman.rules.rule import Rule
from pointsman.state.documents import Manifest
from pointsman.state.names import Target


def judge(evidence: Evidence) -> Iterator[Fault]:
    for document in evidence.documents:
        if document.value is None:
            continue
        belongs = expected_path(document.value)
        if belongs != document.path:
            where = f"it belongs at {belongs}" if belongs else "its own names are no names"
            says = f"what it says of itself does not fit its path ({where}): mend the document or move the file"
            yield Fault(document.path, "wrong-place", says)


def expected_path(value: State) -> str:
    """Where a document that says this of itself belongs; "" where its names are no names."""
    try:
        return Target(value.tenant, value.surface).manifest_path if isinstance(value, Manifest) else value.path
    except Problem:
        return ""


RULE = Rule(
    "wrong-place",
    stops="a document that says something else of itself than its path",
    mend="mend the document or move the file",
    at=(
        Checkpoint.STAGED,
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
        Checkpoint.TREE,
    ),
    judge=judge,
)
