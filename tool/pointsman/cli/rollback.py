"""`pointsman rollback`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import RULE, SLOT, TARGETS, TEXT
from pointsman.cli.console import Answer, Call, example, json_option
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.state.names import Pattern, Target
    from pointsman.verbs.rollback import Restored, RolledBack


@click.command(epilog=example('pointsman rollback grocer/home --now --reason "half the items are gone"'))
@click.argument("targets", metavar="[TARGET|PATTERN]...", nargs=-1, type=TARGETS)
@click.option(
    "--to", metavar="COMMIT|VERSION|TIME", type=TEXT, help="Put back this state; default: the one before the last ship."
)
@click.option("--type", "slot", metavar="TYPE", type=SLOT, help="Put back only this artifact type.")
@click.option("--run", metavar="URL", type=TEXT, help="Undo everything that this pipeline run shipped.")
@click.option("--now", is_flag=True, help="Change main at once, without a pull request; needs --reason.")
@click.option("--hold", is_flag=True, help="Also hold the targets for a day: no ships; needs --reason.")
@click.option("--until", metavar="TIME", type=TEXT, help="When the hold ends: 2h, 3d, a date or a time.")
@click.option(
    "--accept",
    metavar="[TARGET:]RULE",
    type=RULE,
    multiple=True,
    help="Go on although this guardrail is broken; needs --reason.",
)
@click.option("--reason", metavar="TEXT", type=TEXT, help="Why; git log shows it.")
@json_option
@click.pass_obj
def rollback(
    call: Call,
    targets: tuple[Target | Pattern, ...],
    to: str | None,
    slot: str | None,
    run: str | None,
    now: bool,
    hold: bool,
    until: str | None,
    accept: tuple[str, ...],
    reason: str | None,
) -> Answer:
    """Put earlier manifests back, byte for byte.

    All targets change in one commit, or none does. 'bookshop/*' means every target of bookshop.
    """
    from pointsman.verbs import rollback as verb

    call.refusal = "nothing was rolled back"
    request = verb.Request(
        targets=targets,
        to=to,
        slot=slot,
        run=run,
        now=now,
        hold=hold,
        until=until,
        reason=reason or "",
        accept=accept,
    )
    with call.workspace() as workspace:
        return Answer(verb.roll_back(workspace, request), render)


def render(done: RolledBack) -> str:
    """One line per target and what to do next."""
    return "\n".join(f"{each.target}: {_line(each)}" for each in done.targets)


def _line(each: Restored) -> str:
    pull = each.pull_request
    held = f", on hold until {each.hold.until}" if each.hold else ""
    asked = f", with a hold until {each.hold.until}" if each.hold else ""  # in force when it is merged
    stays = f"the manifest stays: {each.says or 'main has it already'}"
    match each.outcome:
        case "merged" if each.hold is not None and each.from_ == each.to:
            return f"on hold until {each.hold.until}, on main as {short(each.commit or '')}; {stays}"
        case "merged":
            says = f" ({each.says})" if each.says else ""
            return f"rolled back on main as {short(each.commit or '')}{held}{says}; next: pointsman sync"
        case "opened" if pull is not None:
            asked += f"; {stays}" if each.from_ == each.to else ""
            return f"opened {pull.branch}{asked}; next: pointsman pr merge {pull.id}"
        case "left":
            return f"left as it is: {each.says}"
        case _ if pull is not None:
            return f"unchanged, {pull.branch} is open; next: pointsman pr merge {pull.id}"
    return f"unchanged, {each.says or 'main has this manifest already'}{held}"
