"""`pointsman status`."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import ADDRESS, DEADLINE, FAIL_ON, TARGETS
from pointsman.cli.console import Answer, Call, example, json_option, say, say_document
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.report.target_state import Status
    from pointsman.state.names import Pattern, Target
    from pointsman.workspace import Workspace


@click.command(epilog=example("pointsman status grocer/home --fail-on drift,stale"))
@click.argument("targets", metavar="[TARGET]...", nargs=-1, type=TARGETS)
@click.option(
    "--fail-on", metavar="drift,stale,behind", type=FAIL_ON, help="Exit 1 if any target is in one of these states."
)
@click.option("--wait", metavar="SECONDS", type=DEADLINE, help="Wait at most SECONDS until serving matches main.")
@click.option("--watch", is_flag=True, help="Look again every 5 seconds until Ctrl-C.")
@click.option("--listen", metavar="[HOST:]PORT", type=ADDRESS, help="With --watch: serve /metrics there.")
@click.option(
    "--format", "form", type=click.Choice(("text", "prometheus")), default="text", help="The form of the output."
)
@json_option
@click.pass_obj
def status(
    call: Call,
    targets: tuple[Target | Pattern, ...],
    fail_on: tuple[str, ...] | None,
    wait: float | None,
    watch: bool,
    listen: tuple[str, int] | None,
    form: str,
) -> Answer | None:
    """Show what is current and whether serving has it.

    TARGET may be a pattern, such as 'grocer/*'. Exit 4: with --wait, serving
    did not match main in time.
    """
    if watch and (wait is not None or fail_on or form != "text"):
        raise click.UsageError("--watch goes on until it is interrupted: it goes with no --wait, --fail-on or --format")
    if listen is not None and not watch:
        raise click.UsageError("--listen serves what --watch sees: give --watch, too")
    from pointsman.report import status as status_text

    render = status_text.render_prometheus if form == "prometheus" else status_text.render
    with call.workspace() as workspace:
        if watch:
            _watch(call, workspace, targets, listen)
            return None
        if wait is not None:
            from pointsman.verbs.watch import wait as waiting

            return Answer(waiting(workspace, targets, wait, fail_on=fail_on or ()), render)
        from pointsman.verbs import status as verb

        return Answer(verb.status(workspace, targets, fail_on=fail_on or ()), render)


def _watch(
    call: Call, workspace: Workspace, targets: tuple[Target | Pattern, ...], listen: tuple[str, int] | None
) -> None:
    """Draw every look anew on a terminal; elsewhere say a line, or print a document, where something is new."""
    from pointsman.outcome import as_document
    from pointsman.report import status as status_text
    from pointsman.verbs.watch import stopped, watch

    told: dict[str, str] = {}

    def seen(found: Status) -> None:
        metrics.status = found
        now = {each.target: status_text.standing(each) for each in found.targets}
        news = [target for target in sorted({*told, *now}) if told.get(target) != now.get(target)]
        if sys.stdout.isatty() and not call.json:
            click.clear()
            say(f"{found.at}  main {short(found.commit)}\n{status_text.render(found)}")
        elif news and call.json:
            say_document(as_document(found), line=True)
        elif news:
            say("\n".join(f"{found.at}  {target}: {now.get(target, 'gone')}" for target in news))
        sys.stdout.flush()
        told.clear()
        told.update(now)

    metrics = status_text.Metrics()
    with metrics.served(*listen) if listen is not None else contextlib.nullcontext() as port, stopped() as stop:
        if listen is not None:
            say(f"pointsman: metrics are at http://{listen[0]}:{port}/metrics", err=True)
        watch(workspace, targets, seen, lambda why: say(f"pointsman: {why}", err=True), stop)
