"""What reviewers run: check, review, get and the pull requests."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from typing import Any

import click

from pointsman.arguments import TEXT
from pointsman.console import Answer, Call, Commands, example, json_option, say_bytes


@click.command(epilog=example("pointsman check --base origin/main --head HEAD"))
@click.option("--base", metavar="REV", type=TEXT, help="Judge what --head changes against this.")
@click.option("--head", metavar="REV", type=TEXT, help="Judge this; default: HEAD, or main of a bare repository.")
@click.option("--staged", is_flag=True, help="Judge the index against HEAD.")
@click.option("--offline", is_flag=True, help="Leave the store alone.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "github"]),
    default="text",
    show_default=True,
    help="github: annotations, and a table in $GITHUB_STEP_SUMMARY.",
)
@json_option
@click.pass_obj
def check(call: Call, base: str | None, head: str | None, staged: bool, offline: bool, form: str) -> Answer:
    """Say which rules a change breaks.

    Without --base or --staged, which rules the whole tree breaks.
    """
    if form == "github" and call.json:
        raise click.UsageError("--json and --format github are two forms of one answer: leave one out")
    if staged and (base is not None or head is not None):
        raise click.UsageError("--staged judges the index against HEAD: leave --base and --head out")
    from pointsman.verbs import check as verb

    with call.repository() as repo:
        outcome = verb.check(repo, base=base, head=head, staged=staged, offline=offline)
    if form == "github" and (page := os.environ.get("GITHUB_STEP_SUMMARY")):
        with open(page, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(verb.summary(outcome.document))
    return Answer(outcome, verb.github if form == "github" else verb.render)


_FORMS = ("terminal", "markdown", "json", "html")


@click.command(epilog=example("pointsman review grocer/home"))
@click.argument("named", metavar="[PR|TARGET]", required=False, type=TEXT)
@click.option("--base", metavar="REV", type=TEXT, help="Against this; default: main, or what the target had before.")
@click.option("--head", metavar="REV", type=TEXT, help="This; default: HEAD, or main for a target.")
@click.option("--offline", is_flag=True, help="Leave the store alone: what only contents tell is not available.")
@click.option(
    "--format", "form", type=click.Choice(_FORMS), default="terminal", show_default=True, help="json: as --json."
)
@json_option
@click.pass_obj
def review(call: Call, named: str | None, base: str | None, head: str | None, offline: bool, form: str) -> Answer:
    """Say what a change means for those who get the recommendations.

    PR is an open pull request: its id, its branch or its target. Of a TARGET
    without one, its last change; with --base, what it has against what it had
    there. Without either, --head against --base. Always exit code 0: check judges.
    """
    if call.json and form not in ("terminal", "json"):
        raise click.UsageError(f"--json and --format {form} are two forms of one answer: leave one out")
    call.json = call.json or form == "json"
    from pointsman.verbs import review as verb

    with call.repository() as repo:
        outcome = verb.review(repo, named, base=base, head=head, offline=offline)
    return Answer(outcome, _reader(form), drawn=form == "terminal")


def _reader(form: str) -> Callable[[Mapping[str, Any]], str]:
    """What turns a review into one of its forms."""
    module = importlib.import_module(f"pointsman.report.review.{'terminal' if form == 'json' else form}")
    render: Callable[[Mapping[str, Any]], str] = module.render
    return render


@click.command(epilog=example("pointsman get 3f2a91c0d4e5 -o popularity.json"))
@click.argument("version", metavar="VERSION", type=TEXT)
@click.option("-o", "file", metavar="FILE", type=click.Path(dir_okay=False), help="Write it here; default: stdout.")
@click.option("--offline", is_flag=True, help="Only what was fetched before.")
@json_option
@click.pass_obj
def get(call: Call, version: str, file: str | None, offline: bool) -> Answer:
    """Fetch one artifact version, proven by its hash.

    VERSION is recorded on main; its first digits will do.
    """
    if call.json and file is None:
        raise click.UsageError("--json would share stdout with the artifact: name a file with -o")
    from pointsman.verbs import get as verb

    with call.repository() as repo:
        outcome, data = verb.get(repo, version, file, offline=offline)
    if file is None:
        say_bytes(data)
    return Answer(outcome, verb.render)


@click.group("pr", cls=Commands, no_args_is_help=False, epilog=example("pointsman pr merge grocer/home"))
def pr() -> None:
    """List, show, merge, refresh or close ship pull requests.

    ID is the id that list shows, a branch, or a target with one open pull request.
    """


@pr.command("list", epilog=example("pointsman pr list"))
@json_option
@click.pass_obj
def pr_list(call: Call) -> Answer:
    """List the open pull requests."""
    from pointsman.verbs import pr as pulls

    with call.repository() as repo:
        return Answer(pulls.list_pulls(repo), pulls.render)


@pr.command("show", epilog=example("pointsman pr show grocer/home"))
@click.argument("pull", metavar="ID", type=TEXT)
@json_option
@click.pass_obj
def pr_show(call: Call, pull: str) -> Answer:
    """Show one pull request and what the gate says of it."""
    from pointsman.verbs import pr as pulls

    with call.repository() as repo:
        return Answer(pulls.show(repo, pull), pulls.render)


@pr.command("merge", epilog=example("pointsman pr merge grocer/home"))
@click.argument("pull", metavar="ID", type=TEXT)
@json_option
@click.pass_obj
def pr_merge(call: Call, pull: str) -> Answer:
    """Check once more, then squash one pull request onto main."""
    from pointsman.verbs import pr as pulls

    call.refusal = "nothing was merged"
    with call.repository() as repo:
        return Answer(pulls.merge(repo, pull), pulls.render)


@pr.command("close", epilog=example("pointsman pr close grocer/home"))
@click.argument("pull", metavar="ID", type=TEXT)
@json_option
@click.pass_obj
def pr_close(call: Call, pull: str) -> Answer:
    """Close one pull request; main and the records stay."""
    from pointsman.verbs import pr as pulls

    with call.repository() as repo:
        return Answer(pulls.close(repo, pull), pulls.render)


@pr.command("refresh", epilog=example("pointsman pr refresh"))
@click.argument("pull", metavar="[ID]", type=TEXT, required=False)
@json_option
@click.pass_obj
def pr_refresh(call: Call, pull: str | None) -> Answer:
    """Build those anew that main has overtaken.

    Without ID, all of them. A rebuild costs the approvals given before it.
    """
    from pointsman.verbs import refresh

    with call.repository() as repo, call.progress() as progress:
        return Answer(refresh.refresh(repo, pull, progress), refresh.render)
