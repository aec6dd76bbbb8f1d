"""`pointsman rollout`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import PERIOD, TARGETS
from pointsman.cli.console import Answer, Call, example, json_option, say, say_document
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.errors import Problem
    from pointsman.outcome import Outcome
    from pointsman.serving.ring_state import RingState
    from pointsman.state.names import Pattern, Target
    from pointsman.verbs.rollout import Acted, RolledOut, RolledTarget


@click.command(epilog=example("pointsman rollout --check --watch 60"))
@click.argument("targets", metavar="[TARGET]...", nargs=-1, type=TARGETS)
@click.option("--check", is_flag=True, help="Ask the checks about what waits, and stop what fails.")
@click.option("--dry-run", is_flag=True, help="With --check: say what would be stopped, and write nothing.")
@click.option("--watch", metavar="SECONDS", type=PERIOD, help="Repeat every SECONDS until stopped.")
@json_option
@click.pass_obj
def rollout(
    call: Call, targets: tuple[Target | Pattern, ...], check: bool, dry_run: bool, watch: float | None
) -> Answer | None:
    """Show what each ring has, and what it waits for.

    Sync gives a ring what its time and its checks let through.
    """
    from pointsman.verbs import rollout as verb

    if dry_run and (watch is not None or not check):
        raise click.UsageError("--dry-run goes with --check, and not with --watch")
    request = verb.Request(targets, check, dry_run)
    with call.workspace() as workspace:
        if watch is None:
            return Answer(verb.rollout(workspace, request), render)
        from pointsman.verbs.watch import keep_rolling_out, stopped

        with stopped() as stop:
            keep_rolling_out(workspace, request, watch, _Passes(call), stop)
    return None


class _Passes:
    """Says what each pass of a watching rollout found: a document on a line, or words where something is new."""

    def __init__(self, call: Call) -> None:
        self._json = call.json
        self._told = ""

    def done(self, outcome: Outcome[RolledOut]) -> None:
        if self._json:
            say_document(outcome.document, line=True)
        elif (text := render(outcome.value)) != self._told:
            say(text)
            self._told = text
        for note in outcome.notes:
            say(note, err=True)
        sys.stdout.flush()

    def failed(self, problem: Problem) -> None:
        if self._json:
            say_document({"problem": str(problem), "exit_code": problem.exit_code}, line=True)
            sys.stdout.flush()
        self._told = ""
        say(f"pointsman: {problem}", err=True)


def render(found: RolledOut) -> str:
    """Each target with its rings below it, and what was done."""
    return "\n".join(line for each in found.targets for line in _target(each, found.dry_run)) or "no target on main yet"


def _target(each: RolledTarget, dry_run: bool) -> Iterator[str]:
    yield each.target
    width = max((len(ring.ring) for ring in each.rings), default=0)
    for ring in each.rings:
        since = f" since {ring.given_at}" if ring.given_at else ""
        has = f"{short(ring.commit)}{since}" if ring.commit else "nothing that main had"
        yield f"  {ring.ring:{width}}  {has}{_next(ring)}"
        for check in ring.checks:
            yield f"  {'':{width}}    {check.name}: {check.verdict}: {check.says}"
    for acted in each.acted or ():
        yield f"  {_would(acted) if dry_run else _acted(each.target, acted)}"
    if each.says:
        yield f"  {each.says}"


def _next(ring: RingState) -> str:
    if ring.due is None:
        return ""
    name = short(ring.due.commit)
    match ring.waits_for:
        case "nothing":
            return f"; {name} is due: the next sync gives it"
        case "time":
            return f"; {name} {f'at {ring.due.at}' if ring.due.at else 'once the ring before it has it'}"
        case "check":
            return f"; {name} waits for its checks"
        case _:
            return f"; {name} is stopped"


def _would(acted: Acted) -> str:
    does = "rolled back" if acted.outcome == "rolled-back" else "stopped"
    return f"{short(acted.state)} would be {does}: {acted.says}; nothing was written"


def _acted(target: str, acted: Acted) -> str:
    pull, name = acted.pull_request, short(acted.state)
    if pull is not None:
        way = "rolls it back" if acted.outcome == "rolled-back" else "keeps it from further rings"
        return f"{name} is stopped: {acted.says}; {pull.branch} {way}; next: pointsman pr merge {pull.id}"
    if acted.outcome == "rolled-back":
        return f"{name} is rolled back on main: {acted.says}; next: pointsman sync"
    on = f"pointsman rollback {target} takes it back, pointsman release {target} lets it go on"
    return f"{name} is stopped on main: {acted.says}; next: {on}"
