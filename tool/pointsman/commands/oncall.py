"""What on-call engineers run: status, rollback, hold and release."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from pointsman.arguments import FAIL_ON, HOLDABLE, RULE, TARGET, TARGETS, TEXT
from pointsman.console import Answer, Call, example, json_option, need_reason

if TYPE_CHECKING:
    from pointsman.names import Pattern, Target


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
@click.argument("targets", metavar="[TARGET|PATTERN]...", nargs=-1, type=TARGETS)
@click.option(
    "--to", metavar="COMMIT|VERSION|TIME", type=TEXT, help="This state; default: the one before the last ship."
)
@click.option("--type", "slot", metavar="TYPE", type=TEXT, help="This artifact type alone; the others stay.")
@click.option("--run", metavar="URL", type=TEXT, help="What this pipeline run shipped, back to what was before it.")
@click.option("--now", is_flag=True, help="Straight to main, without a pull request; needs --reason.")
@click.option("--hold", is_flag=True, help="Stop ships of them, too, for a day; needs --reason.")
@click.option("--until", metavar="TIME", type=TEXT, help="When the hold ends: 2h, 3d, a date or a time.")
@click.option("--accept", metavar="RULE", type=RULE, multiple=True, help="Go on although this guardrail objects.")
@click.option("--reason", metavar="TEXT", type=TEXT, help="Why; git log will show it.")
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

    All targets in one commit, or none. 'bookshop/*' is every target of bookshop.
    """
    if now and not reason:
        raise click.UsageError("--now goes to main without a review: it needs --reason, which git log will show")
    need_reason(accept, reason)
    from pointsman import rollback as verb

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
    with call.repository() as repo:
        return Answer(verb.roll_back(repo, request), verb.render)


@click.command(epilog=example('pointsman hold grocer/home --until 3d --now --reason "the feed is broken"'))
@click.argument("target", metavar="TARGET|all", type=HOLDABLE)
@click.option("--until", metavar="TIME", type=TEXT, required=True, help="2h, 3d, a date or a time: it ends by itself.")
@click.option("--reason", metavar="TEXT", type=TEXT, required=True, help="Why; whoever is stopped will read it.")
@click.option("--now", is_flag=True, help="Straight to main, without a pull request.")
@json_option
@click.pass_obj
def hold(call: Call, target: str, until: str, reason: str, now: bool) -> Answer:
    """Stop ships of a target, or of all, for some time.

    Restores pass. It binds once it is on main.
    """
    from pointsman import holds as verb

    request = verb.Request(target, until=until, reason=reason, now=now)
    with call.repository() as repo:
        return Answer(verb.change_hold(repo, request, clock=int(time.time())), verb.render)


@click.command(epilog=example('pointsman release grocer/home --now --reason "the feed is mended"'))
@click.argument("target", metavar="TARGET|all", type=HOLDABLE)
@click.option("--reason", metavar="TEXT", type=TEXT, help="Why; git log will show it.")
@click.option("--now", is_flag=True, help="Straight to main, without a pull request; needs --reason.")
@json_option
@click.pass_obj
def release(call: Call, target: str, reason: str | None, now: bool) -> Answer:
    """Take a hold away before its time."""
    if now and not reason:
        raise click.UsageError("--now goes to main without a review: it needs --reason, which git log will show")
    from pointsman import holds as verb

    request = verb.Request(target, reason=reason or "", now=now)
    with call.repository() as repo:
        return Answer(verb.change_hold(repo, request, clock=int(time.time())), verb.render)
