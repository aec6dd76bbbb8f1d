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
                "it is not formatted as pointsman writes it (two-space indent, members in their order, one final "
                "newline), so a diff would not show exactly what changes: let pointsman write it"
            )
            yield Fault(document.path, "not-formatted", says)


RULE = Rule(
    "not-formatted",
    stops="a state document that is not formatted as pointsman writes it; restores pass",
    mend="let pointsman write it",
    at=(
        Checkpoint.STAGED,
        Checkpoint.CHANGE,
    ),
    judge=judge,
)
