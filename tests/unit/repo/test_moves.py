"""What a git that was killed has left to do."""

from __future__ import annotations

import pytest

from pointsman.repo.moves import Move, rest_of
from pointsman.state.objects import Oid

MAIN, SHIP, HOLD = "refs/heads/main", "refs/heads/ship/a", "refs/heads/hold/b"
OLD, NEW, HEAD, ELSE = (Oid(digit * 40) for digit in "1234")
MOVES = [Move(MAIN, NEW, OLD), Move(SHIP, None, HEAD), Move(HOLD, None, HEAD)]


@pytest.mark.parametrize(
    "now,left",
    [
        ({MAIN: OLD, SHIP: HEAD, HOLD: HEAD}, None),
        ({MAIN: OLD, HOLD: HEAD}, None),  # someone closed a pull request: nothing of it may be merged
        ({MAIN: ELSE, SHIP: HEAD, HOLD: HEAD}, None),
        ({MAIN: NEW, SHIP: HEAD, HOLD: HEAD}, [SHIP, HOLD]),
        ({MAIN: NEW, HOLD: HEAD}, [HOLD]),
        ({MAIN: NEW}, []),
    ],
)
def test_only_what_follows_a_main_that_has_moved_is_left_to_do(now: dict[str, Oid], left: list[str] | None) -> None:
    rest = rest_of(MOVES, now)
    assert (None if rest is None else [move.ref for move in rest]) == left


def test_a_branch_that_somebody_else_took_away_leaves_nothing_to_do() -> None:
    closing = [Move(SHIP, None, HEAD), Move("refs/pointsman/closed/ship/a", NEW, None)]
    assert rest_of(closing, {}) is None
    assert rest_of(closing, {"refs/pointsman/closed/ship/a": NEW}) == []
