"""`pointsman hold` and `pointsman release`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import HOLDABLE, TEXT
from pointsman.cli.console import Answer, Call, example, json_option
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.verbs.hold import HoldChange


@click.command(epilog=example('pointsman hold grocer/home --until 3d --now --reason "the feed is broken"'))
@click.argument("target", metavar="TARGET|all", type=HOLDABLE)
@click.option(
    "--until", metavar="TIME", type=TEXT, required=True, help="When it ends by itself: 2h, 3d, a date or a time."
)
@click.option(
    "--reason", metavar="TEXT", type=TEXT, required=True, help="Why; people whose ship is stopped will read it."
)
@click.option("--now", is_flag=True, help="Change main at once, without a pull request.")
@click.option("--dry-run", is_flag=True, help="Judge it, write nothing.")
@json_option
@click.pass_obj
def hold(call: Call, target: str, until: str, reason: str, now: bool, dry_run: bool) -> Answer:
    """Stop ships of a target, or of all targets, for some time.

    Restores still pass. The hold works as soon as it is on main.
    """
    from pointsman.verbs import hold as verb

    request = verb.Request(target, until=until, reason=reason, now=now, dry_run=dry_run)
    with call.workspace() as workspace:
        return Answer(verb.change_hold(workspace, request), render)


@click.command(epilog=example('pointsman release grocer/home --now --reason "the feed is fixed"'))
@click.argument("target", metavar="TARGET|all", type=HOLDABLE)
@click.option("--reason", metavar="TEXT", type=TEXT, help="Why; git log shows it.")
@click.option("--now", is_flag=True, help="Change main at once, without a pull request; needs --reason.")
@click.option("--dry-run", is_flag=True, help="Judge it, write nothing.")
@json_option
@click.pass_obj
def release(call: Call, target: str, reason: str | None, now: bool, dry_run: bool) -> Answer:
    """End a hold before its time."""
    from pointsman.verbs import hold as verb

    request = verb.Request(target, reason=reason or "", now=now, dry_run=dry_run)
    with call.workspace() as workspace:
        return Answer(verb.change_hold(workspace, request), render)


def render(told: HoldChange) -> str:
    """What became of the hold, whether it binds already, and what to do next."""
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
