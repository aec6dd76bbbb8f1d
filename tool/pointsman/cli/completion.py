"""`pointsman completion`."""

from __future__ import annotations

from typing import Annotated, Literal

import click
from click.shell_completion import CompletionItem, FishComplete, ShellComplete, ZshComplete, add_completion_class
from msgspec import Struct

from pointsman.cli.console import Answer, example, json_option
from pointsman.outcome import Outcome


class Completion(Struct, frozen=True):
    """What a shell has to read."""

    shell: Literal["bash", "zsh", "fish"]
    script: Annotated[str, "in the shell's own language"]


class _Whole(ShellComplete):
    """A shell that compares what is offered with the whole word, so that --type=co needs --type= before each name."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        name, equals, _ = incomplete.partition("=")
        found = super().get_completions(args, incomplete)
        if not (equals and name.startswith("--")):
            return found
        return [CompletionItem(f"{name}={each.value}", each.type, each.help) for each in found]


@add_completion_class
class Fish(_Whole, FishComplete):
    """As click's, which cuts what it offers, and what it says of that, at a comma."""

    source_template = FishComplete.source_template.replace('string split ","', 'string split --max 1 ","')


@add_completion_class
class Zsh(_Whole, ZshComplete):
    """As click's."""


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
