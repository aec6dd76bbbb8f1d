"""How a forge is written to: look first, then act; after a lost answer, look again.

So a write that may have happened is never sent twice, and a second run finds everything done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pointsman.errors import MovedFirst
from pointsman.forge.base import Page
from pointsman.forge.http import HttpClient, Lost

_WRITE_TRIES = 4
_Any = TypeVar("_Any")


def look_then_act(client: HttpClient, look: Callable[[], _Any | None], act: Callable[[], _Any | None]) -> _Any:
    """The result of `look`, or else of `act`. After a lost answer it looks again before it acts again."""
    for again in range(_WRITE_TRIES):
        found = look()
        if found is not None:
            return found
        try:
            result = act()
        except Lost:
            if again == _WRITE_TRIES - 1:
                raise
            client.pause(again)
            continue
        if result is not None:
            return result
    raise MovedFirst(f"{client.forge}'s answers contradict each other: run the command again")


def comment_mark(purpose: str) -> str:
    """How the one comment for a purpose begins, with a blank after it."""
    return f"<!-- pointsman: {purpose}"


def title_within(page: Page, limit: int) -> str:
    """The title of a page, of at most `limit` characters."""
    return page.title if len(page.title) <= limit else page.title[: limit - 1] + "…"
