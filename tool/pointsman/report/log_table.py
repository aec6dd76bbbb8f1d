"""Events as a table, a line each, on a terminal of any width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pointsman.errors import one_line
from pointsman.history.events import LoggedEvent
from pointsman.report.words import columns, fitted, padded
from pointsman.state.names import short

_TIME, _TARGET, _HASH = 0, 2, 3  # places in a line
_SHORTEST_HASH = 7  # digits
_SHORTEST_TIME = 16  # characters, down to the minute
_NAME_LEAST, _NAME = 6, 16  # columns for who did it, where there are few
_REASON = 12  # columns that a reason needs to be worth a look
_GAP = "  "


def lines(events: Sequence[LoggedEvent], width: int | None = None) -> Iterator[str]:
    """A line for each: when, what, of which target, by which commit, of which types, by whom and why.

    `width`: columns of the terminal; None: any. Where it is narrow, hashes and then times get shorter, and reasons,
    names and types go; a target never does. If it has no place in the line, it stands below.
    """
    if not events:
        return
    if width is None:
        rows = [
            (*_what(event), ", ".join(event.changes), one_line(event.by), one_line(event.reason)) for event in events
        ]
        sizes = [_widest(cells) for cells in zip(*rows, strict=True)]
        yield from (_in_columns(row, sizes) for row in rows)
        return
    yield from _narrow(events, width)


def _what(event: LoggedEvent) -> tuple[str, str, str, str]:
    return event.at, event.kind, event.target, short(event.commit)


def _narrow(events: Sequence[LoggedEvent], width: int) -> Iterator[str]:
    first = list(map(_what, events))
    names, reasons = [_name(event) for event in events], [one_line(event.reason) for event in events]
    sizes = [_widest(cells) for cells in zip(*first, strict=True)]
    wanted = [*sizes, _widest(names), _widest([", ".join(event.changes) for event in events])]
    if _total(wanted) > width:
        sizes[_HASH] = _SHORTEST_HASH
    if below := _total(sizes) - (sizes[_TIME] - _SHORTEST_TIME) > width:
        sizes[_TARGET] = 0
    elif _total(sizes) > width:
        sizes[_TIME] = _SHORTEST_TIME
    name = _fitting(names, width - _total(sizes), least=_NAME_LEAST, most=_NAME)
    kinds = [_types(list(event.changes), width - _total([*sizes, name]) - len(_GAP)) for event in events]
    sizes += [_fitting(kinds, width - _total([*sizes, name])), name]
    sizes.append(_fitting(reasons, width - _total(sizes), least=_REASON))
    for cells, *more in zip(first, kinds, names, reasons, strict=True):
        row = [cells[_TIME][: sizes[_TIME]], cells[1], cells[_TARGET], cells[_HASH][: sizes[_HASH]]]
        row += [fitted(cell, size) if size else "" for cell, size in zip(more, sizes[-3:], strict=True)]
        yield _in_columns(row, sizes)
        if below:
            yield f"{_GAP}{cells[_TARGET]}"


def _in_columns(row: Sequence[str], sizes: Sequence[int]) -> str:
    return _GAP.join(padded(cell, size) for cell, size in zip(row, sizes, strict=True) if size).rstrip()


def _widest(cells: Sequence[str]) -> int:
    return max(map(columns, cells))


def _total(sizes: Sequence[int]) -> int:
    """The columns of a line; a column of no width is not there."""
    there = [size for size in sizes if size]
    return sum(there) + len(_GAP) * (len(there) - 1)


def _fitting(cells: Sequence[str], room: int, *, least: int = 1, most: int | None = None) -> int:
    """How wide a column may be where so much room is left, with the gap before it; 0 where it would say too little."""
    widest = _widest(cells)
    size = min(widest, room - len(_GAP), widest if most is None else most)
    return size if size >= min(least, widest) else 0


def _name(event: LoggedEvent) -> str:
    """Who did it, without an address."""
    return one_line(event.by).partition(" <")[0]


def _types(types: Sequence[str], room: int) -> str:
    """As many types as there is room for, and how many more there are; "" if none has."""
    for count in range(len(types), 0, -1):
        more = f" +{len(types) - count}" if count < len(types) else ""
        if columns(text := ", ".join(types[:count]) + more) <= room:
            return text
    text = f"{len(types)} types" if len(types) > 1 else ""
    return text if len(text) <= room else ""
