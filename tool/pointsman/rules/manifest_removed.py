"""Rule `manifest-removed`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence, Kind
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        if change.kind is Kind.REMOVAL and (change.passenger or not change.undoes_first):
            silently = ", and the message names only other targets" if change.passenger else ""
            found = f"the manifest is deleted, and serving would have nothing{silently}"
            says = (
                f"{found}: put it back, with git revert if "
                "this is on main already; to take out one type, use pointsman publish --drop; to delete the manifest, "
                f"write 'Accept: {change.target} manifest-removed <why>' into the commit message"
            )
            yield Fault(change.target.manifest_path, "manifest-removed", says, found)


RULE = Rule(
    "manifest-removed",
    stops="a deleted manifest; the revert of a target's first ship passes, unless the message names only other targets",
    mend="`git revert` the commit, or write `Accept: <target> manifest-removed <why>` into its message",
    at=(
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
    ),
    judge=judge,
    acceptable=True,
)
