"""A value becomes the document that `--json` prints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from msgspec import NODEFAULT, Struct

from pointsman.cli.console import say_document, say_members
from pointsman.outcome import Outcome, exit_of_many, members


class Step(Struct, frozen=True):
    from_: str
    to: str | None


class Told(Struct, frozen=True):
    steps: Sequence[Step]
    changes: Mapping[str, tuple[int | None, float]]
    says: str | None = None
    kind: str = ""


def test_a_value_is_an_object_with_its_members_in_their_order() -> None:
    document = Outcome(Told((Step("a", None),), {"x": (None, 1.5)}, "why")).document
    assert document == {"steps": [{"from": "a", "to": None}], "changes": {"x": [None, 1.5]}, "says": "why", "kind": ""}
    assert list(document) == ["steps", "changes", "says", "kind"]


class Dated(Told, frozen=True, kw_only=True):
    kind: str = "dated"
    at: str
    by: str | None = None


def test_members_of_a_base_come_first_and_keep_their_place() -> None:
    assert list(members(Dated)) == ["steps", "changes", "says", "kind", "at", "by"]
    assert members(Dated)["kind"] == "dated"
    assert members(Dated)["at"] is NODEFAULT
    assert list(Outcome(Dated((), {}, at="now")).document) == ["steps", "changes", "kind", "at"]


def test_a_member_that_is_none_by_default_is_left_out_where_it_is_none_and_no_other_is() -> None:
    assert Outcome(Told((), {})).document == {"steps": [], "changes": {}, "kind": ""}


class Made(Sequence[Step]):
    """So many steps, each made when it is looked at."""

    def __init__(self, many: int) -> None:
        self._many = many

    def __len__(self) -> int:
        return self._many

    def __iter__(self) -> Iterator[Step]:
        return (Step(f"https://user:secret{place}@x/\n", None) for place in range(self._many))

    def __getitem__(self, place: Any) -> Any:
        return list(self)[place]


@pytest.mark.parametrize("count", [0, 1, 3, 5_000])
def test_a_document_that_is_printed_piece_by_piece_is_the_same(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    made = Outcome(Told(Made(count), {"x": (None, 1.5), "y": (1, 2.5)}, "two\nlines"))
    say_document(made.document)
    whole = capsys.readouterr().out
    say_members(made.members())
    assert capsys.readouterr().out == whole
    assert len(json.loads(whole)["steps"]) == count
    assert "secret" not in whole


@pytest.mark.parametrize(
    "codes, code", [([], 0), ([0, 0], 0), ([3, 3], 3), ([0, 3], 5), ([0, 1, 4], 5), ([1, 4], 4), ([1, 5], 5)]
)
def test_of_many_all_have_one_code_or_some_are_done(codes: list[int], code: int) -> None:
    assert exit_of_many(codes) == code
