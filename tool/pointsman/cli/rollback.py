"""`pointsman rollback`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import ANY_VERSION, RULE, SLOT, TARGETS, TEXT
from pointsman.cli.console import Answer, Call, example, json_option, say, sure
from pointsman.errors import OriginAway
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.state.names import Pattern, Target
    from pointsman.verbs.rollback import Request, Restored, RolledBack
    from pointsman.workspace import Workspace

_SHOWN = 2  # types


@click.command(epilog=example('pointsman rollback grocer/home --now --reason "half the items are gone"'))
@click.argument("targets", metavar="[TARGET|PATTERN]...", nargs=-1, type=TARGETS)
@click.option(
    "--to",
    metavar="COMMIT|VERSION|TIME",
    type=ANY_VERSION,
    help="Put back this state; default: the one before the last ship.",
)
@click.option("--type", "slot", metavar="TYPE", type=SLOT, help="Put back only this artifact type.")
@click.option("--run", metavar="URL", type=TEXT, help="Undo everything that this pipeline run shipped.")
@click.option("--now", is_flag=True, help="Change main at once, without a pull request; needs --reason.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and write nothing.")
@click.option("-y", "--yes", is_flag=True, help="With a pattern or --run and --now: do not ask on a terminal.")
@click.option("--hold", is_flag=True, help="Also hold the targets for a day: no ships; needs --reason.")
@click.option("--until", metavar="TIME", type=TEXT, help="When the hold ends: 30m, 2h, 3d, a date or a time.")
@click.option(
    "--accept",
    metavar="[TARGET:]RULE",
    type=RULE,
    multiple=True,
    help="Go on although this guardrail is broken; needs --reason.",
)
@click.option("--reason", metavar="TEXT", type=TEXT, help="Why; git log shows it.")
@click.option("--break-glass", is_flag=True, help="Change serving alone, while git is down; needs --reason.")
@click.option("--key", metavar="FILE", type=TEXT, help="With --break-glass: sign with this SSH key.")
@click.option("--store", metavar="URL", type=TEXT, help="With --break-glass: the store, without a checkout.")
@click.option("--serving", metavar="TEMPLATE", type=TEXT, help="With --break-glass: the pointers, without a checkout.")
@click.option("--ratify", is_flag=True, help="Make what --break-glass put in front of serving main's.")
@json_option
@click.pass_obj
def rollback(
    call: Call,
    targets: tuple[Target | Pattern, ...],
    to: str | None,
    slot: str | None,
    run: str | None,
    now: bool,
    dry_run: bool,
    yes: bool,
    hold: bool,
    until: str | None,
    accept: tuple[str, ...],
    reason: str | None,
    break_glass: bool,
    key: str | None,
    store: str | None,
    serving: str | None,
    ratify: bool,
) -> Answer:
    """Put earlier manifests back, byte for byte.

    All targets change in one commit, or none does. 'bookshop/*' means every target of bookshop.
    """
    call.refusal = "nothing was rolled back"
    beside: dict[str, object] = {"--type": slot, "--run": run, "--now": now, "--yes": yes}
    beside |= {"--hold": hold, "--until": until, "--accept": accept}
    if break_glass or ratify:
        _refuse("--break-glass" if break_glass else "--ratify", {**beside, "--ratify": break_glass and ratify})
    if break_glass:
        more = {"key": key, "store": store, "serving": serving}
        return _break_glass(call, targets, to, reason or "", dry_run=dry_run, **more)
    _refuse_without_break_glass({"--key": key, "--store": store, "--serving": serving})
    if ratify:
        from pointsman.verbs.ratify import ratify as make_mains

        _refuse("--ratify", {"--to": to, "--reason": reason})
        with call.workspace() as workspace:
            return Answer(make_mains(workspace, targets, dry_run=dry_run), render)
    from pointsman.verbs import rollback as verb

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
        dry_run=dry_run,
    )
    try:
        with call.workspace() as workspace:
            if now and not (dry_run or yes):
                _ask(workspace, request)
            return Answer(verb.roll_back(workspace, request), render)
    except OriginAway as away:
        named = targets[0] if len(targets) == 1 else "TARGET"
        without = f"pointsman rollback {named} --break-glass --reason TEXT"
        raise OriginAway(f"{str(away).rstrip('.')}; if serving must go back now, without git: {without}") from away


def _ask(workspace: Workspace, request: Request) -> None:
    """Ask on a terminal before many targets change at once that nobody named one by one; Abort if not."""
    from msgspec.structs import replace

    from pointsman.state.names import Pattern
    from pointsman.verbs.rollback import roll_back

    many = request.run is not None or any(isinstance(each, Pattern) for each in request.targets)
    if many and sys.stdin.isatty():
        told = roll_back(workspace, replace(request, dry_run=True)).value.targets
        changed = [each.target for each in told if each.outcome == "dry-run"]
        sure("roll back {} targets on main at once", changed, "nothing was rolled back")


def _break_glass(
    call: Call,
    targets: tuple[Target | Pattern, ...],
    to: str | None,
    reason: str,
    *,
    dry_run: bool,
    **where: str | None,
) -> Answer:
    """Past git: no repository is opened."""
    from pathlib import Path

    from pointsman.state.names import Target
    from pointsman.verbs import break_glass as verb

    if len(targets) != 1 or not isinstance(targets[0], Target):
        raise click.UsageError("--break-glass is for one target at a time, such as grocer/home")
    request = verb.Request(targets[0], reason, to, dry_run=dry_run, **where)
    directory = next((each for each in (call.spec, call.usual) if each is not None), ".")
    with call.progress() as progress:
        tell = partial(say, err=True)
        return Answer(verb.break_glass(Path(directory), request, tell, progress), render)


def _refuse(option: str, others: Mapping[str, object]) -> None:
    """UsageError if one of the options is given that do not go with `option`."""
    if found := [name for name, value in others.items() if value]:
        raise click.UsageError(f"{option} does not go with {found[0]}")


def _refuse_without_break_glass(options: Mapping[str, object]) -> None:
    if found := [name for name, value in options.items() if value]:
        raise click.UsageError(f"{found[0]} is for --break-glass")


def render(done: RolledBack) -> str:
    """One line per target and what to do next."""
    return "\n".join(f"{each.target}: {_line(each)}" for each in done.targets)


def _to(each: Restored) -> str:
    """The commit whose manifest is put back, and the versions that come with it."""
    changes = sorted((each.changes or {}).items())
    some = [f"{slot} {short(now) if now else 'none'}" for slot, (_, now) in changes[:_SHOWN]]
    left = len(changes) - _SHOWN
    versions = ", ".join([*some, *([f"{left} more"] if left > 0 else [])])
    to = f" to {short(each.state)}" if each.state else " to no manifest"
    return f"{to}{f' ({versions})' if versions and each.state else ''}"


def _once_git_is_back(each: Restored) -> str:
    """Until when it stays, and what makes it main's: what no claim holds nobody can ratify."""
    if each.claim is not None and each.claim.holds:
        return f" until {each.claim.until}; once git is back: pointsman rollback --ratify"
    to = f" --to {short(each.state)}" if each.state else ""
    until = " until a sync reaches git"
    return f"{until}; once git is back: pointsman rollback {each.target}{to} --now --reason TEXT"


