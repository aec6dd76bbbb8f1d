"""What a command ends with that ships many targets."""

from __future__ import annotations

import pytest

from pointsman.values import ShippedTarget, ToldFault
from pointsman.verbs.publish import exit_code

DONE = ShippedTarget("grocer/home", "merged", None, None, None)
REFUSED = ShippedTarget("grocer/home", "refused", None, None, None, [ToldFault("schema", "a.json", "it has no items")])
FOR_PEOPLE = ShippedTarget("grocer/home", "opened", None, None, None, [ToldFault("unapproved", "a.json", "2 lack")])
NO_ANSWER = ShippedTarget("grocer/home", "waits", None, None, None, None, "the store does not answer")
OVERTAKEN = ShippedTarget("grocer/home", "moved-first", None, None, None, None, "main moved")


@pytest.mark.parametrize(
    "outcomes,code",
    [
        ([DONE], 0),
        ([DONE, DONE], 0),
        ([REFUSED], 1),
        ([REFUSED, REFUSED], 1),
        ([DONE, REFUSED], 5),
        ([FOR_PEOPLE], 5),
        ([NO_ANSWER], 3),
        ([DONE, NO_ANSWER], 5),
        ([OVERTAKEN], 4),
        ([DONE, OVERTAKEN], 5),
        ([REFUSED, OVERTAKEN], 4),
        ([REFUSED, NO_ANSWER], 3),
        ([NO_ANSWER, OVERTAKEN], 4),
    ],
)
def test_some_of_several_are_5_and_of_none_the_gravest_counts(outcomes: list[ShippedTarget], code: int) -> None:
    assert exit_code(outcomes) == code
