"""What a hold does not stop: states that are on main already, and that a ring is still to be given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Struct

from pointsman.errors import trouble_of
from pointsman.history.targets import current_targets
from pointsman.repo.snapshot import Snapshot
from pointsman.serving.ring_state import RingState
from pointsman.values import CommitId, Moment, TargetName
from pointsman.workspace import Workspace


class GoesOn(Struct, frozen=True):
    """A state of main that a ring is still given, whatever is on hold."""

    target: TargetName
    ring: str
    commit: CommitId
    at: Annotated[Moment | None, "when its time has come; null: only time decides nothing"]
    says: Annotated[str, "when the ring gets it, in words"]
    has: Annotated[CommitId | None, "what the ring has now: a rollback to that stops it; null: nothing of main"]


def going_on(workspace: Workspace, targets: Sequence[str]) -> tuple[list[GoesOn], tuple[str, ...]]:
    """What rings are still given of these targets, and notes on what is not known. The hold stands, whatever is met.

    "all" among them means every target of main.
    """
    from pointsman.report.review.in_rings import MOST, in_rings

    try:
        if "all" in targets:
            targets = list(map(str, current_targets(Snapshot(workspace.repo, workspace.repo.main))))
        found = in_rings(workspace, targets)
    except Exception as error:  # noqa: BLE001 - main has the hold
        return [], (_unknown(str(trouble_of(error))),)
    if found is None:
        return [], ()
    notes = [_unknown(f"{each.ring}: {each.says}") for each in found if each.says]
    if len(targets) > MOST:
        notes.append(f"rings were asked about {MOST} of {len(targets)} targets: pointsman rollout shows the others")
    states = [(each.target, each.state) for each in found if each.state is not None]
    return [each for target, state in states for each in _still(target, state)], tuple(dict.fromkeys(notes))


def _still(target: str, ring: RingState) -> Iterator[GoesOn]:
    if ring.due is None:
        return
    waits = [] if ring.waits_for == "stop" else [(ring.due, ring.waits_for == "nothing")]
    for due, is_now in (*waits, *((each, False) for each in ring.then or ())):
        when = "with the next sync" if is_now else f"at {due.at}" if due.at else "once its turn comes"
        says = f"{when}, if its checks pass" if ring.checks and not is_now else when
        yield GoesOn(target, ring.ring, due.commit, due.at, says, ring.commit)


def _unknown(why: str) -> str:
    return f"what rings are still given is not known: {why}; pointsman rollout shows it"
