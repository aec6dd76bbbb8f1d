"""Rule `bad-path`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule
from pointsman.state.objects import PLAIN_FILE


def judge(evidence: Evidence) -> Iterator[Fault]:
    for document in evidence.documents:
        new = document.change.new
        if document.kind == "bad" and new is not None and new.mode == PLAIN_FILE:
            says = (
                "no file belongs here: state is in manifests/<tenant>/<surface>/manifest.json, "
                "registry/<tenant>/<surface>/<type>/<version>.json, holds/<tenant>/<surface>.json and "
                "approvals/, and names have only letters, digits, '.', '_' and '-'; move or rename this file"
            )
            yield Fault(document.path, "bad-path", says)
    for path, why in evidence.odd.items():
        yield Fault(path, "bad-path", f"{why}: make this commit again with git itself")


RULE = Rule(
    "bad-path",
    stops="a file under `manifests/`, `registry/`, `holds/` or `approvals/` where none belongs, a name that is "
    "not allowed, or a tree that git would not write",
    mend="move it, or choose a name that has only letters, digits, `.`, `_` and `-`",
    at=(
        Checkpoint.STAGED,
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
        Checkpoint.TREE,
    ),
    judge=judge,
)
