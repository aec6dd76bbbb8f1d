"""`pointsman check`."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import TEXT
from pointsman.cli.console import Answer, Call, example, json_option, some
from pointsman.report.markdown import plain
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.verbs.check import Checked


@click.command(epilog=example("pointsman check --base origin/main --head HEAD"))
@click.option("--base", metavar="REV", type=TEXT, help="Judge what --head changes compared with this revision.")
@click.option(
    "--head", metavar="REV", type=TEXT, help="Judge this revision; default: HEAD, or main of a bare repository."
)
@click.option("--staged", is_flag=True, help="Judge the index against HEAD.")
@click.option("--offline", is_flag=True, help="Do not read the store.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "github"]),
    default="text",
    show_default=True,
    help="github: annotations and a table in $GITHUB_STEP_SUMMARY.",
)
@json_option
@click.pass_obj
def check(call: Call, base: str | None, head: str | None, staged: bool, offline: bool, form: str) -> Answer:
    """Judge a change by the rules.

    Without --base and --staged, everything at --head is judged.
    """
    if form == "github" and call.json:
        raise click.UsageError("--json and --format github are two forms of one answer: leave one out")
    if staged and (base is not None or head is not None):
        raise click.UsageError("--staged judges the index against HEAD: leave --base and --head out")
    from pointsman.verbs import check as verb

    if staged:
        call.usual = None  # a hook judges the repository that it runs in
    with call.workspace(offline=offline, judging=True) as workspace:
        outcome = verb.check(workspace, base=base, head=head, staged=staged)
    if form == "github" and (page := os.environ.get("GITHUB_STEP_SUMMARY")):
        with open(page, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(summary(outcome.value))
    text = github if form == "github" else partial(render, every=call.verbose)
    return Answer(outcome, text, advises=form == "text")


def render(found: Checked, *, every: bool = False) -> str:
    """One line per fault and note, the first of them unless `every` is asked for, and one verdict."""
    faults = [str(fault) + (f" (accepted: {fault.reason})" if fault.accepted else "") for fault in found.faults]
    lines = [*some(faults, every=every), *some([f"note: {note}" for note in found.notes], every=every)]
    return "\n".join([*lines, _sentence(found)])


def github(found: Checked) -> str:
    """The same as GitHub's workflow commands, which show on the lines of a pull request, and one verdict."""
    lines = [
        f"::{'notice' if fault.accepted else 'error'} file={_property(fault.path)},line={fault.line},"
        f"title={_property(fault.rule)}::{_data(fault.says)}"
        + (_data(f" (accepted: {fault.reason})") if fault.accepted else "")
        for fault in found.faults
    ]
    lines += [
        f"::notice file={_property(note.path)},line={note.line},title={_property(note.rule)}::" + _data(note.says)
        for note in found.notes
    ]
    return "\n".join([*lines, _sentence(found)])


def summary(found: Checked) -> str:
    """The same as Markdown, for a job's summary. What the change accepts stands first: reviewers approve it, too."""
    order = sorted(found.faults, key=lambda fault: not fault.accepted)
    rows = [
        f"| {'accepted' if fault.accepted else 'refused'} | `{fault.rule}` | {plain(fault.path)} | "
        f"{plain(fault.says)}{plain(f' Accepted: {fault.reason}') if fault.accepted else ''} |"
        for fault in order
    ]
    rows += [f"| note | `{note.rule}` | {plain(note.path)} | {plain(note.says)} |" for note in found.notes]
    table = ["", "| | rule | path | |", "|---|---|---|---|", *rows] if rows else []
    return "\n".join([f"**pointsman check**: {_sentence(found)}", *table]) + "\n"


def _sentence(found: Checked) -> str:
    broken = sum(not fault.accepted for fault in found.faults)
    where = f" at {short(found.head)}" if found.head is not None else " in the index"
    where += f", compared with {short(found.base)}" if found.base is not None else ""
    if not broken:
        return f"no faults{where}"
    is_change = found.base is not None or found.head is None  # else everything at a commit was judged
    stops = ": this change must not be merged" if is_change else ""
    return f"{broken} fault{'s' if broken > 1 else ''}{where}{stops}"


def _data(text: str) -> str:
    """Text in a workflow command (escapes as in GitHub's own toolkit, packages/core/src/command.ts)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
