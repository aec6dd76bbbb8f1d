"""`pointsman log`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from pointsman.cli.arguments import COUNT, TARGETS, TEXT
from pointsman.cli.console import Answer, Call, example, json_option, terminal_width
from pointsman.cli.without_git import look_at_commit, look_at_log, told_without_git
from pointsman.errors import one_line
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.history.events import LoggedEvent
    from pointsman.state.names import Pattern, Target
    from pointsman.verbs.log import Log


@click.command(epilog=example("pointsman log grocer/home --since 2026-03-01 --format csv"))
@click.argument("targets", metavar="[TARGET]...", nargs=-1, type=TARGETS)
@click.option("--records", is_flag=True, help="Also show when versions were recorded and retired.")
@click.option("-n", "--most", metavar="N", type=COUNT, help="Only the newest N.")
@click.option("--oneline", is_flag=True, help="A line for each, in columns.")
@click.option("--since", metavar="TIME", type=TEXT, help="Only from this time on: 2h (ago), a date or a time.")
@click.option("--until", metavar="TIME", type=TEXT, help="Only up to this date or time.")
@click.option("--by", metavar="WHO", type=TEXT, help="Only commits whose author or committer contains this.")
@click.option("--run", metavar="URL", type=TEXT, help="Only what this pipeline run shipped.")
@click.option("--ring", metavar="NAME", type=TEXT, help="Also tell when a ring was due each, and given it.")
@click.option("--format", "form", type=click.Choice(("text", "csv")), default="text", help="The form of the list.")
@click.option("--approvals", is_flag=True, help="Ask the forge who approved each merge: two calls per commit.")
@click.option("--explain", metavar="COMMIT", type=TEXT, help="Explain one commit in one paragraph.")
@json_option
@click.pass_obj
def log(
    call: Call, /, targets: tuple[Target | Pattern, ...], form: str, oneline: bool, explain: str | None, **query: Any
) -> Answer:
    """List ships, restores, removals, edits and holds, newest first.

    TARGET may be a pattern, such as 'grocer/*'. A terminal shows it in a pager: $POINTSMAN_PAGER, $PAGER or less.
    A time without a zone is UTC. A date alone is a whole day: --since starts at 00:00, --until ends with its last
    second.
    """
    from pointsman.verbs import explain as explainer
    from pointsman.verbs import log as verb

    if oneline and form == "csv":
        raise click.UsageError("--oneline and --format csv are two forms of one list: leave one out")
    if explain and (
        targets or oneline or form != "text" or any(value for name, value in query.items() if name != "approvals")
    ):
        raise click.UsageError("--explain tells one commit: it goes with no target and no other option but --approvals")
    look = look_at_commit(explain) if explain else look_at_log(targets)
    with call.workspace() as workspace, told_without_git(workspace.repo, look):
        if explain:
            return Answer(
                explainer.explain(workspace, explain, approvals=query["approvals"]), render_explained, advises=False
            )
        outcome = verb.log(workspace, verb.Query(targets, **query))
    plain = render_csv if form == "csv" else partial(render_oneline, width=terminal_width()) if oneline else render
    return Answer(outcome, plain, advises=False, paged=form == "text")


def render_explained(log: Log) -> str:
    return log.explanation or ""


_COLUMNS = (
    "at", "kind", "target", "type", "from", "to", "commit", "by", "committer", "run", "reason", "accepts", "until",
    "approved_by", "approvals", "evidence", "ring", "due_at", "given_at",
    "broke_glass",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would compute at the beginning of a cell


def render(log: Log) -> str:
    """A block of lines per event, newest first."""
    return "\n".join(line for event in log.events for line in _lines(event)) or "no events"


def render_oneline(log: Log, width: int | None = None) -> str:
    """A line per event, newest first, in columns. `width`: those of the terminal; None: any."""
    from pointsman.report.log_table import lines

    return "\n".join(lines(log.events, width)) or "no events"


def _lines(event: LoggedEvent) -> Iterator[str]:
    yield f"{event.at}  {event.kind:<8} {event.target}  {short(event.commit)}  by {event.by}"
    for slot, (old, new) in event.changes.items():
        yield f"    {slot}: {short(old or 'nothing')} → {short(new or 'nothing')}"
    for rule, reason in (event.accepts or {}).items():
        yield f"    accepted {rule}: {reason}"
    if event.now:
        yield "    straight to main, without a review"
    if event.broke_glass:
        yield f"    break-glass: in front of serving since {one_line(event.broke_glass)}"
    for name, text in (("until", event.until), ("run", event.run), ("reason", event.reason)):
        if text:
            yield f"    {name}: {text}"
    if event.approvals is not None:
        yield f"    signed by: {', '.join(map(one_line, event.approvals)) or 'nobody'}"
    yield from (f"    evidence: {one_line(str(each))}" for each in event.evidence or ())
    yield from (f"    {one_line(str(each))}" for each in event.rings or ())
    if event.approved_by is not None:
        yield f"    approved by: {', '.join(map(one_line, event.approved_by)) or 'nobody'}"
    if event.committer != event.by:
        yield f"    merged by: {event.committer}"


def render_csv(log: Log) -> str:
    """A row per event and type that it changes, a line each; no cell is a formula."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    rows.writerows([_cell(each or "") for each in row] for event in log.events for row in _rows(event))
    return text.getvalue().removesuffix("\n")


def _rows(event: LoggedEvent) -> Iterator[Sequence[str | None]]:
    """The cells of an event, by column, for each type that it changes; one row if it changes none."""
    accepts = "; ".join(f"{rule}: {reason}" for rule, reason in (event.accepts or {}).items())
    approved = ", ".join(event.approved_by or ())
    ring = next(iter(event.rings or ()), None)
    in_ring = (ring.ring, ring.due_at, ring.given_at) if ring is not None else (None, None, None)
    for slot, (old, new) in event.changes.items() or [("", ("", ""))]:
        yield (
            event.at, event.kind, event.target, slot, old, new, event.commit, event.by, event.committer, event.run,
            event.reason, accepts, event.until, approved, ", ".join(event.approvals or ()),
            "; ".join(str(each) for each in event.evidence or () if each.type == slot), *in_ring,
            event.broke_glass,
        )  # fmt: skip


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
