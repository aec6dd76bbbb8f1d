"""Many calls at once."""

from __future__ import annotations

import pytest

from pointsman.errors import Unreachable
from pointsman.store.parallel import ask_all


def test_many_calls_at_once_give_their_results_in_order_and_begin_nothing_after_an_error() -> None:
    assert list(ask_all(lambda each: each * 2, range(50), at_once=8)) == [each * 2 for each in range(50)]
    begun: list[int] = []

    def call(number: int) -> int:
        begun.append(number)
        raise Unreachable(f"number {number}")

    with pytest.raises(Unreachable, match="number"):
        list(ask_all(call, range(1000), at_once=4))
    assert len(begun) <= 4
