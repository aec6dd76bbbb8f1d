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
    """Test whether the stores and the forge work as required.

    Writes and deletes below .pointsman/doctor, and lets several writers race
    for one key: exactly one must win. Exit 1: a test failed; 3: a store or the
    forge does not answer.
    """
    from pointsman.verbs import doctor as verb

    with call.workspace() as workspace:
        return Answer(verb.doctor(workspace), render)


def render(found: Examined) -> str:
    """One line per check."""
    return "\n".join(f"{'ok ' if each.ok else 'BAD'} {each.name}: {each.says}" for each in found.checks)
