"""`pointsman demo`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import TEXT
from pointsman.cli.console import Answer, Call, example, json_option, say

if TYPE_CHECKING:
    from pointsman.verbs.demo import Told


@click.command(epilog=example("pointsman demo"))
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path())
@click.option("--store", metavar="URL", type=TEXT, help="Where blobs are stored; default: a directory in DIR.")
@click.option("--endpoint", metavar="URL", type=TEXT, help="The endpoint of an s3:// URL; default: AWS.")
@click.option("--rings", is_flag=True, help="Another story: a bad day stays in the ring canary.")
@json_option
@click.pass_obj
def demo(call: Call, directory: str | None, store: str | None, endpoint: str | None, rings: bool) -> Answer:
    """Play the whole story on real artifacts.

    DIR must be empty or new; default: a new temporary directory. It is kept.
    """
    from pointsman.verbs import demo as verb

    if endpoint is not None and not (store or "").startswith("s3://"):
        raise click.UsageError("--endpoint is where the bucket of --store s3://… is")
    if rings:
        from pointsman.verbs import demo_rings

        if store is not None:
            raise click.UsageError("--rings has its store in DIR: leave --store out")
        found = demo_rings.demo_rings(directory, lambda line: say(line, err=call.json), shutil.which("prometheus"))
        return Answer(found, render)
    outcome = verb.demo(directory, lambda line: say(line, err=call.json), store=store, endpoint=endpoint)
    return Answer(outcome, render)


def render(_: Told) -> str:
    """Nothing more to say: the story has been told."""
    return ""
