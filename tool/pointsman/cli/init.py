"""`pointsman init`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import SETTING, TEXT
from pointsman.cli.console import Answer, example, json_option

if TYPE_CHECKING:
    from pointsman.verbs.init import Made


@click.command(epilog=example("pointsman init /srv/recsys --set policy.items_drop=0.4"))
@click.argument("directory", metavar="DIR", type=click.Path())
@click.option("--store", metavar="URL", type=TEXT, help="Where blobs are stored; default: file://DIR/.pointsman/store.")
@click.option(
    "--serving", metavar="TEMPLATE", type=TEXT, help="Where serving reads pointers, with {tenant} and {surface}."
)
@click.option(
    "--forge",
    metavar="KIND",
    type=TEXT,
    default="local",
    show_default=True,
    help="Where pull requests are: local or github.",
)
@click.option(
    "--set",
    "sets",
    metavar="KEY=VALUE",
    type=SETTING,
    multiple=True,
    help="Any other setting, such as policy.items_drop=0.4.",
)
@json_option
def init(
    directory: str, store: str | None, serving: str | None, forge: str, sets: tuple[tuple[str, str], ...]
) -> Answer:
    """Make a manifest repository in DIR, ready to push."""
    from pointsman.verbs import init as verb

    outcome = verb.init(directory, store=store, serving=serving, forge=forge, sets=sets)
    return Answer(outcome, render)


def render(made: Made) -> str:
    """Where it is and what to do next."""
    there = shlex.quote(made.directory)
    return "\n".join(
        [
            f"made a manifest repository in {made.directory}; blobs will stand in {made.settings['store']['url']}",
            f"next: git -C {there} remote add origin URL && git -C {there} push -u origin main",
            "on GitHub: put your teams into CODEOWNERS, then in Settings",
            "  Rules > Rulesets > Import a ruleset: .github/ruleset.json, which protects main",
            '  General > Pull Requests: squash merging alone, its message "Pull request title and commit details"',
            "  the runner, and who may push main: docs/github.md",
        ]
    )
