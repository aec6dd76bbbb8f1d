"""Rule `unvouched-manifest`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence, Kind, TargetChange
from pointsman.rules.rule import Rule
from pointsman.state.documents import Manifest, rfc3339
from pointsman.state.message import Said

_AHEAD = timedelta(days=1)  # of a clock: a manifest of a later time would stand in the way of all that follow
_STEP = timedelta(seconds=1)  # beyond the manifest before, where that one lies ahead already


def judge(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        if change.kind is Kind.EDIT and change.after is not None:
            # A proposed change leaves main as it is: nobody may roll that back because of this.
            proposed = evidence.checkpoint in (Checkpoint.STAGED, Checkpoint.CHANGE)
            back = f"pointsman rollback {change.target} puts back what was good; "
            back += "if nothing was, use pointsman publish --reship"
            says = (
                "this manifest was not made by pointsman: no Manifest: line names it, and it is no earlier good state "
                "(an edit by hand, a squash that lost the message, or two ships that git merged into one): "
                f"{'take this back, and publish again' if proposed else back}"
            )
            yield Fault(change.target.manifest_path, "unvouched-manifest", says)
        elif (
            change.kind is Kind.SHIP and change.after is not None and (slot := _contradicts(change.after, change.said))
        ):
            says = f"its message and its bytes differ about {slot}: publish it again{evidence.way_back(change.target)}"
            yield Fault(change.target.manifest_path, "unvouched-manifest", says)
        elif change.passenger and change.kind is Kind.RESTORE:
            what = f" ({', '.join(change.unsaid)})" if change.unsaid else ""
            says = (
                f"this change puts an earlier state back{what}, but its message names only other targets: make it a "
                f"change of its own with pointsman rollback {change.target}, or add a line 'Restores: {change.target} "
                "<type>@<version>' for each type that it puts back and 'Drop: … <type>' for each that it takes away"
            )
            yield Fault(change.target.manifest_path, "unvouched-manifest", says)
        elif change.kind is Kind.SHIP and change.unsaid:
            says = (
                f"its message does not tell of {', '.join(change.unsaid)}, which it changes too: every type needs a "
                f"Record: or Drop: line; publish it again{evidence.way_back(change.target)}"
            )
            yield Fault(change.target.manifest_path, "unvouched-manifest", says)
        elif not change.restores_known:
            says = "a Restores: line names a version that its slot never had: use pointsman rollback"
            yield Fault(change.target.manifest_path, "unvouched-manifest", says)
        if untimely := _untimely(change, evidence.clock):
            says = f"{untimely}: publish it again{evidence.way_back(change.target)}"
            yield Fault(change.target.manifest_path, "unvouched-manifest", says)


def _untimely(change: TargetChange, clock: int) -> str:
    """What is wrong with the time of new bytes; "" if nothing is. `clock`: seconds since 1970, 0 if it is not known.

    Of a ship that replaces another manifest than the current one, stale-base says what is wrong.
    """
    said, after, before = change.said, change.after, change.before
    if said is None or not said.manifest or after is None:
        return ""
    if said.supersedes != (change.last or "none") and (change.kind is Kind.SHIP or said.supersedes is not None):
        return ""
    time, latest = datetime.fromisoformat(after.updated_at), datetime.fromisoformat(rfc3339(clock)) + _AHEAD
    if before is not None:
        earlier = datetime.fromisoformat(before.updated_at)
        if time <= earlier and change.kind is Kind.SHIP:  # a restore may say so of old bytes, too
            return f"its updated_at {after.updated_at} is not later than {before.updated_at}, which it replaces"
        latest = max(latest, earlier + _STEP)
    if clock > 0 and time > latest:
        says = f"its updated_at {after.updated_at} is more than a day ahead of the clock ({rfc3339(clock)})"
        return f"{says}: set the clock of the machine that made it"
    return ""


def _contradicts(after: Manifest | None, said: Said | None) -> str | None:
    """The first slot with a Record: or Drop: line that does not fit the manifest."""
    if said is None or after is None:
        return None
    wrong = [slot for slot, version in said.records.items() if after.versions.get(slot) != version]
    return next(iter([*wrong, *(slot for slot in said.drops if slot in after.current)]), None)


RULE = Rule(
    "unvouched-manifest",
    stops="a manifest that no `Manifest:` line of the change names and that is no earlier good state; a ship or a "
    "restore beside one that does more than its message says; new bytes whose `updated_at` is not later than the one "
    "they replace, or more than a day ahead of the clock",
    mend="use `pointsman publish` to change it, `pointsman rollback` to restore it",
    at=(
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
    ),
    judge=judge,
)
