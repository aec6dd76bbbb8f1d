"""A review on a terminal: one line that says what it is, the table of targets, then each artifact."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pointsman.report.approvals import signed_lines
from pointsman.report.review.rows import (
    NOT_MEASURED,
    Row,
    accepted,
    facts,
    guardrails,
    held,
    lost,
    movement,
    ringed,
    rows,
    slots,
    trend,
    undone,
)
from pointsman.report.review.value import Review, ReviewedTarget, ReviewedType
from pointsman.report.words import columns, shown, sparkline
from pointsman.state.names import short

if TYPE_CHECKING:
    from rich.console import Console

_SHORTEST_HASH = 7  # digits
_GAP = "  "  # between two columns of a table without a box
_HEADINGS = ("target", "type", "was", "becomes", "count", "kept", "top", "size")
_NARROW = 50  # columns
_DETAILED = 3  # targets whose artifacts are shown one by one
_PLAIN_WIDTH = 120  # columns where no terminal says how many it has


def render(review: Review, width: int | None = None) -> str:
    """The review as a terminal shows it, in colour where stdout is one. `width`: columns; None: those of the terminal.

    No line is wider. Where there is little room hashes are cut first, and names of targets and types never.
    """
    from rich.console import Console

    terminal = sys.stdout.isatty()
    width = width if width is not None or terminal else _PLAIN_WIDTH
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

    targets = review.targets
    for target in targets:
        for some, reason in accepted(target):
            console.print(f"accepts {some} for {target.target}: {reason}", style="yellow")
    console.print(shown(review.verdict, 1000), style="bold red" if review.is_stopped else "bold")
    for line in signed_lines(review.approvals, review.evidence):
        console.print(line)
    for line in ringed(review):
        console.print(line, style="dim")
    _rows(console, [row for target in targets for row in rows(target)])
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


def _rows(console: Console, found: Sequence[Row]) -> None:
    """The table of what changes: with short hashes where it would be too wide, else a few lines for each row."""
    from rich.table import Table

    for digits in (12, _SHORTEST_HASH):
        cells = [_cells(row, digits) for row in found]
        used = [n for n, _ in enumerate(_HEADINGS) if any(row[n] for row in cells)]
        widths = [max(columns(_HEADINGS[n]), *(columns(row[n]) for row in cells)) for n in used]
        if sum(widths) + len(_GAP) * (len(widths) - 1) <= console.width:
            break
    else:
        for row in found:
            console.print(f"{row.target} {row.type}", style="bold yellow" if row.unusual else "bold", overflow="fold")
            console.print(f"  {row.was} → {row.becomes}")
            about = zip(_HEADINGS[4:], (row.count, row.kept, row.top, row.size), strict=True)
            console.print(f"  {'; '.join(f'{name} {says}' for name, says in about if says)}")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for n in used:
        table.add_column(_HEADINGS[n], no_wrap=True)
    for row, texts in zip(found, cells, strict=True):
        table.add_row(*(texts[n] for n in used), style="yellow" if row.unusual else None)
    if found:
        console.print(table)


def _cells(row: Row, digits: int) -> tuple[str, ...]:
    """The cells of a row, hashes cut to so many digits; what is there instead of one stays whole."""
    was, becomes = (each[:digits] if _is_hash(each) else each for each in (row.was, row.becomes))
    return row.target, row.type, was, becomes, row.count, row.kept, row.top, row.size


def _is_hash(text: str) -> bool:
    """Whether a cell is the beginning of a version."""
    return len(text) == 12 and not text.strip("0123456789abcdef")


def _target(console: Console, target: ReviewedTarget) -> None:
    from rich.table import Table

    for slot in slots(target):
        about = target.types[slot]
        console.print()
        console.print(f"{target.target} {slot}", style="bold")
        table = Table(box=None, show_header=False, pad_edge=False, collapse_padding=console.width < _NARROW)
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
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

    headings = ("  #", "before", "now", "count", "")
    rows = [headings]
    for place, (old, new) in enumerate(about.tops(), 1):
        right = (shown(new.id, 40), f"{new.count:,}", movement(new.rank, new.was_rank)) if new else ("", "", "")
        rows.append((str(place), shown(old.id if old else "", 40), *right))
    widths = [max(map(columns, cells)) for cells in zip(*rows, strict=True)]
    left = console.width - sum(widths)
    tight = left < len(_GAP) * (len(widths) - 1)
    fits = left >= len(widths) - 1
    used = [n for n, name in enumerate(headings) if fits or name != "before"]  # where each was, the last column says
    table = Table(box=None, pad_edge=False, header_style="dim", collapse_padding=tight)
    for n in used:
        table.add_column(headings[n], justify="right" if n in (0, 3) else "left", overflow="fold")
    for row in rows[1:]:
        if fits or row[2]:
            table.add_row(*(row[n] for n in used))
    console.print(table)


def _guardrails(console: Console, target: ReviewedTarget) -> None:
    """What is broken or not measured, a line each, and all that passes in one."""
    passed, told = [], set()
    for rule, slot, figure, limit, ok in guardrails(target):
        if ok and figure != NOT_MEASURED:
            passed.append(rule)
            continue
        told.add(rule)
        of = "" if slot == "all" else f" of {slot}"
        says = f"{rule}{of}: {figure}" + (f", the limit is {limit}" if figure != NOT_MEASURED else "")
        console.print(f"{target.target} {says}{'' if ok else ', broken'}", style="yellow" if ok else "red")
    if well := [rule for rule in dict.fromkeys(passed) if rule not in told]:
        console.print(f"{target.target} within its limit: {', '.join(well)}", style="dim")


def _ending(console: Console, review: Review) -> None:
    targets = review.targets
    console.print()
    for target in targets[:_DETAILED]:
        _guardrails(console, target)
    approved = f"; must be approved by one of {', '.join(review.owners)}" if review.owners else ""
    console.print(f"base: {short(review.base)}{approved}")
    for target in targets[:_DETAILED]:
        console.print(f"undo: {target.undo}")
