"""The open pull requests as a table, on a terminal of any width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pointsman.report.words import columns, fitted, padded, wrapped

_HEADINGS = ("id", "targets", "title", "by", "opened", "state")
_ID, _TARGETS, _TITLE, _BY, _OPENED, _STATE = range(6)
_LEFT_OUT = (_BY, _OPENED)  # in this order, where a terminal is narrow; pr show has them
_BELOW = (_TITLE, _STATE, _TARGETS)  # what then stands below its line, in this order
_SHORTEST_TITLE = 24  # columns
_GAP = "  "


def lines(rows: Sequence[Sequence[str]], width: int | None = None) -> Iterator[str]:
    """A line for each, in columns, after a heading. `width`: columns of the terminal; None: any.

    Where it is narrow, ids and targets stay whole, and what has no place stands below its line, in whole words.
    """
    every = [_HEADINGS, *rows]
    widths = [max(map(columns, cells)) for cells in zip(*every, strict=True)]
    shown = list(range(len(_HEADINGS)))
    below: list[int] = []
    if width is not None:
        if not any(row[_STATE] for row in rows):
            shown.remove(_STATE)
        _make_room(shown, below, widths, width)
    for row in every:
        cells = (padded(fitted(row[each], widths[each]), widths[each]) for each in shown)
        yield _GAP.join(cells).rstrip()
        if row is not _HEADINGS and width is not None:
            for each in sorted(below):
                yield from (f"{_GAP}{line}" for line in wrapped(row[each], width - len(_GAP)))


def _make_room(shown: list[int], below: list[int], widths: list[int], width: int) -> None:
    """Leave columns out, cut titles, and put columns below, as far as it must be."""

    def over() -> int:
        return sum(widths[each] + len(_GAP) for each in shown) - len(_GAP) - width

    for each in _LEFT_OUT:
        if over() > 0:
            shown.remove(each)
    if over() > 0 and widths[_TITLE] - over() >= _SHORTEST_TITLE:
        widths[_TITLE] -= over()
    for each in _BELOW:
        if over() > 0 and each in shown:
            shown.remove(each)
            below.append(each)