def _line(each: Restored) -> str:
    from pointsman.report.approvals import next_step

    pull = each.pull_request
    held = f", on hold {each.hold}" if each.hold else ""
    asked = f", with a hold {each.hold}" if each.hold else ""  # in force when it is merged
    stays = f"the manifest stays: {each.says or 'main has it already'}"
    match each.outcome:
        case "merged" if each.hold is not None and each.from_ == each.to:
            return f"on hold {each.hold}, on main as {short(each.commit or '')}; {stays}"
        case "merged":
            says = f" ({each.says})" if each.says else ""
            return f"rolled back on main as {short(each.commit or '')},{_to(each)}{held}{says}; next: pointsman sync"
        case "opened" if pull is not None:
            asked = f"{asked}; {stays}" if each.from_ == each.to else f": back{_to(each)}{asked}"
            return f"opened {pull.branch}{asked}; {next_step(pull, each.approvals)}"
        case "dry-run" if each.claim is not None:
            return f"serving would have{_to(each).removeprefix(' to')}; nothing was written"
        case "dry-run" if each.from_ == each.to:
            return f"would be on hold {each.hold}; {stays}; nothing was written"
        case "dry-run":
            return f"would be rolled back{_to(each)}{asked}; nothing was written"
        case "claimed":
            return f"serving has{_to(each).removeprefix(' to')} now{_once_git_is_back(each)}"
        case "left":
            return f"left as it is: {each.says}"
        case _ if pull is not None:
            return f"unchanged, {pull.branch} is open; {next_step(pull, each.approvals)}"
    return f"unchanged, {each.says or 'main has this manifest already'}{held}"
