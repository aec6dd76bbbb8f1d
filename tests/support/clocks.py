"""Clocks that stand still."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from pointsman.workspace import system_clock

_LAST = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())  # no calendar goes further


def clock_at(seconds: float | None) -> Callable[[], datetime]:
    """A clock that always shows so many seconds since 1970; the machine's own for None."""
    return system_clock if seconds is None else lambda: datetime.fromtimestamp(min(seconds, _LAST), UTC)
