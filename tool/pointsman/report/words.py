"""Figures, names and bars as people read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from unicodedata import combining, east_asian_width

from pointsman.errors import one_line

_LONGEST = 60  # characters of an id
_BARS = "▁▂▃▄▅▆▇█"


def sparkline(figures: Sequence[float]) -> str:
    """A small picture of counts, the lowest bar for 0."""
    highest = max(figures, default=0)
    return "".join(_BARS[round(each / highest * (len(_BARS) - 1))] if highest else _BARS[0] for each in figures)


def bar(share: float, width: int = 10) -> str:
    """A share as a bar."""
    full = round(share * width)
    return "█" * full + "░" * (width - full)


def percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def size(count: float | None) -> str:
    """Bytes as people read them."""
    if count is None:
        return "-"
    for unit, scale in (("MB", 1_000_000), ("kB", 1_000)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"


def shown(text: str, longest: int = _LONGEST) -> str:
    """Text from outside, on one line, nothing in it obeyed, cut where it is very long."""
    line = one_line(text)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def columns(text: str) -> int:
    """How many columns of a terminal a line needs: letters of East Asia need two, marks on a letter none."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(each) else 2 if east_asian_width(each) in "WF" else 1 for each in text)


def fitted(text: str, width: int) -> str:
    """A line cut to so many columns."""
    if columns(text) <= width:
        return text
    while columns(text) >= width:
        text = text[:-1]
    return f"{text}…"


def wrapped(text: str, width: int) -> Iterator[str]:
    """Lines of whole words, of so many columns; a word that needs more has a line of its own."""
    line = ""
    for word in text.split():
        if line and columns(line) + 1 + columns(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    if line:
        yield line


def padded(text: str, width: int) -> str:
    """A line with spaces behind it, up to so many columns."""
    return text + " " * (width - columns(text))


def some(names: Sequence[str], most: int = 5) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(shown, names[:most])) + more
