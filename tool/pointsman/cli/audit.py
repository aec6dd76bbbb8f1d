"""`pointsman audit`."""

from __future__ import annotations

import click

from pointsman.cli.arguments import TEXT
from pointsman.cli.console import Answer, Call, example, json_option
from pointsman.report.audit.forms import FORMS, renderer


@click.command(epilog=example("pointsman audit --format html"))
@click.option("--accept-rewrite", is_flag=True, help="Accept main as it is now although it was rewritten.")
@click.option("--format", "form", type=click.Choice(tuple(FORMS)), default="text", help="The form of the report.")
@click.option("--since", metavar="TIME", type=TEXT, help="Tell only what came from this time on: 2h (ago), a date.")
@click.option("--until", metavar="TIME", type=TEXT, help="Tell only what came up to this date or time.")
@click.option("--bundle", metavar="FILE", type=TEXT, help="Also write main and its proofs into one archive.")
@click.option("--verify-bundle", metavar="FILE", type=TEXT, help="Judge such an archive. Needs nothing else.")
@json_option
@click.pass_obj
def audit(
    call: Call, /, accept_rewrite: bool, form: str, bundle: str | None, verify_bundle: str | None, **window: str | None
) -> Answer:
    """Judge every commit of main and report what happened.

    Starts after the commit that [audit] since names, or at the first commit. With --since or
    --until every commit is judged all the same; the report and the exit code are about that time alone.
    """
    if call.json and form != "text":
        raise click.UsageError(f"--json and --format {form} are two forms of one answer: leave one out")
    if verify_bundle is not None and (accept_rewrite or bundle is not None):
        raise click.UsageError("--verify-bundle only reads: leave --accept-rewrite and --bundle out")
    from pointsman.verbs import audit as verb

    if verify_bundle is not None:
        with call.progress() as progress:
            return Answer(verb.verify_bundle(verify_bundle, progress, **window), renderer(form), advises=False)
    with call.workspace() as workspace:
        outcome = verb.audit(workspace, accept_rewrite=accept_rewrite, bundle=bundle, **window)
    return Answer(outcome, renderer(form), advises=form == "text")
