"""Holding: an id is found wherever an artifact can have it, however its text is spelled, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.artifact import user_type
from pointsman.artifact.built_in import LAYOUTS
from pointsman.artifact.holding import Held, NotRead, Search, place_of
from pointsman.artifact.user_type import UserType

WINDOW = {"start": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z"}
MANY = [f"other-{number}" for number in range(20)]  # more than are looked for in the bytes
BODIES: dict[str, dict[str, Any]] = {
    "popularity": {"items": [{"item_id": "a", "count": 3}, {"item_id": "b", "count": 1}]},
    "cooc": {"neighbors": [{"item_id": "a", "items": [{"item_id": "n", "count": 1}]}, {"item_id": "b", "items": None}]},
    "implicit": {"users": [{"user_id": "u", "items": [{"item_id": "a", "score": 0.5}]}]},
    "content_sim": {"items": [{"item_id": "a", "tags": ["t"]}]},
    "session_seq": {
        "users": [{"user_id": "u", "items": [{"item_id": "a", "score": 2}]}, {"user_id": "v", "items": []}]
    },
}


def document(kind: str, **body: Any) -> dict[str, Any]:
    head = {"v": 1, "artifact_type": kind, "tenant": "grocer", "surface": "home", "segment": "s", "window": WINDOW}
    return {**head, **body, "build": {"built_at": "", "version": ""}}


def look(kind: str, data: dict[str, Any] | bytes, *ids: str, own: UserType | None = None) -> list[str]:
    payload = data if isinstance(data, bytes) else json.dumps(data, ensure_ascii=False).encode()
    answers = []
    for wanted in (ids, [*ids, *MANY]):
        found = Search(wanted).look(kind, payload, own)
        assert found is None or found.window == tuple(WINDOW.values())
        answers.append(list(found.ids) if found is not None else [])
    assert answers[0] == answers[1], "few ids and many are looked for in different ways"
    return answers[0]


@pytest.mark.parametrize(
    "kind,ids",
    [
        ("popularity", ["a", "b"]),
        ("cooc", ["a", "b", "n"]),
        ("implicit", ["a", "u"]),
        ("content_sim", ["a"]),
        ("session_seq", ["a", "u", "v"]),
    ],
)
def test_items_neighbours_users_and_sequences_are_found_in_every_built_in_type(kind: str, ids: list[str]) -> None:
    made = document(kind, **BODIES[kind])
    assert set(BODIES) == set(LAYOUTS)
    assert look(kind, made, "a", "b", "n", "u", "v") == ids
    # Neither tags nor what is in the envelope are ids, nor are parts of an id.
    assert look(kind, made, "t", "grocer", "home", "s", kind, "items", "item_id", "A", "aa") == []


@pytest.mark.parametrize("spelled", ['"a\\u0062c"', '"\\u0061bc"', '"abc"'])
def test_an_id_is_found_however_its_text_is_spelled(spelled: str) -> None:
    data = json.dumps(document("popularity", items=[{"item_id": "?", "count": 1}])).replace('"?"', spelled).encode()
    assert look("popularity", data, "abc") == ["abc"]


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.sampled_from(["cooc", "implicit"]), st.booleans()
)
def test_any_text_is_found_as_it_was_published(text: str, kind: str, ascii_only: bool) -> None:
    body: dict[str, Any] = {"neighbors": [{"item_id": "x", "items": [{"item_id": text, "count": 1}]}]}
    if kind == "implicit":
        body = {"users": [{"user_id": text, "items": None}]}
    data = json.dumps(document(kind, **body), ensure_ascii=ascii_only).encode()
    assert look(kind, data, text, "another") == [text]


@pytest.mark.parametrize("kind", sorted(LAYOUTS))
@pytest.mark.parametrize(
    "body", [{"items": {"u": 1}}, {"users": ["u"]}, {"neighbors": [{"item_id": 7, "note": "u"}]}, {"more": {"u": []}}]
)
def test_what_is_not_as_its_type_says_is_searched_whole(kind: str, body: dict[str, Any]) -> None:
    if "more" in body:
        body = {**body, "items": 3}
    assert look(kind, document(kind, **body), "u") == ["u"]


@pytest.mark.parametrize("data", [b"", b"{", b"\x1f\x8b\x08\x00", b'{"items": ["\xff"]}', b"[" * 100_000])
def test_what_is_no_document_is_said_not_to_be_read(data: bytes) -> None:
    for ids in (["a"], MANY):
        for kind in ("popularity", "mine"):
            with pytest.raises(NotRead):
                Search(ids).look(kind, data)


SCHEMA = {
    "type": "object",
    "properties": {
        "shelves": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
        "model": {"type": "object", "properties": {"name": {"type": "string"}, "user_id": {"type": "string"}}},
        "pairs": {"type": "array", "items": {"properties": {"id": {"type": "integer"}, "label": {"type": "string"}}}},
    },
}


def test_an_own_type_has_the_ids_that_its_schema_declares() -> None:
    mine = user_type.load("mine", json.dumps(SCHEMA).encode(), "mine.schema.json")
    assert isinstance(mine, UserType)
    made = document(
        "mine", shelves={"s1": ["a"]}, model={"name": "m", "user_id": "u"}, pairs=[{"id": 42, "label": "l"}]
    )
    assert look("mine", made, "s1", "a", "u", "42", own=mine) == ["42", "a", "s1", "u"]
    assert look("mine", made, "m", "l", "shelves", "model", "name", "grocer", own=mine) == []


def test_an_own_type_without_its_schema_is_searched_whole() -> None:
    made = document("mine", shelves={"s1": [{"x": ["a"]}]}, label="l", n=42)
    assert look("mine", made, "s1", "a", "l", "x", "42") == ["42", "a", "l", "s1", "x"]
    assert look("mine", made, "b", "4") == []


def test_the_place_of_a_payload_is_what_it_names() -> None:
    assert place_of(json.dumps(document("cooc")).encode()) == ("grocer", "home", "cooc")
    assert place_of(b"{}") is None
    assert place_of(b"\xff") is None
    found = Search(["a"]).look("popularity", b'{"items":[{"item_id":"a"}],"window":3}')
    assert found == Held(("a",), None)
