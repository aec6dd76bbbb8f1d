"""`pointsman pr` and the commands below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from pointsman.cli.arguments import TEXT
from pointsman.cli.console import Answer, Call, Commands, example, json_option
from pointsman.outcome import fault_line


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

    with call.workspace() as workspace:
        return Answer(pulls.list_pulls(workspace), render)


@pr.command("show", epilog=example("pointsman pr show grocer/home"))
@click.argument("pull", metavar="ID", type=TEXT)
@json_option
@click.pass_obj
def pr_show(call: Call, pull: str) -> Answer:
    """Show one pull request and what the gate says of it."""
    from pointsman.verbs import pr as pulls

    with call.workspace() as workspace:
        return Answer(pulls.show(workspace, pull), render)


@pr.command("merge", epilog=example("pointsman pr merge grocer/home"))
@click.argument("pull", metavar="ID", type=TEXT)
@json_option
@click.pass_obj
def pr_merge(call: Call, pull: str) -> Answer:
    """Check once more, then squash one pull request onto main."""
    from pointsman.verbs import pr as pulls

    call.refusal = "nothing was merged"
    with call.workspace() as workspace:
        return Answer(pulls.merge(workspace, pull), render)


@pr.command("close", epilog=example("pointsman pr close grocer/home"))
@click.argument("pull", metavar="ID", type=TEXT)
@json_option
@click.pass_obj
def pr_close(call: Call, pull: str) -> Answer:
    """Close one pull request; main and the records stay."""
    from pointsman.verbs import pr as pulls

    with call.workspace() as workspace:
        return Answer(pulls.close(workspace, pull), render)


@pr.command("refresh", epilog=example("pointsman pr refresh"))
@click.argument("pull", metavar="[ID]", type=TEXT, required=False)
@json_option
@click.pass_obj
def pr_refresh(call: Call, pull: str | None) -> Answer:
    """Build those anew that main has overtaken.

    Without ID, all of them. A rebuild costs the approvals given before it.
    """
    from pointsman.verbs import refresh

    with call.workspace() as workspace:
        return Answer(refresh.refresh(workspace, pull), render_refreshed)


def render(outcome: Mapping[str, Any]) -> str:
    """Any of the four documents, for a person."""
    if "pull_requests" in outcome:
        lines = [_line(pull) for pull in outcome["pull_requests"]]
        return "\n".join(lines) or "no open pull requests"
    if "closed" in outcome:
        return f"closed {outcome['closed']['branch']}"
    if "commit" in outcome:
        what = ", ".join(outcome["targets"]) or "the hold"
        return f"merged {what} as {outcome['commit'][:12]}"
    faults = [f"  {'accepted' if fault['accepted'] else 'refused'}: {fault_line(fault)}" for fault in outcome["faults"]]
    notes = [f"  note: {fault_line(note)}" for note in outcome["notes"]]
    passes = [] if any(not fault["accepted"] for fault in outcome["faults"]) else ["  the gate passes it"]
    return "\n".join([_line(outcome), *(f"  {said}" for said in outcome["says"]), *faults, *notes, *passes])


def _line(pull: Mapping[str, Any]) -> str:
    stale = "  (stale: main moved; next: pointsman pr refresh)" if pull["stale"] else ""
    targets = f"{', '.join(pull['targets'])}  " if pull["targets"] else ""  # a hold's own has none
    return f"{pull['id']}  {targets}{pull['title']}  by {pull['author']}, {pull['opened_at']}{stale}"


def render_refreshed(outcome: Mapping[str, Any]) -> str:
    """One line per pull request, and what stops those that were refused."""
    lines = []
    for each in outcome["pull_requests"]:
        says = f": {each['says']}" if each["says"] else ""
        lines.append(f"{each['id']}  {', '.join(each['targets'])}  {each['outcome']}{says}")
        lines += [f"  {fault_line(fault)}" for fault in each["faults"]]
    return "\n".join(lines) or "no open pull requests"
