"""Rule `not-formatted`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    restored = evidence.restored
    for document in evidence.documents:
        if not document.formatted and document.path not in restored:
            says = (
                "its bytes are not the canonical rendering of what it says (two-space indent, members in their order, "
                "one final newline), so that a diff would show more or less than what changes: let pointsman write it"
            )
            yield Fault(document.path, "not-formatted", says)


RULE = Rule(
    "not-formatted",
    stops="a state document whose bytes are not the canonical rendering of what it says; restores pass",
    mend="let pointsman write it",
    at=(
        Checkpoint.STAGED,
        Checkpoint.CHANGE,
    ),
    judge=judge,
)
