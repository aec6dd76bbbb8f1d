"""A review on a terminal: one line that says what it is, the table of targets, then each artifact."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from pointsman.report.approvals import signed_lines
from pointsman.report.review.rows import (
    HEADINGS,
    accepted,
    facts,
    guardrails,
    held,
    lost,
    movement,
    rows,
    slots,
    trend,
    undone,
)
from pointsman.report.review.value import Review, ReviewedTarget, ReviewedType
from pointsman.report.words import shown, sparkline
from pointsman.state.names import short

if TYPE_CHECKING:
    from rich.console import Console

_DETAILED = 3  # targets whose artifacts are shown one by one
_PLAIN_WIDTH = 120  # columns where no terminal says how many it has


def render(review: Review) -> str:
    """The review as a terminal shows it, in colour where stdout is one."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    width = None if terminal else _PLAIN_WIDTH
    console = Console(
        file=io.StringIO(), force_terminal=terminal, width=width, highlight=False, markup=False, emoji=False
    )
    _head(console, review)
    targets = review.targets
    for target in targets[:_DETAILED]:
        _target(console, target)
    if len(targets) > _DETAILED:
        console.print(f"{len(targets) - _DETAILED} more targets: pointsman review TARGET shows one", style="dim")
    _ending(console, review)
    file = console.file
    assert isinstance(file, io.StringIO)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def _head(console: Console, review: Review) -> None:
    from rich.table import Table

    targets = review.targets
    for target in targets:
        for some, reason in accepted(target):
            console.print(f"accepts {some} for {target.target}: {reason}", style="yellow")
    console.print(shown(review.verdict, 1000), style="bold red" if review.is_stopped else "bold")
    for line in signed_lines(review.approvals, review.evidence):
        console.print(line)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in HEADINGS:
        table.add_column(name, no_wrap=name in ("was", "becomes"))
    for target in targets:
        for row in rows(target):
            cells = (row.target, row.type, row.was, row.becomes, row.count, row.kept, row.top, row.size)
            table.add_row(*cells, style="yellow" if row.unusual else None)
    if table.rows:
        console.print(table)
    for hold in review.holds:
        console.print(held(hold), style="yellow")
    for fault in review.faults:
        console.print(f"{fault.rule}: {shown(fault.path, 200)}: {shown(fault.says, 600)}", style="red")
    for target in targets:
        for fault in target.faults:
            if not fault.accepted:
                console.print(f"{fault.rule}: {target.target}: {shown(fault.says, 1000)}", style="red")
        for note in target.notes:
            console.print(f"note: {target.target}: {shown(note, 600)}", style="dim")
        if target.undoes:
            console.print(f"{target.target} {undone(target.undoes)}; lost: {lost(target.undoes)}")
            console.print(f"  {shown(target.undoes.title, 200)}", style="dim")


def _target(console: Console, target: ReviewedTarget) -> None:
    from rich.table import Table

    for slot in slots(target):
        about = target.types[slot]
        console.print()
        console.print(f"{target.target} {slot}", style="bold")
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="dim", no_wrap=True)
        table.add_column()
        for label, value in facts(target, slot):
            table.add_row(f"  {label}", value)
        if (past := trend(target, slot)) is not None:
            table.add_row(f"  {past.label}", f"{sparkline(past.counts)} {past.says}")
        for name, ids, over in about.lists():
            more = f" and {over} more" if over else ""
            table.add_row(f"  {name}", ", ".join(map(shown, ids)) + more)
        console.print(table)
        if about.top is not None:
            _tops(console, about)


def _tops(console: Console, about: ReviewedType) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("  #", "before", "now", "count", ""):
        table.add_column(name, justify="right" if name in ("  #", "count") else "left", overflow="fold")
    for place, (old, new) in enumerate(about.tops(), 1):
        right = (shown(new.id, 40), f"{new.count:,}", movement(new.rank, new.was_rank)) if new else ("", "", "")
        table.add_row(str(place), shown(old.id if old else "", 40), *right)
    console.print(table)


def _ending(console: Console, review: Review) -> None:
    targets = review.targets
    checked = [(target.target, *each) for target in targets[:_DETAILED] for each in guardrails(target)]
    if checked:
        from rich.table import Table

        console.print()
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("guardrail", "target", "type", "figure", "limit", ""):
            table.add_column(name)
        for name, rule, slot, figure, limit, ok in checked:
            table.add_row(rule, name, slot, figure, limit, "" if ok else "broken", style=None if ok else "red")
        console.print(table)
    console.print()
    approved = f"; must be approved by one of {', '.join(review.owners)}" if review.owners else ""
    console.print(f"base: {short(review.base)}{approved}")
    for target in targets[:_DETAILED]:
        console.print(f"undo: {target.undo}")
