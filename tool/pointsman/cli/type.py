"""`pointsman type` and the command below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import TEXT
from pointsman.cli.console import Answer, Call, Commands, example, json_option

if TYPE_CHECKING:
    from pointsman.verbs.own_types import NewType


@click.group("type", cls=Commands, no_args_is_help=False, epilog=example("pointsman type new embedding --from e.json"))
@click.help_option("-h", "--help")
def type_() -> None:
    """Declare an artifact type of your own."""


@type_.command("new", epilog=example("pointsman type new model_card --from card.json"))
@click.argument("name", metavar="NAME", type=TEXT)
@click.option(
    "--from",
    "examples",
    metavar="FILE",
    type=click.Path(),
    multiple=True,
    required=True,
    help="An artifact of this type; with several, the schema fits them all.",
)
@click.option("--dry-run", is_flag=True, help="Print the schema, and write nothing.")
@json_option
@click.pass_obj
def type_new(call: Call, name: str, examples: tuple[str, ...], dry_run: bool) -> Answer:
    """Write a schema for NAME that fits an example.

    It becomes registry/schemas/NAME.schema.json of the checkout. Read it, then bring it to main.
    """
    from pointsman.verbs import own_types as verb

    with call.repository() as repo:
        return Answer(verb.new_type(repo, name, examples, dry_run=dry_run), render)


def render(made: NewType) -> str:
    """Where the schema is, and what to look at before it is on main for good."""
    import json

    lines = [f"wrote {made.path}"] if made.written else [json.dumps(made.schema, indent=2, ensure_ascii=False)]
    for places, says in (
        (made.integers, "integers, hashed as they are; write number if a fraction may come"),
        (made.numbers, "numbers, hashed as doubles"),
        (made.maps, "maps: their names are taken for data, such as ids"),
        (made.unknown, "empty or null in the example: say what they may hold, or give a fuller example"),
    ):
        if places:
            lines.append(f"  {', '.join(places)}: {says}")
    if made.written:
        lines.append("it may be changed until main has a record of this type, and never after")
        lines.append(f"next: git add {made.path} && git commit, and bring it to main; then pointsman publish")
        lines.append("with an origin that is: git pull --rebase && git push, or a pull request of a forge")
    return "\n".join(lines)
