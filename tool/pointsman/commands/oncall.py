"""What on-call engineers run: status and rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pointsman.arguments import FAIL_ON, RULE, TARGET, TEXT
from pointsman.console import Answer, Call, example, json_option, need_reason

if TYPE_CHECKING:
    from pointsman.names import Target


@click.command(epilog=example("pointsman status grocer/home"))
@click.argument("targets", metavar="[TARGET]...", nargs=-1, type=TARGET)
@click.option("--fail-on", metavar="drift,behind", type=FAIL_ON, help="Exit 1 if serving is so.")
@json_option
@click.pass_obj
def status(call: Call, targets: tuple[Target, ...], fail_on: tuple[str, ...] | None) -> Answer:
    """Say what is current and whether serving has it."""
    from pointsman import status as verb

    with call.repository() as repo:
        return Answer(verb.status(repo, targets, fail_on=fail_on or ()), verb.render)


@click.command(epilog=example('pointsman rollback grocer/home --now --reason "half the items are gone"'))
@click.argument("targets", metavar="[TARGET]...", nargs=-1, type=TARGET)
@click.option(
    "--to", metavar="COMMIT|VERSION|TIME", type=TEXT, help="This state; default: the one before the last ship."
)
@click.option("--now", is_flag=True, help="Straight to main, without a pull request; needs --reason.")
@click.option("--accept", metavar="RULE", type=RULE, multiple=True, help="Go on although this guardrail objects.")
@click.option("--reason", metavar="TEXT", type=TEXT, help="Why; git log will show it.")
@json_option
@click.pass_obj
def rollback(
    call: Call, targets: tuple[Target, ...], to: str | None, now: bool, accept: tuple[str, ...], reason: str | None
) -> Answer:
    """Put an earlier manifest back, byte for byte."""
    if now and not reason:
        raise click.UsageError("--now goes to main without a review: it needs --reason, which git log will show")
    need_reason(accept, reason)
    from pointsman import rollback as verb

    call.refusal = "nothing was rolled back"
    request = verb.Request(targets=targets, to=to, now=now, reason=reason or "", accept=accept)
    with call.repository() as repo:
        return Answer(verb.roll_back(repo, request), verb.render)
