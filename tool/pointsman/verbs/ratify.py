"""Ratify: main gets what break-glass put in front of serving, so that the claim has done its work."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from pointsman.errors import NotAllowed, Problem
from pointsman.gate.gate import Gate
from pointsman.history.targets import choose
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.serving.claims import Claims, Standing, claims_at
from pointsman.serving.pointers import open_place
from pointsman.state.claim import Claim
from pointsman.state.message import check_value
from pointsman.state.names import Pattern, Target, short
from pointsman.store.closed import Closed
from pointsman.verbs.rollback import Restored, RolledBack, roll_back
from pointsman.verbs.rollback_plan import Request
from pointsman.workspace import Workspace


class Open(Struct, frozen=True):
    """The open claims: the newest of a target that holds, those whose state main has, what is wrong with the others."""

    holding: dict[Target, Claim]
    ratified: dict[Target, Claim]
    notes: tuple[str, ...]


def ratify(
    workspace: Workspace, named: Sequence[Target | Pattern] = (), *, dry_run: bool = False
) -> Outcome[RolledBack]:
    """Restore what each claim that holds stands for: straight on main where that is allowed, else by a pull request.

    With `dry_run` each is judged as for main, and nothing is written.
    Problem if no claim holds, with what is wrong with those that stand there.
    """
    found = _open_claims(workspace)
    every = {**found.ratified, **found.holding}
    asked = set(choose(Snapshot(workspace.repo, workspace.repo.main), named)) if named else set(every)
    chosen = {target: claim for target, claim in every.items() if target in asked}
    if not chosen:
        more = f" ({'; '.join(found.notes)})" if found.notes else ""
        raise Problem(f"no claim holds{f' {named[0]}' if named else ''}, so there is nothing to ratify{more}")
    done: list[Restored] = []
    for target, claim in sorted(chosen.items()):
        if target in found.holding:
            done += _restore(workspace.again(), target, claim, dry_run=dry_run).value.targets
        else:
            done.append(_unchanged(workspace, target, claim))
    return Outcome(RolledBack(done), 0, found.notes)


def _open_claims(workspace: Workspace) -> Open:
    repo, gate = workspace.repo, workspace.gate
    main = repo.refresh()
    claims = Claims(gate, main, workspace.now)
    holding: dict[Target, Claim] = {}
    ratified: dict[Target, Claim] = {}
    notes = []
    for place in Snapshot(repo, main).settings().serving:
        closed: Closed = {}
        for target, held in claims_at(open_place(place), closed=closed).items():
            standing = claims.judge(place, target, held.data)
            claim = standing.claim
            if claim is not None and standing.is_main:
                ratified[target] = claim
            elif claim is None or not standing.holds:
                notes.append(f"the claim of {target} holds nothing: {standing.says}{_instead(gate, target, standing)}")
            elif target not in holding or holding[target].begins < claim.begins:
                holding[target] = claim
        notes += [f"claims may be missed: {why}" for why in closed.values()]
    return Open(holding, ratified, tuple(notes))


def _instead(gate: Gate, target: Target, standing: Standing) -> str:
    """What makes main's what a claim stands for that nobody can ratify; "" if main moved on, or never had it."""
    claim = standing.claim
    if claim is None or standing.is_over or not gate.lineage(gate.repo.main, target).has(claim.state):
        return ""
    return f"; next: pointsman rollback {target} --to {short(claim.state)} --now --reason TEXT"


def _unchanged(workspace: Workspace, target: Target, claim: Claim) -> Restored:
    """What is told where main has the state of a claim already, as after a ratify that no sync has seen yet."""
    last = workspace.gate.lineage(workspace.repo.main, target).last
    commit = last.commit.oid if last is not None else None
    return Restored(str(target), claim.to, claim.to, "unchanged", None, commit)


def _restore(workspace: Workspace, target: Target, claim: Claim, *, dry_run: bool) -> Outcome[RolledBack]:
    """On main, or by a pull request where the origin does not let this user push main."""
    line = f"{target} {claim.at} {check_value(claim.by, 'the name in the claim')}"
    reason = check_value(claim.reason, "the reason of the claim")
    request = Request((target,), to=claim.state, now=True, reason=reason, dry_run=dry_run, broke_glass=(line,))
    try:
        return roll_back(workspace, request)
    except NotAllowed:
        return roll_back(workspace.again(), replace(request, now=False))
