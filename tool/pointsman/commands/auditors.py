"""What auditors run: log, at, show and audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pointsman.arguments import TARGET, TEXT
from pointsman.console import Answer, Call, example, json_option

if TYPE_CHECKING:
    from pointsman.state.names import Target


@click.command(epilog=example("pointsman log grocer/home --since 2026-03-01 --format csv"))
@click.argument("targets", metavar="[TARGET]...", nargs=-1, type=TARGET)
@click.option("--records", is_flag=True, help="Show when artifact versions were recorded, too.")
@click.option("--since", metavar="TIME", type=TEXT, help="Only from this moment on, as 2026-03-01.")
@click.option("--until", metavar="TIME", type=TEXT, help="Only up to this moment or day.")
@click.option("--by", metavar="WHO", type=TEXT, help="Only with this in the author's or committer's name.")
@click.option("--run", metavar="URL", type=TEXT, help="Only what this pipeline run shipped.")
@click.option("--format", "form", type=click.Choice(("text", "csv")), default="text", help="How to print it.")
@click.option("--approvals", is_flag=True, help="Ask the forge who approved what was merged: two calls a commit.")
@click.option("--explain", metavar="COMMIT", type=TEXT, help="Say in one paragraph what a commit did.")
@json_option
@click.pass_obj
def log(call: Call, /, targets: tuple[Target, ...], form: str, explain: str | None, **query: Any) -> Answer:
    """Tell every ship, restore, removal, edit and hold, newest first.

    A time without a zone is UTC; a day alone begins at 00:00 for --since and ends with its last second for --until.
    """
    from pointsman.verbs import explain as explainer
    from pointsman.verbs import log as verb

    if explain and (targets or form != "text" or any(value for name, value in query.items() if name != "approvals")):
        raise click.UsageError("--explain tells one commit: it goes with no target and no other option but --approvals")
    with call.repository() as repo:
        if explain:
            return Answer(explainer.explain(repo, explain, approvals=query["approvals"]), explainer.render)
        outcome = verb.log(repo, verb.Query(targets, **query))
        return Answer(outcome, verb.render_csv if form == "csv" else verb.render)


@click.command("at", epilog=example("pointsman at 2026-03-03T12:00:00+01:00 grocer/home"))
@click.argument("when", metavar="TIME|COMMIT", type=TEXT)
@click.argument("target", metavar="TARGET", type=TARGET)
@json_option
@click.pass_obj
def at_(call: Call, when: str, target: Target) -> Answer:
    """Tell what was current at a moment, and by whose commit.

    A time without a zone is UTC, a day alone is 00:00; what came into force in that very second counts.
    """
    import time

    from pointsman.verbs import at as verb

    with call.repository() as repo:
        return Answer(verb.at(repo, when, target, now=int(time.time())), verb.render)


@click.command(epilog=example("pointsman show 6ce09c2f"))
@click.argument("version", metavar="VERSION", type=TEXT)
@click.option("--offline", is_flag=True, help="Do not ask the store whether the blob is there.")
@json_option
@click.pass_obj
def show(call: Call, version: str, offline: bool) -> Answer:
    """Tell what is recorded of a version, and when it was current.

    The first digits of the version do where no other begins with them.
    """
    from pointsman.verbs import show as verb

    with call.repository() as repo:
        return Answer(verb.show(repo, version, offline=offline), verb.render)


@click.command(epilog=example("pointsman audit --format html"))
@click.option("--accept-rewrite", is_flag=True, help="Take main as it is now although it was rewritten.")
@click.option(
    "--format", "form", type=click.Choice(("text", "markdown", "html")), default="text", help="How to report it."
)
@json_option
@click.pass_obj
def audit(call: Call, accept_rewrite: bool, form: str) -> Answer:
    """Judge every commit of main, and report what happened.

    From the commit after [audit] since, or from the first.
    """
    if call.json and form != "text":
        raise click.UsageError(f"--json and --format {form} are two forms of one answer: leave one out")
    import importlib

    from pointsman.verbs import audit as verb

    with call.repository() as repo:
        outcome = verb.audit(repo, accept_rewrite=accept_rewrite)
    return Answer(
        outcome, importlib.import_module(f"pointsman.report.audit.{'terminal' if form == 'text' else form}").render
    )
