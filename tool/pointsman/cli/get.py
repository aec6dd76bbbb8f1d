"""`pointsman get`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import ANY_VERSION
from pointsman.cli.console import Answer, Call, example, json_option, say_bytes
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.verbs.get import Fetched

_STDOUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


@click.command(epilog=example("pointsman get 3f2a91c0d4e5 -o popularity.json"))
@click.argument("version", metavar="VERSION", type=ANY_VERSION)
@click.option(
    "-o",
    "file",
    metavar="FILE",
    type=click.Path(dir_okay=False, readable=False, allow_dash=True),
    help="Write to this file; default, and -: stdout.",
)
@click.option("--offline", is_flag=True, help="Use only what was fetched before.")
@json_option
@click.pass_obj
def get(call: Call, version: str, file: str | None, offline: bool) -> Answer:
    """Fetch one artifact version and check its hash.

    VERSION must be recorded on main. A unique prefix of it is enough.
    """
    file = None if file in _STDOUT else file
    if call.json and file is None:
        raise click.UsageError("--json would share stdout with the artifact: name a file with -o")
    from pointsman.verbs import get as verb

    with call.workspace(offline=offline) as workspace:
        outcome, data = verb.get(workspace, version, file)
    if file is None:
        say_bytes(data)
    return Answer(outcome, render, advises=False)


def render(fetched: Fetched) -> str:
    """One line for a file that was written; nothing where the blob itself went to stdout."""
    if not fetched.file:
        return ""
    return f"{fetched.target} {fetched.type} {short(fetched.version)}: {fetched.size} bytes in {fetched.file}"
