"""A struct behaves as the frozen dataclass that the type checker takes it for."""

from __future__ import annotations

from dataclasses import field
from typing import Any

import pytest

from pointsman.struct import members, replace, struct


@struct(frozen=True)
class Place:
    name: str
    floor: int = 0


@struct(frozen=True)
class Shelf(Place):
    name: str
    depth: int = field(kw_only=True)
    note: str | None = None


def test_members_come_in_order_with_those_of_the_base_first_and_defaults_fill_up() -> None:
    assert list(members(Shelf)) == ["name", "floor", "depth", "note"]
    assert repr(Shelf("a", depth=3)) == "Shelf(name='a', floor=0, depth=3, note=None)"


def test_structs_are_equal_if_their_types_and_members_are() -> None:
    assert Place("a") == Place("a", 0) != Place("a", 1)
    assert hash(Place("a")) == hash(Place(name="a"))
    assert replace(Place("a"), floor=2) == Place("a", 2)


def test_a_struct_cannot_be_changed() -> None:
    place: Any = Place("a")
    with pytest.raises(AttributeError, match=r"Place\.floor cannot be changed"):
        place.floor = 1
    with pytest.raises(AttributeError):
        del place.name


@pytest.mark.parametrize(
    "args, named",
    [((), {}), (("a", 1, 2), {}), (("a",), {"name": "b"}), (("a",), {"size": 1})],
    ids=["lacking", "too-many", "twice", "unknown"],
)
def test_what_does_not_fit_its_members_is_no_struct(args: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="Place"):
        Place(*args, **named)
