"""How long Pointsman waits, in seconds: what the environment says, and what holds where it says nothing."""

from __future__ import annotations

import os
import re

from pointsman.errors import Problem


def remote_timeout() -> float:
    """What one conversation with a git remote may take (POINTSMAN_REMOTE_TIMEOUT)."""
    return _seconds("POINTSMAN_REMOTE_TIMEOUT", 300)


def store_timeout() -> float:
    """What one call of a store may go unanswered, all tries together (POINTSMAN_STORE_TIMEOUT).

    With Python's and git's own time a dead endpoint is reported within ten seconds.
    """
    return _seconds("POINTSMAN_STORE_TIMEOUT", 8)


def forge_patience() -> float:
    """What one run waits for a forge in all, when that asks for it; 0: not at all (POINTSMAN_FORGE_PATIENCE)."""
    return _seconds("POINTSMAN_FORGE_PATIENCE", 1800, zero=True)


def records_timeout() -> float:
    """What a publish waits for its records' pull request; 0: it looks once (POINTSMAN_RECORDS_TIMEOUT)."""
    return _seconds("POINTSMAN_RECORDS_TIMEOUT", 600, zero=True)


def _seconds(name: str, default: float, *, zero: bool = False) -> float:
    text = os.environ.get(name, "")
    seconds = float(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", text) else -1.0
    if text and (seconds < 0 or not (seconds or zero)):
        raise Problem(f"{name} is not a number of seconds{'' if zero else ' above 0'}: {text!r}")
    return seconds if text else default
