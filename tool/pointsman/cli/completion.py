"""`pointsman completion`."""

from __future__ import annotations

from typing import Annotated, Literal

import click

from pointsman.cli.console import Answer, example, json_option
from pointsman.outcome import Outcome
from pointsman.struct import struct


@struct(frozen=True)
class Completion:
    """What a shell has to read."""

    shell: Literal["bash", "zsh", "fish"]
    script: Annotated[str, "in the shell's own language"]


@click.command(epilog=example("pointsman completion bash"))
@click.argument("shell", metavar="SHELL", type=click.Choice(("bash", "zsh", "fish")))
@json_option
@click.pass_context
def completion(context: click.Context, shell: Literal["bash", "zsh", "fish"]) -> Answer:
    """Print what makes a shell complete commands and names.

    SHELL is bash, zsh or fish. Let the shell read it when it starts. Targets,
    versions, types and pull requests are then completed from your clone, too.
    """
    from click.shell_completion import get_completion_class

    from pointsman.cli.main import COMPLETE

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(context.find_root().command, {}, "pointsman", COMPLETE).source()
    return Answer(Outcome(Completion(shell, script)), lambda value: value.script, advises=False)
