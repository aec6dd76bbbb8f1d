"""What auditors run: log and audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pointsman.arguments import TARGET
from pointsman.console import Answer, Call, example, json_option

if TYPE_CHECKING:
    from pointsman.names import Target


@click.command(epilog=example("pointsman log grocer/home"))
@click.argument("targets", metavar="[TARGET]...", nargs=-1, type=TARGET)
@click.option("--records", is_flag=True, help="Show when artifact versions were recorded, too.")
@json_option
@click.pass_obj
def log(call: Call, targets: tuple[Target, ...], records: bool) -> Answer:
    """Tell every ship and restore, newest first."""
    from pointsman import log as verb

    with call.repository() as repo:
        return Answer(verb.log(repo, targets, records=records), verb.render)


@click.command(epilog=example("pointsman audit"))
@click.option("--accept-rewrite", is_flag=True, help="Take main as it is now although it was rewritten.")
@json_option
@click.pass_obj
def audit(call: Call, accept_rewrite: bool) -> Answer:
    """Judge every commit of main.

    From the commit after [audit] since, or from the first.
    """
    from pointsman import audit as verb

    with call.repository() as repo:
        return Answer(verb.audit(repo, accept_rewrite=accept_rewrite), verb.render)
