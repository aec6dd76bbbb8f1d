"""Try again after someone else moved first: the origin is read again, and each pause is longer than the last."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from pointsman.errors import MovedFirst
from pointsman.repo.repository import Repository
from pointsman.state.objects import Oid

TRIES = 12
_Result = TypeVar("_Result")


def until_settled(
    repo: Repository,
    attempt: Callable[[], _Result],
    gave_up: str = "",
    *,
    offer: Callable[[], Oid] | None = None,
    urgent: bool = False,
    final: tuple[type[MovedFirst], ...] = (),
) -> _Result:
    """The result of `attempt`, which is tried again after MovedFirst. Before each new try the origin is read again.

    `offer`: for attempts that push main themselves. The commit that waits in the line of the origin, so that each of
    many gets its turn (see `turns`); an `urgent` attempt does not wait for others. `final`: what no new try settles.

    It ends with MovedFirst, the last one or one with the text `gave_up`, when its time is over
    (POINTSMAN_LANDING_TIMEOUT), or after `TRIES` tries between which nothing on the origin moved.
    """
    turns = repo.turns
    with turns.taken():
        again = still = 0
        if offer is not None and turns.waiting and not turns.held and not urgent:
            turns.wait(again, offer())
            repo.refresh()
        while True:
            seen = repo.heads
            try:
                return attempt()
            except MovedFirst as error:
                if isinstance(error, final):
                    raise
                if still == TRIES or turns.is_over:
                    raise MovedFirst(gave_up) if gave_up else error from error
                if offer is not None or turns.held:
                    turns.wait(again, offer() if offer is not None else repo.main, urgent=urgent)
                else:
                    pause(again)
            repo.refresh()
            still = still + 1 if repo.heads == seen else 0
            again += 1


def pause(again: int) -> None:
    """Wait a random time before the next try. The limit grows with each try, up to 1.3 seconds."""
    import random

    time.sleep(random.uniform(0, 0.02 * 2 ** min(again, 6)))
