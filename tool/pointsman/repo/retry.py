"""Try again when someone moved first: what was read is read anew, and each pause is longer than the one before."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from pointsman.errors import MovedFirst
from pointsman.repo.repository import Repository

TRIES = 12
_Result = TypeVar("_Result")


def until_settled(repo: Repository, attempt: Callable[[], _Result], gave_up: str = "") -> _Result:
    """What `attempt` returns, once nobody moves first. Before each further try the origin is read anew.

    MovedFirst if someone was faster at every try: the last one, or one that says `gave_up`.
    """
    for again in range(TRIES):
        try:
            return attempt()
        except MovedFirst as error:
            if again == TRIES - 1:
                raise MovedFirst(gave_up) if gave_up else error from error
            pause(again)
            repo.refresh()
    raise AssertionError("unreachable")


def pause(again: int) -> None:
    """Wait a little before one more try, up to 1.3 seconds, the longer the more there were."""
    time.sleep(random.uniform(0, 0.02 * 2 ** min(again, 6)))
