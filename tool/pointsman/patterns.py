"""Patterns that are compiled when they are first used: a command needs few of all that its modules name."""

from __future__ import annotations

import re
from typing import Any, AnyStr, Generic, cast


class _Pattern(Generic[AnyStr]):
    def __init__(self, text: AnyStr, flags: int) -> None:
        self._text: AnyStr = text
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        found = getattr(re.compile(self._text, self._flags), name)
        setattr(self, name, found)  # so the next use costs nothing more
        return found


def pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """What `re.compile` gives; but where `text` is no pattern, the first use fails, and not this call."""
    return cast(re.Pattern[AnyStr], _Pattern(text, flags))
