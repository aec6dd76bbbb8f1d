"""`pointsman seen`."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import FIELD, TEXT
from pointsman.cli.console import Answer, Call, example, json_option, say
from pointsman.errors import one_line

if TYPE_CHECKING:
    from pointsman.verbs.seen import SeenInstances


@click.command(epilog=example("pointsman seen --follow recsys.log"))
@click.argument("files", metavar="[FILE|-]...", nargs=-1)
@click.option("--follow", is_flag=True, help="Go on as long as lines come, until Ctrl-C.")
@click.option("--field", "fields", metavar="NAME=PATH", type=FIELD, multiple=True, help="Where a part of a line is.")
@click.option("--instance", metavar="NAME", type=TEXT, help="Whose lines these are; default: this machine's.")
@click.option("--place", metavar="NAME", type=TEXT, help="Of several serving places: where these instances read.")
@click.option("--dry-run", is_flag=True, help="Say what the lines tell, and keep nothing.")
@json_option
@click.pass_obj
def seen(
    call: Call,
    files: tuple[str, ...],
    follow: bool,
    fields: tuple[tuple[str, str], ...],
    instance: str | None,
    place: str | None,
    dry_run: bool,
) -> Answer:
    """Read recsys-service's logs for what its instances have.

    Each line is JSON as the service writes it. What is heard is kept beside the pointers, at most once a minute, for
    status. NAME of --field is instance, line, time, message, tenant, surface or hash.
    """
    from pointsman.state.log_line import read_form
    from pointsman.verbs import seen as verb
    from pointsman.verbs.watch import stopped

    name = instance or socket.gethostname()
    request = verb.Request(files, follow, read_form(fields), name, place or "", dry_run)
    with call.workspace() as workspace, stopped() as stop:
        return Answer(
            verb.seen(workspace, request, stopped=stop.is_set, missed=lambda says: say(f"pointsman: {says}", err=True)),
            render,
        )


def render(found: SeenInstances) -> str:
    """One line per instance, and how much was read."""
    lines = [
        f"{one_line(each.instance)}: {_many(len(each.targets), 'target')}, heard at {each.last}"
        for each in found.instances
    ]
    kept = "; nothing was kept" if found.dry_run else ""
    return "\n".join([*lines, f"{_many(found.lines, 'line')} of {_many(len(found.instances), 'instance')}{kept}"])


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
