"""`pointsman ship`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from pointsman.cli import publish
from pointsman.cli.arguments import RULE, TARGET, TEXT, VERSION_OF
from pointsman.cli.console import Answer, Call, example, json_option, need_reason

if TYPE_CHECKING:
    from pointsman.state.names import Target


@click.command(epilog=example("pointsman ship grocer/home popularity@3f2a91c0 cooc@77b0aa12"))
@click.argument("target", type=TARGET)
@click.argument("versions", metavar="TYPE@VERSION...", nargs=-1, required=True, type=VERSION_OF)
@click.option("--run", metavar="URL", type=TEXT, help="The run that asks for it; the commit names it.")
@click.option("--merge", is_flag=True, help="Merge at once what the gate passes.")
@click.option("--reship", is_flag=True, help="Ship versions again that a rollback took out.")
@click.option("--accept", metavar="RULE", type=RULE, multiple=True, help="Ship although this guardrail objects.")
@click.option("--reason", metavar="TEXT", type=TEXT, help="Why; the reviewer and git log will read it.")
@click.option("--dry-run", is_flag=True, help="Judge everything, write nothing.")
@json_option
@click.pass_obj
def ship(
    call: Call,
    target: Target,
    versions: tuple[tuple[str, str], ...],
    run: str | None,
    merge: bool,
    reship: bool,
    accept: tuple[str, ...],
    reason: str | None,
    dry_run: bool,
) -> Answer:
    """Make recorded versions current, without their files.

    The first digits of a version do, if they name one.
    """
    need_reason(accept, reason)
    from pointsman.verbs import ship as verb

    request = verb.Request(
        target=target,
        versions=versions,
        run=run or "",
        merge=merge,
        reship=reship,
        accept=accept,
        reason=reason or "",
        dry_run=dry_run,
    )
    with call.workspace() as workspace:
        return Answer(verb.ship(workspace, request), render)


def render(document: Mapping[str, Any]) -> str:
    """One line per target, and what to do next."""
    return "\n".join(publish.target_lines(document["targets"]))
