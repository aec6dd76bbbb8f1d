"""`pointsman status`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from pointsman.cli.arguments import ADDRESS, COUNT, DEADLINE, FAIL_ON, TARGETS
from pointsman.cli.console import Answer, Call, example, json_option, say, say_document, terminal_width
from pointsman.cli.without_git import look_at_log, told_without_git
from pointsman.errors import lines
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.report.target_state import Status
    from pointsman.state.names import Pattern, Target
    from pointsman.workspace import Workspace

_PAGE = "docs/oncall/git-is-down.md says how to see what is served, and how to go back (rollback --break-glass)"
_MOODS: Mapping[str, Mapping[str, Any]] = {
    "head": {"dim": True}, "fine": {"fg": "green"}, "wait": {"fg": "yellow"}, "bad": {"fg": "red", "bold": True}
}  # fmt: skip


@click.command(epilog=example("pointsman status grocer/home --fail-on drift,stale"))
@click.argument("targets", metavar="[TARGET]...", nargs=-1, type=TARGETS)
@click.option(
    "--fail-on", metavar="drift,stale,behind,frozen", type=FAIL_ON, help="Exit 1 if any target, or main, is so."
)
@click.option("--wait", metavar="SECONDS", type=DEADLINE, help="Wait at most SECONDS until serving matches main.")
@click.option("--instances", metavar="N", type=COUNT, help="With --wait: also until N instances have it.")
@click.option("--watch", is_flag=True, help="Look again every 5 seconds until Ctrl-C.")
@click.option("--listen", metavar="[HOST:]PORT", type=ADDRESS, help="With --watch: serve /metrics and /healthz there.")
@click.option("-o", "--output", type=click.Choice(("table", "wide", "details")), help="How much is shown of a target.")
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
    instances: int | None,
    watch: bool,
    listen: tuple[str, int] | None,
    output: str | None,
    form: str,
) -> Answer | None:
    """Show what is current and whether serving has it.

    TARGET may be a pattern, such as 'grocer/*'. Many targets are a line each; a
    target that is named is shown in detail. Exit 4: with --wait, serving did
    not match main in time.
    """
    if watch and (wait is not None or fail_on or form != "text"):
        raise click.UsageError("--watch goes on until it is interrupted: it goes with no --wait, --fail-on or --format")
    if instances is not None and wait is None:
        raise click.UsageError("--instances says how many are waited for: give --wait, too")
    if listen is not None and not watch:
        raise click.UsageError("--listen serves what --watch sees: give --watch, too")
    render = _renderer(form, output, targets)
    with call.workspace() as workspace, told_without_git(workspace.repo, look_at_log(targets), _PAGE):
        if watch:
            _watch(call, workspace, targets, listen, render)
            return None
        if wait is not None:
            from pointsman.verbs.watch import wait as waiting

            outcome = waiting(workspace, targets, wait, fail_on=fail_on or (), instances=instances)
        else:
            from pointsman.verbs import status as verb

            outcome = verb.status(workspace, targets, fail_on=fail_on or ())
        return Answer(outcome, render, drawn=form == "text")


def _renderer(form: str, output: str | None, targets: tuple[Target | Pattern, ...]) -> Callable[[Status], str]:
    """The form that was asked for. On a terminal a table has colours, and what stands last in it is cut."""
    from pointsman.report import status as status_text

    if form == "prometheus":
        return status_text.render_prometheus
    from pointsman.report import status_table
    from pointsman.state.names import Target

    named = any(isinstance(each, Target) for each in targets)
    terminal = sys.stdout.isatty()
    width = terminal_width()
    style = _coloured if terminal and not os.environ.get("NO_COLOR") else status_table.plain

    def render(found: Status) -> str:
        if output == "details" or (output is None and (named or len(found.targets) == 1)):
            return lines(status_text.render(found))
        return status_table.render(found, wide=output == "wide", width=width, style=style)

    return render


def _coloured(cell: str, mood: str) -> str:
    return click.style(cell, **_MOODS[mood])


def _watch(
    call: Call,
    workspace: Workspace,
    targets: tuple[Target | Pattern, ...],
    listen: tuple[str, int] | None,
    render: Callable[[Status], str],
) -> None:
    """Draw every look anew on a terminal; elsewhere say a line, or print a document, where something is new."""
    from pointsman.cli.listening import Watched
    from pointsman.outcome import as_document
    from pointsman.report import status as status_text
    from pointsman.verbs.watch import EVERY, stopped, watch

    told: dict[str, str] = {}

    def seen(found: Status) -> None:
        watched.metrics = partial(status_text.registry_of, found)
        watched.ended()
        now = {each.target: status_text.standing(each) for each in found.targets}
        news = [target for target in sorted({*told, *now}) if told.get(target) != now.get(target)]
        if sys.stdout.isatty() and not call.json:
            click.clear()
            shown = f"{found.at}  main {short(found.commit)}\n{render(found)}".splitlines()
            fits = shutil.get_terminal_size().lines - 1
            left = f"… {len(shown) - fits + 1} more lines" if len(shown) > fits else ""
            click.echo("\n".join([*shown[: fits - 1], left] if left else shown))
        elif news and call.json:
            say_document(as_document(found), line=True)
        elif news:
            say("\n".join(f"{found.at}  {target}: {now.get(target, 'gone')}" for target in news))
        told.clear()
        told.update(now)

    def missed(why: str) -> None:
        watched.ended(why)
        say(f"pointsman: {why}", err=True)

    watched = Watched(EVERY)
    with watched.served(listen), stopped() as stop:
        watch(workspace, targets, seen, missed, stop)
