"""Times as artifacts write them."""

from __future__ import annotations

from datetime import date
from typing import TypeAlias

from pointsman.patterns import pattern

_RFC3339 = pattern(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)

_1970 = (date(1970, 1, 1).toordinal() - 1) * 86400  # seconds since year 1
_DURATION = pattern(r"(0|[1-9][0-9]{0,5})([smhdw])")
HOW_LONG = "write a number and its unit, such as 30m, 2h, 3d or 2w"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}  # seconds

Instant: TypeAlias = tuple[int, int]  # seconds since year 1 (UTC), nanoseconds


def window_instant(text: str) -> Instant | None:
    """The RFC 3339 time `text` as seconds since year 1 (UTC) and nanoseconds; None if it is not one.

    As strict as Go's own output: capital T and Z, seconds up to 59, at most nine digits after the point. Go's zero time
    is None too, because it counts as unset.
    """
    instant = rfc3339_instant(text)
    return None if instant == (0, 0) else instant


def rfc3339_instant(text: str) -> Instant | None:
    """Like `window_instant`, but Go's zero time is (0, 0)."""
    found = _RFC3339.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    fraction, sign, off_hour, off_minute = found.groups()[6:]
    ahead = [int(part or 0) for part in (off_hour, off_minute)]
    if max(hour, ahead[0]) > 23 or max(minute, second, ahead[1]) > 59:
        return None
    try:
        days = date(year, month, day).toordinal() - 1
    except ValueError:
        return None
    offset = (ahead[0] * 3600 + ahead[1] * 60) * (-1 if sign == "-" else 1)
    return days * 86400 + hour * 3600 + minute * 60 + second - offset, int((fraction or "0").ljust(9, "0"))


def unix(text: str) -> int | None:
    """The RFC 3339 time `text` as whole seconds since 1970; None if it is not one, or before that."""
    instant = rfc3339_instant(text)
    return instant[0] - _1970 if instant is not None and instant[0] >= _1970 else None


def duration(text: str, *, zero: bool = False) -> int | None:
    """Seconds of a length of time such as 30s, 90m, 36h, 3d or 2w, with `zero` also 0s; None for any other text."""
    found = _DURATION.fullmatch(text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    return seconds if seconds or (found and zero) else None
