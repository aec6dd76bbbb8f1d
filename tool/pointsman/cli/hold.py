"""`pointsman hold` and `pointsman release`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import HOLDABLE, TEXT
from pointsman.cli.console import Answer, Call, example, json_option, sure
from pointsman.errors import Problem
from pointsman.state.names import short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pointsman.state.names import Pattern, Target
    from pointsman.verbs.hold import HoldChange, HoldChanges, Request
    from pointsman.workspace import Workspace

_SHOWN = 3  # rings that are still given something
_YES = "With a pattern and --now: do not ask on a terminal."
_YES_OR_RUN = "With a pattern or --run and --now: do not ask on a terminal."


@click.command(epilog=example('pointsman hold grocer/home --until 3d --now --reason "the feed is broken"'))
@click.argument("targets", metavar="TARGET|PATTERN|all...", nargs=-1, required=True, type=HOLDABLE)
@click.option("--until", metavar="TIME", type=TEXT, required=True, help="When it ends: 30m, 2h, 3d, a date or a time.")
@click.option(
    "--reason", metavar="TEXT", type=TEXT, required=True, help="Why; people whose ship is stopped will read it."
)
@click.option("--now", is_flag=True, help="Change main at once, without a pull request.")
@click.option("--dry-run", is_flag=True, help="Judge it, write nothing.")
@click.option("-y", "--yes", is_flag=True, help=_YES)
@json_option
@click.pass_obj
def hold(
    call: Call,
    targets: tuple[Target | Pattern | str, ...],
    until: str,
    reason: str,
    now: bool,
    dry_run: bool,
    yes: bool,
) -> Answer:
    """Stop ships of a target, or of all targets, for some time.

    Restores still pass. The hold works as soon as it is on main. What is on main already still goes on from ring to
    ring: rollback stops that. 'bookshop/*' means every target of bookshop, each with a hold of its own; 'all' is one
    hold on everything, also on targets that come later.
    """
    from pointsman.verbs import hold as verb

    request = verb.Request("", until=until, reason=reason, now=now, dry_run=dry_run)
    with call.workspace() as workspace:
        return _answer(workspace, targets, request, yes=yes)


@click.command(epilog=example('pointsman release grocer/home --now --reason "the feed is fixed"'))
@click.argument("targets", metavar="[TARGET|PATTERN|all]...", nargs=-1, type=HOLDABLE)
@click.option("--run", metavar="URL", type=TEXT, help="End the holds that a rollback of this pipeline run set.")
@click.option("--reason", metavar="TEXT", type=TEXT, help="Why; git log shows it.")
@click.option("--now", is_flag=True, help="Change main at once, without a pull request; needs --reason.")
@click.option("--dry-run", is_flag=True, help="Judge it, write nothing.")
@click.option("-y", "--yes", is_flag=True, help=_YES_OR_RUN)
@json_option
@click.pass_obj
def release(
    call: Call,
    targets: tuple[Target | Pattern | str, ...],
    run: str | None,
    reason: str | None,
    now: bool,
    dry_run: bool,
    yes: bool,
) -> Answer:
    """End a hold before its time.

    'bookshop/*' means every target of bookshop that has a hold.
    """
    from pointsman.verbs import hold as verb

    if not targets and run is None:
        raise Problem("name the target to release, such as grocer/home, all, or the run with --run")
    request = verb.Request("", reason=reason or "", now=now, dry_run=dry_run)
    with call.workspace() as workspace:
        return _answer(workspace, targets, request, run=run, yes=yes)


def _answer(
    workspace: Workspace,
    targets: Sequence[Target | Pattern | str],
    request: Request,
    *,
    run: str | None = None,
    yes: bool,
) -> Answer:
    """Of one that is named the document of one; else one of many."""
    from msgspec.structs import replace

    from pointsman.state.names import Pattern
    from pointsman.verbs.hold import change_hold
    from pointsman.verbs.holds import change_holds

    patterns = run is not None or any(isinstance(each, Pattern) for each in targets)
    if len(targets) == 1 and not patterns:
        return Answer(change_hold(workspace, replace(request, target=str(targets[0]))), render)
    if patterns and request.now and not (request.dry_run or yes) and sys.stdin.isatty():
        told = change_holds(workspace, targets, replace(request, dry_run=True), run).value.targets
        changed = [each.target for each in told if each.outcome == "dry-run"]
        verb = "release" if request.until is None else "hold"
        sure(f"{verb} {{}} targets on main at once", changed, "nothing was written")
    return Answer(change_holds(workspace, targets, request, run), render_many)


def render_many(told: HoldChanges) -> str:
    """One line for each."""
    return "\n".join(map(render, told.targets))


def render(told: HoldChange) -> str:
    """What became of the hold, whether it binds already, what to do next, and what no hold stops."""
    rings: dict[tuple[str, str, str | None], list[str]] = {}
    for each in told.goes_on or ():
        rings.setdefault((each.target, each.ring, each.has), []).append(f"{short(each.commit)} {each.says}")
    left = len(rings) - _SHOWN
    more = [f"  … and {left} more: pointsman rollout"] if left > 0 else []
    return "\n".join([_line(told), *(_still(*of, gets) for of, gets in list(rings.items())[:_SHOWN]), *more])


def _still(target: str, ring: str, has: str | None, gets: Sequence[str]) -> str:
    to = f" --to {short(has)}" if has else ""
    stop = f"pointsman rollback {target}{to} --now --reason TEXT"
    return f"  {target}: {ring} still gets what is on main: {', '.join(gets)}; only this stops it: {stop}"


def _line(told: HoldChange) -> str:
    if told.outcome in ("refused", "failed"):
        why = [told.says or "", *(f"\n  {fault}" for fault in told.faults or ())]
        return f"{'everything' if told.target == 'all' else told.target}: {told.outcome}: {''.join(why).lstrip()}"
    hold, was, pull, outcome = told.hold, told.was, told.pull_request, told.outcome
    on = "everything" if told.target == "all" else told.target
    held = f"on hold {hold} ({hold.reason})" if hold else "no hold"
    before = f"; it was on hold {was} ({was.reason})" if was and outcome != "unchanged" else ""
    others = f"; {told.says}" if told.says else ""
    if outcome == "dry-run":
        return f"{on}: would be {held if hold else 'released'}{before}{others}; nothing was written"
    if outcome == "merged":
        commit = short(told.commit or "")
        if hold and hold.until:
            return f"{on}: {held}, on main as {commit}: ships are refused from now on, restores pass{before}"
        return f"{on}: released on main as {commit}{'' if others else ': ships pass again'}{before}{others}"
    if pull is None:
        return f"{on}: unchanged, {held} on main{others}"
    done = f"unchanged, {pull.branch} is open" if outcome == "unchanged" else f"{outcome} {pull.branch}"
    means = f"{held} once it is merged" if hold else "released once it is merged"
    return f"{on}: {done}: {means}{before}{others}; next: pointsman pr merge {pull.id}"
