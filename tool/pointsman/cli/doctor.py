"""`pointsman doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pointsman.cli.console import Answer, Call, example, json_option

if TYPE_CHECKING:
    from pointsman.verbs.doctor import Examined


@click.command(epilog=example("pointsman doctor"))
@json_option
@click.pass_obj
def doctor(call: Call) -> Answer:
    """Try whether the stores can be relied on.

    Writes and deletes in a scratch place, .pointsman/doctor, and races several
    writers for one key: one must win. 1: a store cannot be relied on, 3: cannot be reached.
    """
    from pointsman.verbs import doctor as verb

    with call.workspace() as workspace:
        return Answer(verb.doctor(workspace), render)


def render(found: Examined) -> str:
    """One line per check."""
    return "\n".join(f"{'ok ' if each.ok else 'BAD'} {each.name}: {each.says}" for each in found.checks)
