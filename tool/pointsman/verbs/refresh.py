"""Refresh: ship pull requests that main has overtaken, built anew on main as it is now.

Only those that main made stale, for a rebuild costs the approvals given before it. What a pull request changes is what
its `Record:` and `Drop:` lines say, never its diff, and nothing is merged as text. What a rollback took out since is
left out; commits that someone else put on the branch stop the rebuild, and so does a guardrail that nobody accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Annotated, Literal

from msgspec import Struct

from pointsman.errors import Fault, Problem, Refused, one_line, trouble_of
from pointsman.forge.base import Silent
from pointsman.gate.gate import Gate
from pointsman.outcome import Outcome
from pointsman.repo.repository import Repository
from pointsman.repo.retry import until_settled
from pointsman.repo.snapshot import Snapshot
from pointsman.report.markdown import fenced
from pointsman.shipping import merge, pulls
from pointsman.shipping.draft import Terms, Want
from pointsman.shipping.options import ShipOptions
from pointsman.shipping.pulls import Pull
from pointsman.shipping.ship import Shipping
from pointsman.state.message import parse
from pointsman.state.names import short
from pointsman.values import PullRequest, TargetName, ToldFault, told
from pointsman.workspace import Workspace

Became = Literal["fresh", "rebuilt", "merged", "closed", "left", "refused", "failed"]


class RefreshedPullRequest(PullRequest, frozen=True):
    """What became of one pull request, and why."""

    targets: Sequence[TargetName]
    outcome: Became
    says: Annotated[str, "why it is so"]
    faults: Annotated[Sequence[ToldFault], "of a refused one"]


class Refreshed(Struct, frozen=True):
    """What became of each."""

    pull_requests: Sequence[RefreshedPullRequest]
    dry_run: Annotated[bool, "nothing was written: the outcomes are what would be"] = False


def refresh(workspace: Workspace, text: str | None = None, *, dry_run: bool = False) -> Outcome[Refreshed]:
    """Rebuild the stale one that is named, or all. One that cannot be rebuilt stops no other, and is told.

    With `dry_run` each is judged on main as it is now, and nothing is written.

    Exit 1 if the gate lets none of them be rebuilt, the code of the trouble if there is nothing else, 5 if not all.
    """
    repo, progress = workspace.repo, workspace.progress
    repo.refresh()
    if text is not None and text.startswith("revert-"):
        every = pulls.open_pulls(workspace, [text])  # none, if it reverts what is no state
    else:
        every = [pulls.find(workspace, text)] if text is not None else pulls.open_pulls(workspace)
    repo.expect(sum(len(pull.targets) for pull in every))
    done: list[RefreshedPullRequest] = []
    troubles: list[Problem] = []
    for place, pull in enumerate(every):
        try:
            if troubles and isinstance(troubles[-1], Silent):
                raise Silent("not tried: the forge did not answer for the one before")
            done.append(_refresh(workspace, pull, dry_run))
        except Exception as error:  # noqa: BLE001 - whoever may push a branch can show us a bug, and the others wait
            troubles.append(trouble_of(error))
            done.append(_told(pull, "failed", str(troubles[-1])))
        progress.counted("pull requests looked at", place + 1, len(every))
        progress(f"{done[-1].outcome} {pull.branch}")
    if text is not None and troubles:
        raise troubles[0]
    return Outcome(Refreshed(done, dry_run), _exit_code(done, troubles))


def _exit_code(done: Sequence[RefreshedPullRequest], troubles: Sequence[Problem]) -> int:
    outcomes = {each.outcome for each in done}
    if not outcomes & {"refused", "failed"}:
        return 0
    if outcomes & {"rebuilt", "merged", "closed"} or (troubles and outcomes - {"failed"}):
        return 5
    return troubles[0].exit_code if troubles else Refused.exit_code


def _refresh(workspace: Workspace, pull: Pull, dry_run: bool) -> RefreshedPullRequest:
    tries = count()

    def attempt() -> RefreshedPullRequest:
        now = pulls.open_pulls(workspace, [pull.branch]) if next(tries) else [pull]
        if not now:
            return _told(pull, "left", "it was merged or closed meanwhile")
        try:
            return _one(workspace, now[0], dry_run)
        except Refused as error:
            says = "Main moved, and the gate does not pass this on main as it is now. Publish again, or close it.\n\n"
            if not dry_run:
                workspace.forge.comment(now[0].opened, "refresh", says + fenced("\n".join(map(str, error.faults))))
            return _told(now[0], "refused", "the gate does not pass it on main as it is now", error.faults)

    gave_up = f"main moved at every try to rebuild {pull.branch}: run pointsman pr refresh {pull.id}"
    return until_settled(workspace.repo, attempt, gave_up)


def _one(workspace: Workspace, pull: Pull, dry_run: bool) -> RefreshedPullRequest:
    repo, gate = workspace.repo, workspace.gate
    if pull.is_revert and not dry_run:
        pulls.describe_revert(workspace, pull)
    if not pulls.is_stale(gate, repo.main, pull):
        return _fresh(workspace, pull, dry_run)
    if not pull.branch.startswith("ship/"):
        return _told(pull, "left", "main moved what it restores: run pointsman rollback again, and close this")
    if other := pulls.others_work(repo, pull):
        return _told(pull, "left", f"it has a commit that no publish made ({other}): close it, publish again")
    wants, lost = _wants(repo, gate, pull)
    shipping = Shipping(workspace, gate.settings(Snapshot(repo, repo.main)), _terms(pull, lost))
    ship = shipping.rebuilt(wants) if wants else None
    if ship is None:
        why = "a rollback took out what it ships" if lost else "main has what it ships"
        if not dry_run:
            pulls.close_pull(workspace, pull, f"Closed: {why}.")
        return _told(pull, "closed", why)
    approved = workspace.forge.approvals(pull.opened)
    by_a_person = not shipping.settings.auto_merge and pull.opened.merges_with is not None
    says = f"{'on' if dry_run else 'built anew on'} main at {short(repo.main)}"
    says += f"; left out, as a rollback took them out: {', '.join(lost)}" if lost else ""
    before = "is now would" if dry_run else "was before do"
    says += f"; approvals for what it {before} not count: {', '.join(map(one_line, approved))}" if approved else ""
    if dry_run:
        says += "; it would not merge by itself any more" if by_a_person else ""
        return _told(pull, "rebuilt", says)
    rebuilt = shipping.push(ship, pull)
    workspace.forge.comment(rebuilt.opened, "refresh", fenced(says))
    if shipping.settings.auto_merge and merge.merge_when_ready(workspace, rebuilt) is not None:
        return _told(rebuilt, "merged", says)
    if by_a_person:
        says += f"; it does not merge by itself any more: {pulls.OLD_MESSAGE}"
        workspace.forge.comment(rebuilt.opened, "refresh", fenced(says))
    return _told(rebuilt, "rebuilt", says)


def _fresh(workspace: Workspace, pull: Pull, dry_run: bool) -> RefreshedPullRequest:
    """One that main has not overtaken. The forge merges it by itself only with its own message, and past the gate."""
    repo, on = workspace.repo, pull.opened.merges_with
    settings = workspace.gate.settings(Snapshot(repo, repo.main))
    if (settings.approvals or settings.evidence) and not dry_run:
        # The page tells of them, and a forge checks again what is edited.
        pulls.renew(workspace, pull, pull.head)
    wanted = settings.auto_merge and pull.branch.startswith("ship/")
    if not wanted and on is None:
        return _told(pull, "fresh")
    stale = on is not None and parse(on).said != pull.message.said
    faults = workspace.gate.judge_change(repo.main, pull.head, clock=workspace.now, notes=False).faults
    if not faults and wanted and (stale or on is None):
        if dry_run:
            return _told(pull, "fresh", "the forge would merge it by itself, once it may")
        merged = merge.merge_when_ready(workspace, pull) is not None
        return _told(pull, "merged" if merged else "fresh", "the forge merges it by itself, once it may")
    if on is None or not (faults or stale):
        return _told(pull, "fresh")
    says = f"it {'would' if dry_run else 'does'} not merge by itself any more: "
    says += "the gate does not pass it on main as it is now" if faults else pulls.OLD_MESSAGE
    if dry_run:
        return _told(pull, "fresh", says, faults)
    workspace.forge.stop_auto_merge(pull.opened)
    told_there = "\n".join((says, *map(str, faults)))
    workspace.forge.comment(pull.opened, "auto-merge", fenced(told_there))
    return _told(pull, "fresh", says, faults)


def _wants(repo: Repository, gate: Gate, pull: Pull) -> tuple[list[Want], list[str]]:
    """What its lines ask for, without the versions that were taken out since it was made; and which those are."""
    main, fork = repo.main, repo.merge_base(repo.main, pull.head)
    base = Snapshot(repo, main)
    wants, lost = [], []
    for said in pull.message.said:
        out = gate.past.taken_out(main, said.target, said.records)
        before = gate.past.taken_out(fork, said.target, said.records) if fork is not None else set()
        gone = out - before
        want = Want(said.target, drops=set(said.drops))
        for slot, version in said.records.items():
            record = gate.documents.record(base, said.target, slot, version)
            if record is None:
                raise Problem(f"{pull.branch} ships {slot}@{short(version)}, which has no record on main: close it")
            if slot in gone:
                lost.append(f"{said.target} {slot}@{short(version)}")
            else:
                want.records[slot] = record
        if want.records or want.drops:
            wants.append(want)
    return wants, lost


def _terms(pull: Pull, lost: Sequence[str]) -> Terms:
    """The terms under which it was made: what it accepted, it may accept again."""
    accepts = {rule: reason for said in pull.message.said for rule, reason in said.accepts.items()}
    note = f"Left out, as a rollback took them out: {', '.join(lost)}." if lost else ""
    asked = ShipOptions(
        run=pull.message.run,
        reship=any(said.reships for said in pull.message.said),
        accept=tuple(f"{said.target}:{rule}" for said in pull.message.said for rule in sorted(said.accepts)),
        reason=pull.message.reason or next(iter(accepts.values()), ""),
    )
    return Terms(f"pointsman pr refresh {pull.id}", asked, note=note)


def _told(pull: Pull, outcome: Became, says: str = "", faults: Sequence[Fault] = ()) -> RefreshedPullRequest:
    return RefreshedPullRequest(
        id=pull.id,
        url=pull.opened.url,
        branch=pull.branch,
        targets=list(map(str, pull.targets)),
        outcome=outcome,
        says=says,
        faults=list(map(told, faults)),
    )
