"""`pointsman site`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pointsman.cli.console import Answer, Call, example, json_option

if TYPE_CHECKING:
    from pointsman.verbs.site import Site


@click.command(epilog=example("pointsman site public"))
@click.argument("directory", metavar="DIR", type=click.Path())
@json_option
@click.pass_obj
def site(call: Call, directory: str) -> Answer:
    """Write pages of what is current and what waits.

    DIR is a new directory, or one that this command made. Only pages of which something is new are written again.
    """
    from pointsman.verbs import site as verb

    with call.workspace() as workspace:
        return Answer(verb.site(workspace, directory), render)


def render(made: Site) -> str:
    """How many pages there are, and which to open."""
    return f"{made.pages} pages in {made.directory}, {made.written} of them new: open {made.directory}/index.html"
