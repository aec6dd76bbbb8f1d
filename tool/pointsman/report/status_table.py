"""Status as a table: one line for each target, in columns, and a summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from pointsman.errors import one_line
from pointsman.report.served_drift import is_rewritten
from pointsman.report.status import left_ring, main_seen, no_ship, nothing_of, waiting
from pointsman.report.target_state import Status, TargetState
from pointsman.report.words import columns, fitted, padded
from pointsman.serving.outcomes import Waiting
from pointsman.state.names import short

_HEADINGS = ("TARGET", "SERVING", "SHIPPED", "BY", "WINDOW", "TO KNOW")
_WIDE = (*_HEADINGS[:-1], "COMMIT", "RUN", _HEADINGS[-1])
_LONGEST_NAME = 24  # characters of who shipped it
_FEWEST = 20  # columns that the last cell needs to stand in its row
_GIVE_WAY = ("BY", "WINDOW", "SHIPPED")  # in this order, where a terminal is narrow
_GAP = "  "
_UNITS = (("d", 86400), ("h", 3600), ("m", 60))

Style = Callable[[str, str], str]  # a cell and what it says → the cell in its colour


class _Row(NamedTuple):
    cells: Sequence[str]
    mood: str  # fine, wait or bad


def plain(cell: str, mood: str) -> str:
    """No colour."""
    return cell


def render(status: Status, *, wide: bool = False, width: int | None = None, style: Style = plain) -> str:
    """The table. `width`: columns of the terminal; None: any.

    Where it is narrow, what identifies a line stays whole: other columns are left out, and what stands last is cut. If
    that has no place, it stands below its line.
    """
    seen = [*map(main_seen, status.main_seen), *map(left_ring, status.left or ())]
    if not status.targets:
        return "\n".join(["nothing was shipped yet", *seen])
    headings = _WIDE if wide else _HEADINGS
    rows = [_Row(headings, "head"), *(_row(each, status.at, wide=wide) for each in status.targets)]
    widths = [max(map(columns, cells)) for cells in zip(*(row.cells for row in rows), strict=True)]
    shown = [*range(len(headings) - 1)]
    left = None
    if width is not None and not wide:
        gives_way = iter(_GIVE_WAY)
        while (left := width - sum(widths[each] + len(_GAP) for each in shown)) < _FEWEST:
            if (heading := next(gives_way, None)) is None:
                break
            shown.remove(headings.index(heading))
    lines = [line for row in rows for line in _lines(row, [(each, widths[each]) for each in shown], left, width, style)]
    return "\n".join([*lines, *summary(status), *seen])


def _lines(
    row: _Row, shown: Sequence[tuple[int, int]], left: int | None, width: int | None, style: Style
) -> Iterator[str]:
    """A row, and what has no place in it. `shown`: the columns before the last, and how wide they are."""
    last, cells = row.cells[-1], [padded(row.cells[place], size) for place, size in shown]
    below = left is not None and left < _FEWEST
    if not below:
        cells.append(last if left is None else fitted(last, left))
    if row.mood == "head":
        yield style(_GAP.join(cells).rstrip(), row.mood)
        return
    cells[1] = style(cells[1], row.mood)
    yield _GAP.join(cells).rstrip()
    if below and last and width is not None:
        yield f"{_GAP}{fitted(last, max(width - len(_GAP), _FEWEST))}"


def _row(each: TargetState, now: str, *, wide: bool) -> _Row:
    shipped, window = each.shipped, each.window
    by = one_line(shipped.by) if shipped else "-"
    cells = [
        each.target,
        each.serving,
        _ago(shipped.at, now) if shipped else "-",
        by if wide else fitted(by, _LONGEST_NAME),
        _age(window.age_seconds) if window and window.age_seconds is not None else "-",
    ]
    if wide:
        cells += [short(shipped.commit) if shipped else "-", one_line(shipped.run) or "-" if shipped else "-"]
    return _Row([*cells, one_line("; ".join(to_know(each)))], mood(each))


def to_know(each: TargetState) -> Iterator[str]:
    """What stands in the way, the worst first, and what is not as on other days."""
    shipped, drift = each.shipped, each.drift
    if each.refused:
        yield f"sync refuses it: {', '.join(sorted({fault.rule for fault in each.refused}))}"
    if drift:
        someone = f"someone wrote what is served{f', {drift.by}' if drift.by else ''}"
        yield "main never had what is served" if is_rewritten(each.refused) else someone
    if each.claim and each.claim.holds:
        yield f"break-glass holds it until {each.claim.until}: {each.claim.reason}"
    if each.unread:
        yield f"serving cannot be read: {each.unread}"
    if each.behind and each.serving == "behind":
        yield f"behind for {_length(each.behind.seconds)}"
    if each.serving == "absent" and each.current:
        yield "no pointer"
    yield from (f"{place.place} {place.serving}" for place in each.places or () if place.serving != "in-sync")
    for ring in each.rings or ():
        if ring.due is not None and ring.waits_for != "nothing":
            yield f"{ring.ring}: {waiting(Waiting(ring.waits_for, ring.due.commit, ring.due.at))}"
    if each.instances is not None and each.instances.behind:
        yield f"{each.instances.behind} of {each.instances.known} instances behind"
    if nothing := nothing_of(each):
        yield nothing
    for hold in each.holds:
        yield f"on hold until {hold.until}{' (all)' if hold.target == 'all' else ''}: {hold.reason}"
    if each.window and each.window.stale:
        yield f"too old: {', '.join(each.window.stale)}"
    if shipped:
        yield from no_ship(shipped)
    if len(each.pull_requests) == 1:
        yield f"open: {each.pull_requests[0].id}"
    elif each.pull_requests:
        yield f"{len(each.pull_requests)} open pull requests"


def summary(status: Status) -> Iterator[str]:
    """How many targets are in which state, and what to ask next."""
    every = status.targets
    states = Counter(each.serving for each in every)
    parts = [f"{count} {state}" for state, count in states.most_common()]
    more = {
        "refused by sync": sum(bool(each.refused) for each in every),
        "stopped between rings": sum(map(_is_stopped, every)),
        "on hold": sum(bool(each.holds) for each in every),
        "too old": sum(bool(each.window and each.window.stale) for each in every),
        "with an open pull request": sum(bool(each.pull_requests) for each in every),
    }
    parts += [f"{count} {what}" for what, count in more.items() if count]
    targets = f"{len(every)} target{'s' if len(every) != 1 else ''}"
    yield f"{targets} on main {short(status.commit)}: {', '.join(parts)}"
    if any(mood(each) != "fine" for each in every):
        worst = next((each for how in ("bad", "wait") for each in every if mood(each) == how), every[0])
        yield f"more of one: pointsman status {worst.target}"


def mood(each: TargetState) -> str:
    """fine, wait or bad."""
    if each.serving in ("drifted", "unknown") or each.refused:
        return "bad"
    late = (each.window and each.window.stale) or _is_stopped(each)
    return "fine" if each.serving == "in-sync" and not late else "wait"


def _is_stopped(each: TargetState) -> bool:
    """Whether a check keeps its last ship from a ring."""
    return any(ring.waits_for == "stop" for ring in each.rings or ())


def _ago(at: str, now: str) -> str:
    return f"{_length(int((datetime.fromisoformat(now) - datetime.fromisoformat(at)).total_seconds()))} ago"


def _age(seconds: int) -> str:
    """How long ago a window ended; "in 41m" if that is still to come."""
    return _length(seconds) if seconds >= 0 else f"in {_length(-seconds)}"


def _length(seconds: int) -> str:
    """A length of time in a few characters: 40s, 17m, 5h, 3d."""
    for unit, size in _UNITS:
        if abs(seconds) >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
