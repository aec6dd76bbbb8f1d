"""A value becomes the document that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pointsman.outcome import Outcome
from pointsman.struct import struct


@struct(frozen=True)
class Step:
    from_: str
    to: str | None


@struct(frozen=True)
class Told:
    steps: Sequence[Step]
    changes: Mapping[str, tuple[int | None, float]]
    says: str | None = None
    kind: str = ""


def test_a_value_is_an_object_with_its_members_in_their_order() -> None:
    document = Outcome(Told((Step("a", None),), {"x": (None, 1.5)}, "why")).document
    assert document == {"steps": [{"from": "a", "to": None}], "changes": {"x": [None, 1.5]}, "says": "why", "kind": ""}
    assert list(document) == ["steps", "changes", "says", "kind"]


def test_a_member_that_is_none_by_default_is_left_out_where_it_is_none_and_no_other_is() -> None:
    assert Outcome(Told((), {})).document == {"steps": [], "changes": {}, "kind": ""}
