"""Rollback: earlier manifests, byte for byte, after proving that all they point to is still there.

All targets of one rollback move in one commit, of one pull request or straight on main: all of them or none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from msgspec import Struct

from pointsman.errors import Problem, Refused
from pointsman.gate.gate import Gate
from pointsman.history.events import Changes, Versions
from pointsman.outcome import Outcome
from pointsman.repo.moves import Move
from pointsman.repo.origin import MAIN
from pointsman.repo.repository import Repository
from pointsman.repo.retry import until_settled
from pointsman.repo.snapshot import Snapshot, versions_in
from pointsman.report.approvals import approvals_of
from pointsman.serving.outcomes import ToldClaim
from pointsman.shipping import pulls
from pointsman.shipping.branches import digits_of
from pointsman.shipping.merge import waits_for_people
from pointsman.shipping.options import NOT_NOW
from pointsman.state.documents import Manifest, read_manifest
from pointsman.state.message import compose
from pointsman.state.objects import Entry, Oid
from pointsman.values import Approvals, CommitId, HoldTerms, PullRequest, Sha256, SlotName, TargetName
from pointsman.verbs import rollback_plan
from pointsman.verbs.holds import undoing
from pointsman.verbs.rollback_plan import Plan, Request
from pointsman.workspace import Workspace

__all__ = ["Request", "roll_back"]
_LINES = 20  # of a commit's message
_SHOWN = 3  # targets

Became = Literal["opened", "merged", "unchanged", "left", "claimed", "dry-run"]


class PlaceRestored(Struct, frozen=True):
    """What break-glass did at one of several places."""

    place: str
    outcome: Became


class Restored(Struct, frozen=True):
    """What became of one target."""

    target: TargetName
    from_: Annotated[Sha256 | None, "SHA-256 of the manifest on main"]
    to: Annotated[Sha256 | None, "SHA-256 of the manifest that is put back"]
    outcome: Annotated[
        Became,
        "left: there was nothing earlier, and nobody named it; exit 5. claimed: only serving has it, by --break-glass",
    ]
    pull_request: PullRequest | None
    commit: CommitId | None
    approvals: Annotated[Approvals | None, "of its pull request; left out if it needs none"] = None
    hold: Annotated[HoldTerms | None, "with --hold: the hold that is set with it, or stands and ends no earlier"] = None
    says: Annotated[str | None, "why it stays as it is"] = None
    claim: Annotated[ToldClaim | None, "with --break-glass: what holds the target there until main decides"] = None
    places: Annotated[Sequence[PlaceRestored] | None, "with --break-glass: each of several places"] = None
    state: Annotated[CommitId | None, "the commit of main whose state is put back; left out if nothing is"] = None
    changes: Annotated[
        Mapping[SlotName, Versions] | None, "what that changes, on main or with --break-glass in serving"
    ] = None


class RolledBack(Struct, frozen=True):
    """What became of all targets of a rollback."""

    targets: Sequence[Restored]


def roll_back(workspace: Workspace, request: Request) -> Outcome[RolledBack]:
    """Restore an earlier manifest of each target, by a pull request or, with `now`, on main: all of them or none.

    Of targets that nobody named, those with nothing earlier are left, and exit is 5.
    """
    repo = workspace.repo
    repo.skips_tables = True
    repo.refresh()
    offer = (lambda: repo.main) if request.now else None
    return until_settled(repo, lambda: _roll_back(workspace, request), offer=offer, urgent=True)


def _roll_back(workspace: Workspace, request: Request) -> Outcome[RolledBack]:
    repo, gate = workspace.repo, workspace.gate
    main = repo.main
    plans = list(rollback_plan.plans(workspace, request))
    moving = [plan for plan in plans if plan.moves]
    rollback_plan.prove(gate, moving, dry_run=request.dry_run)
    said = [plan.said for plan in moving]
    changed = [plan for plan in plans if plan.moves or plan.hold is not None]
    if plans and all(plan.left for plan in plans):
        raise Problem(plans[0].says)
    if not changed:
        return _outcome(gate, plans, "unchanged")
    branch = _branch(request, changed)
    ref = f"refs/heads/{branch}"
    if not request.now and not request.dry_run and (there := repo.heads.get(ref)) is not None:
        pull = pulls.reference(pulls.show_on_forge(workspace, branch, there))
        return _outcome(gate, plans, "unchanged", there, pull)
    files: dict[str, bytes | Entry | None] = {plan.target.manifest_path: plan.after for plan in moving}
    files |= {plan.hold.path: plan.hold.render() for plan in plans if plan.hold is not None}
    held_now = [
        str(plan.target) for plan in changed if request.now and not plan.moves
    ]  # Rollback-Now: says it of others
    text = compose(
        _subject(moving or changed),
        said,
        reason=request.reason,
        note=_note(request, plans),
        held_now=held_now,
        broke_glass=request.broke_glass,
    )
    commit = repo.commit(repo.tree_with(repo.tree_of(main), files), [main], text)
    verdict = gate.judge_change(main, commit, notes=False)
    if verdict.faults and (request.now or not waits_for_people(verdict.faults)):
        raise Refused(verdict.faults)
    if request.dry_run:
        return _outcome(gate, plans, "dry-run")
    if request.now:
        repo.move([Move(MAIN, commit, main)], NOT_NOW)
        return _outcome(gate, plans, "merged", commit)
    pulls.replace_head(workspace, branch, commit, None)
    pull = pulls.reference(pulls.show_on_forge(workspace, branch, commit))
    return _outcome(gate, plans, "opened", commit, pull)


# what is said of it


def _branch(request: Request, plans: Sequence[Plan]) -> str:
    place = plans[0].target.place if len(plans) == 1 else "run"
    in_order = sorted(plans, key=lambda plan: plan.target)
    return f"rollback/{place}/{digits_of([plan.key for plan in in_order])}"


def _subject(plans: Sequence[Plan]) -> str:
    held = sum(plan.hold is not None for plan in plans)
    if len(plans) == 1:
        (plan,) = plans
        also = ", and hold it" if held else ""
        return f"rollback: {plan.target} to {plan.to}{also}" if plan.moves else f"hold: {plan.target}"
    what = "rollback" if plans[0].moves else "hold"
    also = f", and hold {held} of them" if held and plans[0].moves else ""
    some = ", ".join(str(plan.target) for plan in plans[:_SHOWN])
    return f"{what}: {len(plans)} targets, {some}{' …' if len(plans) > _SHOWN else ''}{also}"


def _note(request: Request, plans: Sequence[Plan]) -> str:
    moving = [plan for plan in plans if plan.moves]
    lines = [undoing(request.run)] if request.run is not None else []
    lines += [f"{plan.target} to {plan.to}" for plan in moving[:_LINES] if len(moving) > 1]
    lines += [f"… and {len(moving) - _LINES} more"] if len(moving) > _LINES else []
    held = [plan.target for plan in plans if plan.hold is not None]
    until = next((plan.hold.until for plan in plans if plan.hold is not None), "")
    some = ", ".join(map(str, held[:_LINES])) + (f" and {len(held) - _LINES} more" if len(held) > _LINES else "")
    lines += [f"With a hold until {until} on {some}"] if held else []
    return "\n".join(lines)


def _outcome(
    gate: Gate,
    plans: Sequence[Plan],
    outcome: Became,
    commit: Oid | None = None,
    pull: PullRequest | None = None,
) -> Outcome[RolledBack]:
    """What became of each target; `commit` and `pull` are of those that changed."""
    repo, main = gate.repo, gate.repo.main
    approvals = approvals_of(gate, main, gate.consent(main, commit)) if pull and commit else None

    def told(plan: Plan) -> Restored:
        mine = (commit is not None or outcome == "dry-run") and (plan.moves or plan.hold is not None)
        return Restored(
            target=str(plan.target),
            from_=_sha256(repo, plan.before),
            to=_sha256(repo, _after(repo, plan, commit if mine else None)),
            outcome="left" if plan.left else outcome if mine else "unchanged",
            pull_request=pull if mine else None,
            commit=commit if mine else None,
            approvals=approvals if mine else None,
            hold=HoldTerms.of(plan.hold or plan.stands),
            says=plan.says or None,
            state=plan.state if mine and plan.moves else None,
            changes=_changes(repo, plan) if mine and plan.moves else None,
        )

    return Outcome(RolledBack(list(map(told, plans))), 5 if any(plan.left for plan in plans) else 0)


def _after(repo: Repository, plan: Plan, commit: Oid | None) -> Entry | bytes | None:
    """What is put back: what `commit` has, which may be a pull request that was open before; else what is planned."""
    if commit is not None:
        return Snapshot(repo, commit).entry(plan.target.manifest_path)
    return plan.before if plan.after is None and not plan.removes else plan.after


def _changes(repo: Repository, plan: Plan) -> Changes:
    after = plan.after if isinstance(plan.after, bytes) else repo.content(plan.after)
    manifest = read_manifest(after, plan.target.manifest_path) if after is not None else None
    return changes_of(versions_in(repo, plan.before), manifest.versions if isinstance(manifest, Manifest) else {})


def changes_of(was: Mapping[str, str], now: Mapping[str, str]) -> Changes:
    """The types whose version is another, each with the version before and after."""
    return {slot: (was.get(slot), now.get(slot)) for slot in sorted({*was, *now}) if was.get(slot) != now.get(slot)}


def _sha256(repo: Repository, state: Entry | bytes | None) -> str | None:
    data = state if isinstance(state, bytes) else repo.content(state)
    return hashlib.sha256(data).hexdigest() if data is not None else None
