"""Clocks that stand still."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from pointsman.workspace import system_clock


def clock_at(seconds: float | None) -> Callable[[], datetime]:
    """A clock that always shows so many seconds since 1970; the machine's own for None."""
    return system_clock if seconds is None else lambda: datetime.fromtimestamp(seconds, UTC)
