"""What is compared of an artifact: rows, ids and lists."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop import STAGING

from pointsman.artifact import user_type
from pointsman.artifact.content import Content, Rows, decode
from pointsman.artifact.metrics import ids
from pointsman.artifact.own_content import Own
from pointsman.artifact.user_type import UserType

Json = dict[str, Any]


@pytest.mark.parametrize("kind", ["popularity", "cooc", "implicit", "session_seq", "content_sim"])
def test_ids_alone_are_those_of_the_whole(kind: str) -> None:
    files = sorted(STAGING.glob(f"*/*/*/{kind}/*/*.json"))
    assert files
    for file in files:
        whole, bare = (decode(kind, file.read_bytes(), leaves=leaves) for leaves in (True, False))
        assert whole is not None
        assert bare is not None
        plain = json.loads(file.read_bytes())
        [rows] = [value for value in plain.values() if isinstance(value, list)]
        names = [row.get("user_id") or row["item_id"] for row in rows]
        assert list(ids(whole)) == list(ids(bare)) == names


TEXT: Json = {"type": "string"}
IDS: Json = {"type": "array", "items": TEXT}
INTEGER: Json = {"type": "integer"}


def members(**schemas: Json | bool) -> Json:
    return {"type": "object", "properties": schemas}


def a_map(of: Json | bool) -> Json:
    return {"type": "object", "additionalProperties": of}


PACK = {"type": "array", "items": members(item_id=TEXT, user_id=TEXT, id={"type": ["string", "integer"]}, name=TEXT)}
FIGURE = {"type": "array", "items": {"type": ["integer", "string"]}}


def own(schema: Json, document: object) -> Content | None:
    mine = user_type.load("mine", json.dumps(schema).encode(), "mine.schema.json")
    assert isinstance(mine, UserType), mine
    return decode("mine", json.dumps(document).encode(), own_type=mine)


@pytest.mark.parametrize(
    "schema,document,sizes,ids,values",
    [
        # lists: of texts, or of objects that all have one member that is an id
        (members(p=IDS, n=INTEGER), {"p": ["a", "b"], "n": 1}, {"p": 2}, {"p": {"a", "b"}}, {"n": 1}),
        (members(p=PACK), {"p": [{"item_id": "a", "id": "x"}]}, {"p": 1}, {"p": {"a"}}, {}),
        (members(p=PACK), {"p": [{"user_id": "a"}]}, {"p": 1}, {"p": {"a"}}, {}),
        (members(p=PACK, m=FIGURE), {"p": [{"id": "a"}], "m": [1, 2]}, {"p": 1, "m": 2}, {"p": {"a"}}, {}),
        (members(p=PACK), {"p": [{"id": "a"}, {"name": "b"}]}, {"p": 2}, {}, {}),
        (members(p=FIGURE), {"p": ["a", 1]}, {"p": 2}, {}, {}),
        (members(p=PACK), {"p": [{"id": 7}]}, {"p": 1}, {}, {}),
        (members(p=IDS), {"p": []}, {"p": 0}, {}, {}),
        (members(p=IDS), {}, {}, {}, {}),
        # maps: their keys, and what is inside of them
        (members(u=a_map(IDS)), {"u": {"ann": ["a"], "bob": ["a", "b"]}},
         {"u": 2}, {"u": {"ann", "bob"}, "u.*": {"a", "b"}}, {}),
        (members(u=a_map(a_map(INTEGER))), {"u": {"ann": {"a": 1}, "bob": {"b": 2}}},
         {"u": 2}, {"u": {"ann", "bob"}, "u.*": {"a", "b"}}, {}),
        (members(u=a_map(TEXT)), {"u": {}}, {"u": 0}, {}, {}),
        (members(u={"patternProperties": {"^u": TEXT}}), {"u": {"u1": "a"}}, {"u": 1}, {"u": {"u1"}}, {}),
        (members(u={"properties": {"n": INTEGER}, "additionalProperties": IDS}), {"u": {"n": 1, "ann": ["a"]}},
         {"u": 1}, {"u": {"ann"}, "u.*": {"a"}}, {"u.n": 1}),
        (members(u={"properties": {"n": INTEGER}, "additionalProperties": True}), {"u": {"n": 1, "more": "a"}},
         {}, {}, {"u.n": 1, "u.more": "a"}),
        (members(u={"anyOf": [{"type": "null"}, {"$ref": "#/properties/m"}]}, m=a_map(IDS)), {"u": {"ann": []}},
         {"u": 1}, {"u": {"ann"}}, {}),
        (a_map(IDS), {"ann": ["a"], "v": 1, "tenant": "t"},
         {"entries": 1}, {"entries": {"ann"}, "entries.*": {"a"}}, {}),
        ({**members(entries=IDS), "additionalProperties": IDS}, {"ann": ["a"], "entries": ["b"]},
         {"entries": 1, "$": 1}, {"entries": {"b"}, "$": {"ann"}, "$.*": {"a"}}, {}),
        # structures and single values
        (members(m=members(dim=INTEGER, name=TEXT, ids=IDS)), {"m": {"dim": 8, "name": "x", "ids": ["a"]}},
         {"m.ids": 1}, {"m.ids": {"a"}}, {"m.dim": 8, "m.name": "x"}),
        (members(d=members(users=a_map(PACK))), {"d": {"users": {"ann": [{"id": "a"}]}}},
         {"d.users": 1}, {"d.users": {"ann"}, "d.users.*": {"a"}}, {}),
        (members(r={"type": "array", "items": members(id=TEXT, tags=IDS, n=INTEGER)}),
         {"r": [{"id": "x", "tags": ["t"], "n": 1}, {"id": "y", "tags": ["u"], "n": 2}]},
         {"r": 2}, {"r": {"x", "y"}, "r.*.tags": {"t", "u"}}, {}),
        (members(r={"prefixItems": [IDS], "items": a_map(TEXT)}), {"r": [["a"], {"b": "c"}]},
         {"r": 2}, {"r.*": {"a", "b"}}, {}),
        (members(**{"a.b": TEXT, "c": TEXT}), {"a.b": "x", "c": "y"}, {}, {}, {'"a.b"': "x", "c": "y"}),
        (members(a=members(b=members(c=members(d=INTEGER)))), {"a": {"b": {"c": {"d": 1}}}}, {}, {}, {}),
    ],
)  # fmt: skip
def test_a_users_own_type_is_lists_maps_and_values_as_its_schema_has_them(
    schema: Json, document: Json, sizes: Json, ids: Json, values: Json
) -> None:
    assert own(schema, document) == Own("mine", sizes, ids, values)


@pytest.mark.slow
@given(st.dictionaries(st.text(max_size=3), st.lists(st.text(max_size=3), max_size=3), max_size=5))
def test_the_record_counts_what_the_review_compares(users: dict[str, list[str]]) -> None:
    schema = members(users=a_map(IDS), more=IDS)
    mine = user_type.load("mine", json.dumps(schema).encode(), "mine.schema.json")
    assert isinstance(mine, UserType)
    document = {"users": users, "more": ["a"]}
    assert mine.summary(document) == mine.content(document).sizes == {"users": len(users), "more": 1}


def test_a_record_counts_no_more_than_a_hundred_lists() -> None:
    mine = user_type.load("mine", json.dumps(members(**{f"l{n:03}": IDS for n in range(150)})).encode(), "x")
    assert isinstance(mine, UserType)
    assert list(mine.summary({f"l{n:03}": [] for n in range(150)})) == [f"l{n:03}" for n in range(100)]


def test_a_type_of_the_users_own_has_no_content_without_its_schema_or_where_it_is_no_object() -> None:
    assert decode("mine", b'{"a": []}') is None
    assert own(members(), []) is None
    assert own(members(), "text") is None


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"items": 3}', b"\xff", b'{"items": ' + b"[" * 100_000])
def test_what_is_no_artifact_has_no_content(data: bytes) -> None:
    assert decode("popularity", data) is None
    assert decode("popularity", data, leaves=False) is None


def test_an_artifact_may_have_no_list_at_all() -> None:
    for data in (b"{}", b'{"items": null}', b'{"items": []}'):
        assert decode("popularity", data) == Rows("popularity", {})
