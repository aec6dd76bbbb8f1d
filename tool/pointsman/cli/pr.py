"""`pointsman pr` and the commands below it."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import PULL, PULLS, TEXT
from pointsman.cli.console import Answer, Call, Commands, example, json_option, sure, terminal_width
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.state.names import Pattern
    from pointsman.verbs.pr import Closed, Listed, ListedPullRequest, Merged, MergedMany, Shown
    from pointsman.verbs.refresh import Refreshed


# What gh and glab call it → what it is called here.
_MEANT = {
    "approve": "pointsman approve", "checks": "show", "create": "pointsman publish", "diff": "pointsman review",
    "rebase": "refresh", "review": "pointsman review", "status": "list", "update": "refresh",
    "update-branch": "refresh", "view": "show",
}  # fmt: skip


class _Pulls(Commands):
    meant = _MEANT


@click.group("pr", cls=_Pulls, no_args_is_help=False, epilog=example("pointsman pr merge grocer/home"))
@click.help_option("-h", "--help")
def pr() -> None:
    """List, show, merge, refresh or close ship pull requests.

    ID is the id that list shows, a branch, or a target that has one open pull request.
    """


@pr.command("list", epilog=example("pointsman pr list"))
@json_option
@click.pass_obj
def pr_list(call: Call) -> Answer:
    """List the open pull requests."""
    from pointsman.verbs import pr as pulls

    with call.workspace() as workspace:
        return Answer(pulls.list_pulls(workspace), partial(render_list, width=terminal_width()))


@pr.command("show", epilog=example("pointsman pr show grocer/home"))
@click.argument("pull", metavar="ID", type=PULL)
@json_option
@click.pass_obj
def pr_show(call: Call, pull: str) -> Answer:
    """Show one pull request and how the gate judges it."""
    from pointsman.verbs import pr as pulls

    with call.workspace() as workspace:
        return Answer(pulls.show(workspace, pull), render_shown)


@pr.command("merge", epilog=example("pointsman pr merge grocer/home"))
@click.argument("pulls", metavar="ID|PATTERN...", nargs=-1, required=True, type=PULLS)
@click.option("--dry-run", is_flag=True, help="Judge it, merge nothing.")
@click.option("-y", "--yes", is_flag=True, help="With a pattern: do not ask on a terminal.")
@json_option
@click.pass_obj
def pr_merge(call: Call, pulls: tuple[str | Pattern, ...], dry_run: bool, yes: bool) -> Answer:
    """Judge pull requests again, then squash each onto main.

    'bookshop/*' means every target of bookshop that has one open. A refused
    one stops no other.
    """
    from pointsman.verbs import pr as verb

    call.refusal = "nothing was merged"
    with call.workspace() as workspace:
        if len(pulls) == 1 and isinstance(pulls[0], str):
            return Answer(verb.merge(workspace, pulls[0], dry_run=dry_run), render_merged)
        patterns = not all(isinstance(each, str) for each in pulls)
        if patterns and not (dry_run or yes) and sys.stdin.isatty():
            told = verb.merge_many(workspace, pulls, dry_run=True).value.pull_requests
            sure("merge {} pull requests", [each.id for each in told if each.outcome == "dry-run"], call.refusal)
        return Answer(verb.merge_many(workspace, pulls, dry_run=dry_run), render_merged_many)


@pr.command("close", epilog=example("pointsman pr close grocer/home"))
@click.argument("pull", metavar="ID", type=PULL)
@click.option("--reason", metavar="TEXT", type=TEXT, help="Why; who publishes the same again reads it.")
@click.option("--dry-run", is_flag=True, help="Say which one it is, and leave it open.")
@json_option
@click.pass_obj
def pr_close(call: Call, pull: str, reason: str | None, dry_run: bool) -> Answer:
    """Close one pull request. main and the records do not change."""
    from pointsman.verbs import pr as pulls

    with call.workspace() as workspace:
        return Answer(pulls.close(workspace, pull, reason=reason or "", dry_run=dry_run), render_closed)


@pr.command("refresh", epilog=example("pointsman pr refresh"))
@click.argument("pull", metavar="[ID]", type=PULL, required=False)
@click.option("--dry-run", is_flag=True, help="Say what would be rebuilt, and write nothing.")
@json_option
@click.pass_obj
def pr_refresh(call: Call, pull: str | None, dry_run: bool) -> Answer:
    """Rebuild the pull requests that are out of date with main.

    Without ID: all of them. A rebuild voids the approvals given before it.
    """
    from pointsman.verbs import refresh

    with call.workspace() as workspace:
        return Answer(refresh.refresh(workspace, pull, dry_run=dry_run), render_refreshed)


_RETIRED_SHOWN = 20
_TARGETS_SHOWN = 2


def render_list(listed: Listed, width: int | None = None) -> str:
    """A table, and below it what the person has to know besides. `width`: columns of the terminal; None: any."""
    from pointsman.report.pulls_table import lines
    from pointsman.report.words import shown

    if not listed.pull_requests:
        return "no open pull requests"
    rows = []
    for pull in listed.pull_requests:
        more = len(pull.targets) - _TARGETS_SHOWN
        targets = ", ".join(pull.targets[:_TARGETS_SHOWN]) + (f" and {more} more" if more > 0 else "")
        state = f"{'stale' if pull.stale else ''}{_approvals(pull)}".lstrip(", ")
        rows.append((pull.id, targets or "-", shown(pull.title), shown(pull.author, 30), pull.opened_at, state))
    stale = any(pull.stale for pull in listed.pull_requests)
    why = ["stale: main moved, or was merged into it; next: pointsman pr refresh"] if stale else []
    return "\n".join([*lines(rows, width), *why])


def render_shown(pull: Shown) -> str:
    """The pull request, its lines of exact grammar, and what the gate says of it."""
    faults = [f"  {'accepted' if fault.accepted else 'refused'}: {fault}" for fault in pull.faults]
    notes = [f"  note: {note}" for note in pull.notes]
    gone = [f"  retires {each.target} {each.type} {each.version}" for each in (pull.retires or ())[:_RETIRED_SHOWN]]
    more = len(pull.retires or ()) - len(gone)
    gone += [f"  … and {more} more: pointsman --json pr show {pull.id}"] if more else []
    passes = [] if any(not fault.accepted for fault in pull.faults) else ["  the gate passes it"]
    return "\n".join([_line(pull), *(f"  {said}" for said in pull.says), *gone, *faults, *notes, *passes])


def render_merged(merged: Merged) -> str:
    """What was merged, and as which commit."""
    return _merged(merged.outcome, merged.commit, ", ".join(merged.targets) or "the pull request")


def _merged(outcome: str, commit: str, what: str) -> str:
    if outcome == "unchanged":
        return f"unchanged, nothing of {what} is open, and main has it as {short(commit)}"
    if outcome == "dry-run":
        return f"{what} can be merged onto {short(commit)}; nothing was written"
    return f"merged {what} as {short(commit)}"


def render_merged_many(merged: MergedMany) -> str:
    """One line for each, and what stops those that were refused."""
    lines = []
    for each in merged.pull_requests:
        if each.commit is not None:
            lines.append(_merged(each.outcome, each.commit, ", ".join(each.targets) or each.id))
        else:
            lines.append(f"{each.id}: {each.outcome}{f': {each.says}' if each.says else ''}")
            lines += [f"  {fault}" for fault in each.faults]
    return "\n".join(lines)


def render_closed(closed: Closed) -> str:
    """Which branch went."""
    if closed.dry_run:
        return f"would close {closed.closed.branch}; nothing was written"
    return f"closed {closed.closed.branch}"


def _line(pull: ListedPullRequest) -> str:
    stale = "  (stale: main moved, or was merged into it; next: pointsman pr refresh)" if pull.stale else ""
    targets = f"{', '.join(pull.targets)}  " if pull.targets else ""  # that of a hold on everything has none
    return f"{pull.id}  {targets}{pull.title}  by {pull.author}, {pull.opened_at}{_approvals(pull)}{stale}"


def _approvals(pull: ListedPullRequest) -> str:
    if pull.approvals is None:
        return ""
    from pointsman.report.approvals import approvals_line

    return f", {approvals_line(pull.approvals)}"


def render_refreshed(refreshed: Refreshed) -> str:
    """One line per pull request, and what stops those that were refused."""
    lines = []
    for each in refreshed.pull_requests:
        says = f": {each.says}" if each.says else ""
        would = "would be " if refreshed.dry_run and each.outcome in ("rebuilt", "merged", "closed") else ""
        lines.append(f"{each.id}  {', '.join(each.targets)}  {would}{each.outcome}{says}")
        lines += [f"  {fault}" for fault in each.faults]
    if lines and refreshed.dry_run:
        lines.append("a dry run: nothing was written")
    return "\n".join(lines) or "no open pull requests"
