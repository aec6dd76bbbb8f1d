"""`pointsman ship`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pointsman.cli import publish
from pointsman.cli.arguments import TARGET, URL, VERSION_OF
from pointsman.cli.console import Answer, Call, example, given, json_option
from pointsman.cli.ship_options import ship_options

if TYPE_CHECKING:
    from pointsman.state.names import Target
    from pointsman.verbs.ship import Shipped


@click.command(epilog=example("pointsman ship grocer/home popularity@3f2a91c0 cooc@77b0aa12"))
@click.argument("target", type=TARGET)
@click.argument("versions", metavar="[TYPE@VERSION]...", nargs=-1, type=VERSION_OF)
@click.option("--again", is_flag=True, help="Ship anew what main has: its rings begin anew with it.")
@click.option("--run", metavar="URL", type=URL, help="The pipeline run that asks for it; the commit names it.")
@ship_options
@json_option
@click.pass_obj
def ship(
    call: Call,
    /,
    target: Target,
    versions: tuple[tuple[str, str], ...],
    again: bool,
    **options: Any,
) -> Answer:
    """Make recorded versions current, without their files.

    A unique prefix of a version is enough.
    """
    if bool(versions) == again:
        raise click.UsageError(
            "name versions, such as popularity@3f2a91c0, or give --again, which ships what main has"
            if not again
            else "--again ships what main has: leave the versions out"
        )
    from pointsman.verbs import ship as verb

    request = verb.Request(
        target=target,
        versions=versions,
        again=again,
        **given(options),
    )
    with call.workspace() as workspace:
        return Answer(verb.ship(workspace, request), render)


def render(shipped: Shipped) -> str:
    """One line per target, and what to do next."""
    return "\n".join(publish.target_lines(shipped.targets))
