"""`pointsman stamp`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pointsman.cli.console import Answer, Call, example, json_option, say
from pointsman.cli.hash import manifest_repository

if TYPE_CHECKING:
    from pointsman.verbs.own_types import Stamps


@click.command(epilog=example("pointsman stamp card.json"))
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option("--dry-run", is_flag=True, help="Say what would change, and write nothing.")
@json_option
@click.pass_obj
def stamp(call: Call, paths: tuple[str, ...], dry_run: bool) -> Answer:
    """Fill in the version of each artifact file.

    Puts build.version into it, and build.built_at if that is missing. Every other byte stays.
    """
    from pointsman.verbs import own_types as verb

    spec = call.spec or call.usual or manifest_repository()
    if spec is None:
        outcome = verb.stamp(paths, None, dry_run=dry_run)
    else:
        with call.repository(spec) as repo:
            outcome = verb.stamp(paths, repo, dry_run=dry_run)
    if not call.json:
        for fault in outcome.value.faults:
            say(str(fault), err=True)
    return Answer(outcome, render, advises=False)


def render(stamps: Stamps) -> str:
    """`<version>  <path>` lines, as hash prints them."""
    return "\n".join(f"{each.version}  {each.path}" for each in stamps.files)
