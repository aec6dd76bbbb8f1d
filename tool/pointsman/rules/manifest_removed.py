"""Rule `manifest-removed`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence, Kind
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        if change.kind is Kind.REMOVAL and not change.undoes_first:
            says = (
                "the manifest is removed: serving would have nothing; to take out one type use pointsman publish "
                "--drop, to undo a ship git revert; if it is meant, the message says "
                f"'Accept: {change.target} manifest-removed <why>'"
            )
            yield Fault(change.target.manifest_path, "manifest-removed", says)


RULE = Rule(
    "manifest-removed",
    stops="a manifest that is deleted; the revert of a target's first ship passes",
    mend="`git revert` the commit, or say `Accept: <target> manifest-removed <why>` in its message",
    at=(
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
    ),
    judge=judge,
    acceptable=True,
)
