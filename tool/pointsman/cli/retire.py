"""`pointsman retire`."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from pointsman.cli.arguments import COUNT_OR_NONE, TEXT, VERSION_OR_TARGET
from pointsman.cli.console import Answer, Call, example, given, json_option, some, sure
from pointsman.errors import one_line
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.verbs.retire import Retired, RetiredTarget

_SHOWN = 5  # versions of one line


@click.command(epilog=example('pointsman retire 3f2a91c0 --reason "built from test data"'))
@click.argument("what", metavar="[VERSION|TARGET|PATTERN]...", nargs=-1, type=VERSION_OR_TARGET)
@click.option(
    "--older-than", metavar="TIME", type=TEXT, help="Of targets: versions recorded so long ago, such as 180d."
)
@click.option("--keep", metavar="N", type=COUNT_OR_NONE, help="But not the newest N of each type.")
@click.option("--holding", metavar="FILE", type=TEXT, help="Versions that hold an id of FILE, one a line; - is stdin.")
@click.option("--erase", is_flag=True, help="The bytes must go, whatever a rollback may need. Nothing takes that back.")
@click.option("--reason", metavar="TEXT", type=TEXT, help="Why; the tombstone says it for ever.")
@click.option("--merge", is_flag=True, help="Merge what was opened, too.")
@click.option("--dry-run", is_flag=True, help="Judge everything, write nothing.")
@click.option("-y", "--yes", is_flag=True, help="With a pattern and --merge: do not ask on a terminal.")
@json_option
@click.pass_obj
def retire(call: Call, /, what: tuple[Any, ...], keep: int | None, yes: bool, **options: Any) -> Answer:
    """Take versions out of use, by pull requests of tombstones.

    A unique prefix of a version is enough. Not those that are current, or that a rollback may need. Their bytes stay
    until gc takes them. 'grocer/*' means every target of grocer.
    """
    from msgspec.structs import replace

    from pointsman.state.names import Pattern
    from pointsman.verbs import retire as verb
    from pointsman.verbs.retire_plan import Request

    versions = tuple(each for each in what if isinstance(each, str))
    targets = tuple(each for each in what if not isinstance(each, str))
    request = Request(versions=versions, targets=targets, keep=keep or 0, **given(options))
    asks = request.merge and not (request.dry_run or yes) and sys.stdin.isatty()
    with call.workspace() as workspace:
        if asks and any(isinstance(each, Pattern) for each in targets):
            told = verb.retire(workspace, replace(request, dry_run=True)).value.targets
            going = [each.target for each in told if each.outcome == "dry-run"]
            sure("retire versions of {} targets on main at once", going, "nothing was written")
        return Answer(verb.retire(workspace, request), partial(render, every=call.verbose))


def render(retired: Retired, *, every: bool = False) -> str:
    """One line per target and pull request, what cannot be retired and what to do about it, and what is next."""
    lines = [line for each in retired.targets for line in _lines(each)]
    recorded = {one.version for each in retired.targets for one in each.versions}
    for found in retired.elsewhere:
        where = "is in the trash" if found.state == "trash" else "has no record"
        when = "; once its tombstone is merged" if found.version in recorded else ", which no tombstone is for"
        lines.append(
            f"{found.target} {found.type} {short(found.version)} {where}{when}: "
            f"pointsman gc --delete --no-trash {short(found.version)}"
        )
    lines += some([f"not read: {each.uri}: {one_line(each.why)}" for each in retired.unread], every=every)
    if retired.kept:
        lines.append(f"{retired.kept} more are as old, but of the newest, or needed by a rollback: kept")
    pulls = dict.fromkeys(each.pull_request.id for each in retired.targets if each.pull_request is not None)
    lines += [f"next: pointsman pr merge {pull}" for pull in pulls]
    return "\n".join(lines or ["nothing to retire"])


def _lines(each: RetiredTarget) -> list[str]:
    some = ", ".join(f"{one.type} {short(one.version)}" for one in each.versions[:_SHOWN])
    more = f" and {len(each.versions) - _SHOWN} more" if len(each.versions) > _SHOWN else ""
    pull = each.pull_request
    if each.outcome == "unchanged":
        done = f"unchanged, {pull.branch} is open" if pull is not None else "unchanged, retired already"
    else:
        done = f"{each.outcome} {pull.branch}" if pull is not None else each.outcome
    faults = [f"  {fault}" for fault in each.faults]
    instead = [f"  ships without it: {command}" for command in each.instead]
    return [f"{each.target} {some}{more}: {done}", *faults, *instead]
