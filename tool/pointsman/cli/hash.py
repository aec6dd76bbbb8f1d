"""`pointsman hash`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from pointsman.cli.console import Answer, Call, example, json_option, say

if TYPE_CHECKING:
    from pointsman.verbs.hash import Hashes


@click.command("hash", epilog=example("pointsman hash staging/"))
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path())
@json_option
@click.pass_obj
def hash_(call: Call, paths: tuple[str, ...]) -> Answer:
    """Print the version of each artifact, in the form of sha256sum."""
    from pointsman.verbs import hash as verb

    spec = call.spec or call.usual or manifest_repository()
    if spec is None:
        outcome = verb.hash_files(paths, None)
    else:
        with call.repository(spec) as repo:
            outcome = verb.hash_files(paths, repo)
    if not call.json:
        for fault in outcome.value.faults:
            say(str(fault), err=True)
    return Answer(outcome, render, advises=False)


def manifest_repository() -> str | None:
    """The manifest repository around the current directory, whose own artifact types count; None if there is none."""
    directory = os.getcwd()
    while not os.path.isfile(os.path.join(directory, "pointsman.toml")):
        parent = os.path.dirname(directory)
        if parent == directory:
            return None
        directory = parent
    return directory if os.path.exists(os.path.join(directory, ".git")) else None


def render(hashes: Hashes) -> str:
    """`<version>  <path>` lines, as sha256sum prints."""
    return "\n".join(f"{each.version}  {each.path}" for each in hashes.artifacts)
