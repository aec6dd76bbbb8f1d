"""`pointsman sync`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from pointsman.cli.arguments import ADDRESS, PERIOD
from pointsman.cli.console import Answer, Call, example, json_option, say, say_document
from pointsman.report import passes, served_drift
from pointsman.report.status import left_ring
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.cli.listening import Watched
    from pointsman.errors import Problem
    from pointsman.outcome import Outcome
    from pointsman.serving.outcomes import Synced, SyncedAt, SyncedTarget


@click.command(epilog=example("pointsman sync --watch 30"))
@click.option("--watch", metavar="SECONDS", type=PERIOD, help="Repeat every SECONDS until stopped.")
@click.option(
    "--verify-every",
    metavar="SECONDS",
    type=PERIOD,
    help="With --watch: read every pointer so often, changed or not; default: 600.",
)
@click.option("--listen", metavar="[HOST:]PORT", type=ADDRESS, help="With --watch: serve /metrics and /healthz there.")
@click.option("--dry-run", is_flag=True, help="Show what would change, write nothing.")
@click.option("--no-heal", is_flag=True, help="Report pointers that were edited by hand, and leave them as they are.")
@click.option("--prune", is_flag=True, help="Delete pointers whose manifest is gone from main, and rings that left.")
@click.option("--accept-rewrite", is_flag=True, help="Accept that main was rewritten, and go on.")
@json_option
@click.pass_obj
def sync(
    call: Call,
    watch: float | None,
    verify_every: float | None,
    listen: tuple[str, int] | None,
    dry_run: bool,
    no_heal: bool,
    prune: bool,
    accept_rewrite: bool,
) -> Answer | None:
    """Make serving equal to main.

    --watch repeats every SECONDS (±10 %) until SIGTERM or Ctrl-C, then
    finishes the current pointer and exits 0.
    """
    if watch is not None and (dry_run or accept_rewrite):
        raise click.UsageError("--watch is for what may be done again and again: not for --dry-run or --accept-rewrite")
    if verify_every is not None and watch is None:
        raise click.UsageError("--verify-every is for --watch: without it, sync reads every pointer")
    if listen is not None and watch is None:
        raise click.UsageError("--listen serves what --watch sees: give --watch SECONDS, too")
    from pointsman.verbs import sync as verb

    call.refusal = "serving was left as it is"
    orders = verb.Orders(dry_run, not no_heal, prune, accept_rewrite)
    with call.workspace() as workspace:
        if watch is None:
            return Answer(verb.sync(workspace, orders), render)
        from pointsman.cli.listening import Watched
        from pointsman.verbs.watch import VERIFY_EVERY, keep_syncing, stopped

        watched = Watched(watch)
        with watched.served(listen), stopped() as stop:
            every = VERIFY_EVERY if verify_every is None else verify_every
            keep_syncing(workspace, orders, watch, Passes(call, watched), stop, verify_every=every)
    return None


class Passes:
    """Says what each pass of a watching sync did: a document on a line, or words where there is something new."""

    def __init__(self, call: Call, watched: Watched) -> None:
        self._json = call.json
        self._lasting: object = None
        self._watched = watched
        self._so_far = passes.Passes()
        watched.metrics = partial(passes.registry_of, self._so_far)

    def done(self, outcome: Outcome[Synced]) -> None:
        from pointsman.verbs import sync as verb

        if self._json:
            say_document(outcome.document, line=True)
        else:
            told: list[Any] = [each for each in outcome.value.targets if each.outcome != "unchanged"]
            told += outcome.value.left or ()
            lasting = [each for each in told if each.outcome not in verb.DID]
            if len(told) > len(lasting) or lasting != self._lasting:
                say(render(outcome.value))
            self._lasting = lasting
        for note in outcome.notes:
            say(note, err=True)
        sys.stdout.flush()
        away = [f"{each.place}: {each.says}" for each in outcome.value.places or () if not each.ok]
        self._ended(outcome.value, "; ".join(away))

    def failed(self, problem: Problem) -> None:
        if self._json:
            say_document({"problem": str(problem), "exit_code": problem.exit_code}, line=True)
            sys.stdout.flush()
        self._lasting = None
        say(f"pointsman: {problem}", err=True)
        self._ended(None, str(problem))

    def _ended(self, synced: Synced | None, trouble: str) -> None:
        self._so_far.end(time.time(), synced, whole=not trouble)
        self._watched.ended(trouble)


def render(synced: Synced) -> str:
    """One line per target that is not as it was, faults below it."""
    lines = [line for each in synced.targets for line in _lines(each, synced.dry_run)]
    same = sum(each.outcome == "unchanged" for each in synced.targets)
    others = [(sum(each.outcome == what for each in synced.targets), what) for what in ("refused", "kept", "claimed")]
    lines += [f"{same} unchanged"] if same else []
    but = " and ".join(f"{number} {what}" for number, what in others if number)
    but = f", but for {but}" if but else ""
    away = [each for each in synced.places or () if not each.ok]
    lines += [f"{each.place} was not synced: {each.says}" for each in away]
    but += f", but not at {', '.join(each.place for each in away)}" if away else ""
    lines += map(partial(left_ring, dry_run=synced.dry_run), synced.left or ())
    ending = f"serving follows main at {short(synced.commit)}{but}"
    if synced.dry_run:
        ending = f"a dry run, nothing was written; main is at {short(synced.commit)}"
    return "\n".join([*lines, ending] if lines else ["no target on main yet"])


def _lines(each: SyncedTarget, dry_run: bool) -> Iterator[str]:
    if each.places is not None:
        yield from _lines_by_place(each, each.places, dry_run)
        return
    if each.outcome != "unchanged":
        since, seen = each.refused, each.visible_after_seconds
        kept = f", serving keeps what it has; main is at {short(since.commit)} by {since.by}" if since else ""
        after = f", {seen:.0f} s after the commit" if seen is not None else ""
        yield f"{each.target}: {_became(each, dry_run)}{kept}{after}"
    yield from _below(each, each.target)


def _lines_by_place(each: SyncedTarget, places: Sequence[SyncedAt], dry_run: bool) -> Iterator[str]:
    """A line for each of several places where something was done or found."""
    from pointsman.report.status import waiting

    for at in places:
        if at.outcome != "unchanged":
            seen, lag = at.visible_after_seconds, at.lag_seconds
            after = f", {seen:.0f} s after the commit" if seen is not None else ""
            kept = (
                f", it keeps what it has; main is at {short(each.refused.commit)}"
                if at.outcome == "refused" and each.refused
                else ""
            )
            lags = f", {lag:.0f} s behind the commit" if lag is not None else ""
            yield f"{each.target} at {at.place}: {_became(at, dry_run)}{kept}{after}{lags}"
        yield from _below(at, each.target)
        if at.waits is not None:
            yield f"{each.target} at {at.place}: {waiting(at.waits)}"


def _became(each: SyncedTarget | SyncedAt, dry_run: bool) -> str:
    """The outcome, and whose doing was undone if that is known."""
    whose = " after a break-glass that holds nothing" if each.claim is not None and each.claim.was_served else ""
    return f"{'would be ' if dry_run else ''}{each.outcome}{whose}"


def _below(each: SyncedTarget | SyncedAt, target: str) -> Iterator[str]:
    """The claim, the faults, and what someone wrote by hand."""
    if each.claim is not None:
        from pointsman.report.status import claimed

        yield f"  {claimed(each.claim)}"
        if each.claim.was_served:
            yield f"  it was for: {each.claim.reason}; to go back on main: pointsman rollback {target}"
    for fault in each.faults:
        yield f"  {fault.rule}: {fault.says}"
    if each.drift is not None:
        yield from (f"  {line}" for line in served_drift.lines(each.drift, "was"))
