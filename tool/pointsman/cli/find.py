"""`pointsman find`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import TEXT
from pointsman.cli.console import Answer, Call, example, json_option, some
from pointsman.errors import one_line
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.verbs.find import Finding, FoundVersion


@click.command(epilog=example("pointsman find --from ids.txt"))
@click.argument("ids", metavar="[ID|-]...", nargs=-1)
@click.option("--from", "files", metavar="FILE", multiple=True, help="Read ids from FILE, one a line; - is stdin.")
@click.option("--shard", metavar="I/N", type=TEXT, default="1/1", help="Look only into the I-th of N parts.")
@json_option
@click.pass_obj
def find(call: Call, ids: tuple[str, ...], files: tuple[str, ...], shard: str) -> Answer:
    """Find the stored versions that hold an id.

    It reads every blob of the stores and of their trash, also those without a record. An id is that of an item, a
    neighbour or a user. Ids from a file or from standard input are in no list of processes.
    """
    from pointsman.verbs import find as verb
    from pointsman.verbs.verify import read_shard

    request = verb.Request(ids, files, read_shard(shard))
    with call.workspace() as workspace:
        return Answer(verb.find(workspace, request), partial(render, every=call.verbose))


def render(found: Finding, *, every: bool = False) -> str:
    """One line per blob that holds an id, then what could not be read, the first of it, and how much was."""
    lines = [_line(each) for each in found.found]
    lines += some([f"not read: {each.uri}: {one_line(each.why)}" for each in found.unread], every=every)
    versions = len({each.version for each in found.found})
    several = f"found in {versions} version{'' if versions == 1 else 's'}" if versions else "found nowhere"
    not_all = f"; {len(found.unread)} could not be read, so this is not all" if found.unread else ""
    return "\n".join([*lines, f"{found.read} blobs, {found.bytes} bytes: {several}{not_all}"])


def _line(each: FoundVersion) -> str:
    window = f", window {each.window.start} to {each.window.end}" if each.window else ""
    state = "current" if each.current else each.state
    return f"{one_line(each.id)}: {each.target} {each.type} {short(each.version)} {state}{one_line(window)}: {each.uri}"
