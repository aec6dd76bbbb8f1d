"""Rule `unvouched-manifest`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence, Kind
from pointsman.rules.rule import Rule
from pointsman.state.documents import Manifest
from pointsman.state.message import Said


def judge(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        if change.kind is Kind.EDIT and change.after is not None:
            says = (
                "nothing vouches for these bytes: no Manifest: line of the change names them and main never had them "
                "in a good state (a hand edit, a merge that blended two ships, or a squash that lost the message): "
                "make changes with pointsman publish, and put back what is on main with pointsman rollback"
            )
            yield Fault(change.target.manifest_path, "unvouched-manifest", says)
        elif (
            change.kind is Kind.SHIP and change.after is not None and (slot := _contradicts(change.after, change.said))
        ):
            says = f"its message says something else of {slot} than its bytes: publish it again"
            yield Fault(change.target.manifest_path, "unvouched-manifest", says)
        elif not change.restores_known:
            says = "a Restores: line names a version that this slot never had: use pointsman rollback"
            yield Fault(change.target.manifest_path, "unvouched-manifest", says)


def _contradicts(after: Manifest | None, said: Said | None) -> str | None:
    """The first slot that a message speaks of in a Record: or Drop: line otherwise than the manifest does."""
    if said is None or after is None:
        return None
    wrong = [slot for slot, version in said.records.items() if after.versions.get(slot) != version]
    return next(iter([*wrong, *(slot for slot in said.drops if slot in after.current)]), None)


RULE = Rule(
    "unvouched-manifest",
    stops="manifest bytes that neither a `Manifest:` line of the change nor a good earlier state vouches for",
    mend="use `pointsman publish` or `rollback`; on main, `git revert` the commit",
    at=(
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
    ),
    judge=judge,
)
