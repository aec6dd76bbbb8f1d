"""`pointsman review`."""

from __future__ import annotations

import click

from pointsman.cli.arguments import PULL, TEXT
from pointsman.cli.console import Answer, Call, example, json_option
from pointsman.report.review.forms import FORMS, renderer


@click.command(epilog=example("pointsman review grocer/home"))
@click.argument("named", metavar="[PR|TARGET]", required=False, type=PULL)
@click.option(
    "--base",
    metavar="REV",
    type=TEXT,
    help="Compare with this revision; default: main, or the state before the target's last change.",
)
@click.option("--head", metavar="REV", type=TEXT, help="Review this revision; default: HEAD, or main for a target.")
@click.option("--offline", is_flag=True, help="Do not read the store; figures that need blob contents are left out.")
@click.option(
    "--format", "form", type=click.Choice(tuple(FORMS)), default="terminal", show_default=True, help="json: as --json."
)
@json_option
@click.pass_obj
def review(call: Call, named: str | None, base: str | None, head: str | None, offline: bool, form: str) -> Answer:
    """Show what a change means for the recommendations.

    PR is an open pull request: its id, its branch or its target. For a TARGET
    with no open pull request: its last change, or with --base the difference
    since then. With no argument: --head compared with --base. The exit code
    does not judge: check does.
    """
    if call.json and form not in ("terminal", "json"):
        raise click.UsageError(f"--json and --format {form} are two forms of one answer: leave one out")
    call.json = call.json or form == "json"
    from pointsman.verbs import review as verb

    with call.workspace(offline=offline) as workspace:
        outcome = verb.review(workspace, named, base=base, head=head)
    return Answer(outcome, renderer(form), drawn=form == "terminal", advises=form == "terminal")
