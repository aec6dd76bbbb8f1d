"""Rule `not-a-plain-file`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule
from pointsman.state.objects import PLAIN_FILE
from pointsman.state.paths import target_of

_MODES = {"120000": "a symlink", "160000": "a submodule", "100755": "an executable file"}


def judge(evidence: Evidence) -> Iterator[Fault]:
    for document in evidence.documents:
        new = document.change.new
        if document.kind != "other" and new is not None and new.mode != PLAIN_FILE:
            what = _MODES.get(new.mode, f"mode {new.mode}")
            says = f"{what} where a plain file belongs: commit a file of mode 100644 in its place"
            if document.kind == "manifest":
                says += evidence.way_back(target_of(document.path))
            yield Fault(document.path, "not-a-plain-file", says)


RULE = Rule(
    "not-a-plain-file",
    stops="a symlink, submodule or executable where a state file belongs",
    mend="commit it as a file of mode 100644",
    at=(
        Checkpoint.STAGED,
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
        Checkpoint.TREE,
    ),
    judge=judge,
)
