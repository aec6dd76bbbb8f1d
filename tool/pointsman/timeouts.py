"""How long Pointsman waits, in seconds. Each limit has an environment variable and a default."""

from __future__ import annotations

import os
import re

from pointsman.errors import Problem


def remote_timeout() -> float:
    """The longest time for one git command with a remote (POINTSMAN_REMOTE_TIMEOUT)."""
    return _seconds("POINTSMAN_REMOTE_TIMEOUT", 300)


def store_timeout() -> float:
    """The longest time without an answer for one call to a store, all tries together (POINTSMAN_STORE_TIMEOUT).

    With the default, a command reports a dead endpoint within ten seconds, the start of Python and git included.
    """
    return _seconds("POINTSMAN_STORE_TIMEOUT", 8)


def lock_timeout() -> float:
    """The longest time that one command waits for the lock of a directory (POINTSMAN_LOCK_TIMEOUT)."""
    return _seconds("POINTSMAN_LOCK_TIMEOUT", 600)


def forge_patience() -> float:
    """The longest time in all that one run waits if a forge asks it to; 0: not at all (POINTSMAN_FORGE_PATIENCE)."""
    return _seconds("POINTSMAN_FORGE_PATIENCE", 1800, zero=True)


def landing_timeout() -> float:
    """The longest time that one command tries to move refs that others move, too (POINTSMAN_LANDING_TIMEOUT)."""
    return _seconds("POINTSMAN_LANDING_TIMEOUT", 600)


def records_timeout() -> float:
    """The longest time that publish waits for its records' pull request; 0: look once (POINTSMAN_RECORDS_TIMEOUT)."""
    return _seconds("POINTSMAN_RECORDS_TIMEOUT", 600, zero=True)


def _seconds(name: str, default: float, *, zero: bool = False) -> float:
    text = os.environ.get(name, "")
    seconds = float(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", text) else -1.0
    if text and (seconds < 0 or not (seconds or zero)):
        raise Problem(f"{name} is not a number of seconds{'' if zero else ' above 0'}: {text!r}")
    return seconds if text else default
