"""A clock that runs on while the machine sleeps, which other clocks do not: a marker must not outlive a closed lid."""

from __future__ import annotations

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # macOS has no other, and counts sleep in this one


def elapsed() -> float:
    """Seconds since some moment, sleep included."""
    return time.clock_gettime(_CLOCK)
