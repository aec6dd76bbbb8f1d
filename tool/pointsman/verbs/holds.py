"""Holds of many targets: each is set or released by itself, so the trouble of one stops no other."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec.structs import replace

from pointsman.errors import OriginAway, Problem, Refused, trouble_of
from pointsman.forge.base import Silent
from pointsman.history.targets import choose, current_targets
from pointsman.outcome import Outcome, exit_of_many
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.state.documents import HOLD_ON_ALL
from pointsman.state.names import Pattern, Target
from pointsman.state.suggest import did_you_mean
from pointsman.values import HoldTerms, told
from pointsman.verbs.hold import (
    HoldChange,
    HoldChanges,
    Request,
    held_targets,
    settled,
    standing,
    wanted_of,
    with_rings,
)
from pointsman.workspace import Workspace

_SHOWN = 3  # targets


def change_holds(
    workspace: Workspace, targets: Sequence[Target | Pattern | str], request: Request, run: str | None = None
) -> Outcome[HoldChanges]:
    """Set or release the holds of many, one after the other; `request` says how, its `target` counts for nothing.

    `targets`: a string is "all". A pattern means targets of main, of a release those that have a hold there.
    `run`: of a release, only the holds that stand as a rollback of this pipeline run set them, of `targets` or of all.
    Exit 5 if some were refused or failed and some not.
    """
    wanted_of(request, workspace.now)  # a time or a reason that cannot be is told before anything is tried
    repo = workspace.repo
    repo.skips_tables = True
    repo.refresh()
    base = Snapshot(repo, repo.main)
    done: list[HoldChange] = []
    codes: list[int] = []
    away: OriginAway | Silent | None = None
    for target in _chosen(repo, base, targets, request, run):
        each = replace(request, target=target)
        try:
            if away is not None:
                raise type(away)(f"not tried: {away}")
            done.append(settled(workspace, each, wanted_of(each, workspace.now)))
            codes.append(0)
        except Exception as error:  # noqa: BLE001 - the others go on
            trouble = trouble_of(error)
            away = away or (trouble if isinstance(trouble, OriginAway | Silent) else None)
            done.append(_troubled(repo, target, trouble))
            codes.append(trouble.exit_code)
        workspace.progress(f"{done[-1].outcome} {target}")
    every, notes = with_rings(workspace, request, done)
    return Outcome(HoldChanges(every), exit_of_many(codes), notes)


def _troubled(repo: Repository, target: str, trouble: Problem) -> HoldChange:
    path = HOLD_ON_ALL if target == "all" else Target.parse(target).hold_path
    was = HoldTerms.of(standing(repo, Snapshot(repo, repo.main).entry(path), path))
    refused = isinstance(trouble, Refused)
    return HoldChange(
        target=target,
        hold=was,
        was=was,
        pull_request=None,
        commit=None,
        says=None if refused else str(trouble),
        outcome="refused" if refused else "failed",
        faults=list(map(told, trouble.faults)) if isinstance(trouble, Refused) else None,
    )


def _chosen(
    repo: Repository, base: Snapshot, wanted: Sequence[Target | Pattern | str], request: Request, run: str | None
) -> list[str]:
    """The targets that are meant, and "all", each once. Problem for a pattern or a run that means none."""
    releases = request.until is None and not request.rollout
    known = list(map(Target.parse, held_targets(base))) if releases else current_targets(base)
    found: dict[str, None] = {}
    for each in wanted:
        if isinstance(each, Pattern) and releases and not any(map(each.matches, known)):
            near = did_you_mean(str(each), known, most=_SHOWN)
            raise Problem(f"no target on main that {each} matches has a hold{near}")
        if isinstance(each, Pattern):
            found |= dict.fromkeys(map(str, filter(each.matches, known) if releases else choose(base, [each])))
        else:
            found[str(each)] = None
    if run is None:
        return list(found)
    theirs = _set_by(repo, base, run)
    chosen = [target for target in theirs if target in found] if wanted else theirs
    if not chosen:
        which = "these targets" if wanted else "main"
        says = f"no rollback of the run {run} set a hold on {which} that nobody changed since"
        raise Problem(f"{says}: pointsman status shows the holds")
    return chosen


def _set_by(repo: Repository, base: Snapshot, run: str) -> list[str]:
    """The targets whose hold was last changed by a rollback of a pipeline run, in order."""
    paths = {Target.parse(each).hold_path: each for each in held_targets(base)}
    found = []
    for commit in repo.history_below(repo.main, "holds") if paths else ():
        here = [paths.pop(change.path) for change in commit.changes if change.path in paths]
        if here and undoes(repo.words(commit), run):
            found += here
        if not paths:
            break
    return sorted(found)


def undoing(run: str) -> str:
    """The words in the message of a rollback that say which pipeline run it undoes."""
    return f"Back to what stood before the run {run}"


def undoes(message: str, run: str) -> bool:
    """Whether a commit message has these words, however a forge has wrapped it."""
    return re.search(rf"(?<!\S){re.escape(undoing(run))}(?!\S)", " ".join(message.split())) is not None
