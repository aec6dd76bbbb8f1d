"""Rule `too-large`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule
from pointsman.state.paths import DOCUMENTS


def judge(evidence: Evidence) -> Iterator[Fault]:
    limit = evidence.settings.state_file_bytes
    restored = evidence.restored
    for document in evidence.documents:
        if document.kind in DOCUMENTS and document.size > limit and document.path not in restored:
            says = f"{document.size} bytes, the limit is {limit} ([limits] state_file_bytes): make it smaller"
            yield Fault(document.path, "too-large", says)


RULE = Rule(
    "too-large",
    stops="a state file over `[limits] state_file_bytes`",
    mend="make it smaller",
    at=(
        Checkpoint.STAGED,
        Checkpoint.CHANGE,
        Checkpoint.TREE,
    ),
    judge=judge,
)
