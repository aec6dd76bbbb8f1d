"""Try again after someone else moved first: the origin is read again, and each pause is longer than the last."""

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
    """The result of `attempt`, which is tried again after MovedFirst. Before each new try the origin is read again.

    After `TRIES` tries: the last MovedFirst, or one with the text `gave_up`.
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
    """Wait a random time before the next try. The limit grows with each try, up to 1.3 seconds."""
    time.sleep(random.uniform(0, 0.02 * 2 ** min(again, 6)))
