"""`pointsman at`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import TARGET, TEXT
from pointsman.cli.console import Answer, Call, example, json_option
from pointsman.cli.without_git import look_at_moment, told_without_git
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.state.names import Target
    from pointsman.verbs.at import InForce


@click.command("at", epilog=example("pointsman at 2026-03-03T12:00:00+01:00 grocer/home"))
@click.argument("when", metavar="TIME|COMMIT", type=TEXT)
@click.argument("target", metavar="TARGET", type=TARGET)
@click.option("--ring", metavar="NAME", type=TEXT, help="What this ring was given by then.")
@json_option
@click.pass_obj
def at_(call: Call, when: str, target: Target, ring: str | None) -> Answer:
    """Show what was current at a time, and whose commit made it so.

    A time without a zone is UTC. A date alone means 00:00, 2h is two hours ago. Changes made in that second are
    included.
    """

    from pointsman.verbs import at as verb

    with call.workspace() as workspace:
        look = None if ring else look_at_moment(when, workspace.now, target)
        with told_without_git(workspace.repo, look):
            return Answer(verb.at(workspace, when, target, ring or ""), render, advises=False)


def render(found: InForce) -> str:
    """Who put it there, until when it stood, and the manifest as the file is."""
    by, until = f"{short(found.commit)} of {found.at} by {found.by}", found.until
    if found.ring is not None:
        by = f"{short(found.commit)} by {found.by}, given to {found.ring} at {found.at}"
    stood = f"until {short(until.commit)} of {until.at} by {until.by}" if until else "and is current now"
    if found.manifest is None:
        return f"{found.target} had no manifest: {by} took it out, {stood}"
    text = found.manifest if isinstance(found.manifest, str) else json.dumps(found.manifest, indent=2)
    return f"{found.target} since {by}, {stood}\n{text}"
