"""Options of the commands that ship: `publish` and `ship`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pointsman.cli.arguments import RULE, TEXT

_Any = TypeVar("_Any", bound=Callable[..., Any])


def ship_options(function: _Any) -> _Any:
    """The options that `ShipOptions` has a field for, but for --run."""
    for option in reversed(
        (
            click.option("--merge", is_flag=True, help="Merge at once if the gate passes it."),
            click.option("--reship", is_flag=True, help="Also ship versions that a rollback took out."),
            click.option(
                "--accept",
                metavar="[TARGET:]RULE",
                type=RULE,
                multiple=True,
                help="Ship although this guardrail is broken; needs --reason.",
            ),
            click.option("--reason", metavar="TEXT", type=TEXT, help="Why; reviewers read it, and git log shows it."),
            click.option("--dry-run", is_flag=True, help="Judge everything, write nothing."),
        )
    ):
        function = option(function)
    return function
