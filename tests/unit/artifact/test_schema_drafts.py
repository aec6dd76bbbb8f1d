"""A schema of every draft is read as that draft has it, and all its faults are told at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import artifact
from pointsman.artifact import Artifact, user_type
from pointsman.artifact.drafts import DRAFTS
from pointsman.artifact.user_type import UserType
from pointsman.errors import Fault

Json = dict[str, Any]
INTEGER: Json = {"type": "integer"}
NUMBER: Json = {"type": "number"}
TEXT: Json = {"type": "string"}
URLS = {
    "4": "http://json-schema.org/draft-04/schema#",
    "6": "http://json-schema.org/draft-06/schema#",
    "7": "http://json-schema.org/draft-07/schema#",
    "2019": "https://json-schema.org/draft/2019-09/schema",
    "2020": "https://json-schema.org/draft/2020-12/schema",
    "none": None,
}
ALL = tuple(URLS)
NEW = ("2019", "2020", "none")
OLD = ("4", "6", "7")


def members(**schemas: Json | bool) -> Json:
    return {"type": "object", "properties": schemas}


def declared(draft: str, schema: Json) -> UserType | Fault:
    named = {"$schema": URLS[draft], **schema} if URLS[draft] else schema
    return user_type.load("mine", json.dumps(named).encode(), "mine.schema.json")


def read(mine: UserType, body: Json) -> Artifact | Fault:
    window = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}
    head = {"v": 1, "artifact_type": "mine", "tenant": "demo", "surface": "home", "window": window}
    document = {**head, **body, "build": {"built_at": "", "version": ""}}
    return artifact.read(json.dumps(document).encode(), "some.json", types={"mine": mine})


# drafts, schema, bodies that pass, bodies that do not
READ: list[tuple[tuple[str, ...], Json, list[Json], list[Json]]] = [
    (ALL, {"definitions": {"t": TEXT}, **members(a={"$ref": "#/definitions/t"})}, [{"a": "x"}], [{"a": 1}]),
    (ALL, {"$defs": {"t": TEXT}, **members(a={"$ref": "#/$defs/t"})}, [{"a": "x"}], [{"a": True}]),
    (("4",), members(a={**INTEGER, "minimum": 3, "exclusiveMinimum": True}), [{"a": 4}], [{"a": 3}]),
    (("4",), members(a={**NUMBER, "maximum": 3, "exclusiveMaximum": True}), [{"a": 2.5}], [{"a": 3}]),
    (("6", "7", *NEW), members(a={**INTEGER, "exclusiveMinimum": 3}), [{"a": 4}], [{"a": 3}]),
    (("4", "6", "7", "2019"), members(a={"items": [TEXT, INTEGER], "additionalItems": NUMBER}),
     [{"a": ["x", 1, 0.5]}], [{"a": ["x", 1.5]}, {"a": [1]}, {"a": ["x", 1, "y"]}]),
    (("4", "6", "7", "2019"), members(a={"items": [TEXT], "additionalItems": False}),
     [{"a": ["x"]}], [{"a": ["x", "y"]}]),
    (("2020", "none"), members(a={"prefixItems": [TEXT, INTEGER], "items": NUMBER}),
     [{"a": ["x", 1, 0.5]}], [{"a": ["x", 1.5]}, {"a": ["x", 1, "y"]}]),
    # what stands beside a $ref counts in later drafts alone, for the validator and for numbers
    (OLD, {"definitions": {"n": INTEGER}, **members(a={"$ref": "#/definitions/n", "type": "number", "maximum": 3})},
     [{"a": 9}], [{"a": 0.5}]),
    (NEW, {"$defs": {"n": INTEGER}, **members(a={"$ref": "#/$defs/n", "maximum": 3})}, [{"a": 3}], [{"a": 9}]),
    (OLD, {"$ref": "#/definitions/r", "definitions": {"r": members(a=TEXT)}}, [{"a": "x"}], [{"a": 1}, {"b": "x"}]),
    # names of schemas
    (("4",), {"id": "http://a/b.json", "definitions": {"t": {"id": "#t", **TEXT}}, **members(a={"$ref": "#t"})},
     [{"a": "x"}], [{"a": 1}]),
    (("6", "7"), {"$id": "http://a/b.json", "definitions": {"t": {"$id": "#t", **TEXT}},
                  **members(a={"$ref": "http://a/b.json#t"})}, [{"a": "x"}], [{"a": 1}]),
    (NEW, {"$id": "http://a/b.json", "$defs": {"t": {"$anchor": "t", **TEXT}}, **members(a={"$ref": "b.json#t"})},
     [{"a": "x"}], [{"a": 1}]),
    (("6", "7", *NEW), {"$id": "http://a/b.json", **members(
        a={"$ref": "c.json"}, b={"$ref": "http://a/b.json#/properties/d"}, c={"$ref": "c.json#/items"}, d=TEXT,
        e={"$id": "c.json", "type": "array", "items": {"$ref": "#/definitions/i"}, "definitions": {"i": INTEGER}})},
     [{"a": [1], "b": "x", "c": 1, "e": [2]}], [{"a": ["x"]}, {"b": 1}, {"c": "x"}, {"a": [0.5]}]),
    (ALL, {"groups": {"one": {"t": TEXT, "u": {"$ref": "#/groups/one/t"}}}, **members(a={"$ref": "#/groups/one/u"})},
     [{"a": "x"}], [{"a": True}]),
    (ALL, {"definitions": {"a b/c~d%": TEXT}, **members(a={"$ref": "#/definitions/a%20b~1c~0d%25"})},
     [{"a": "x"}], [{"a": True}]),
    (("2019",), members(a={"$recursiveRef": "#"}, b=TEXT), [{"a": {"a": {"b": "x"}}}], [{"a": {"a": {"b": True}}}]),
    (("2020", "none"), {"$dynamicAnchor": "n", **members(a={"$dynamicRef": "#n"}, b=TEXT)},
     [{"a": {"a": {"b": "x"}}}], [{"a": {"a": {"b": True}}}, {"a": {"c": "x"}}]),
    (NEW, {"$defs": {"s": TEXT, "t": {"$anchor": "t", "maxLength": 2}}, **members(
        a={"$ref": "#/$defs/s", "allOf": [{"$ref": "#t"}]})}, [{"a": "x"}], [{"a": "xyz"}]),
    # branches and tests
    (("7", *NEW), {**members(k=TEXT), "if": members(k={"enum": ["i"]}), "then": members(n=INTEGER),
                   "else": members(m=NUMBER)},
     [{"k": "i", "n": 1}, {"k": "o", "m": 0.5}], [{"k": "i", "n": 0.5}, {"k": "o", "m": "x"}]),
    (ALL, members(a={**TEXT, "not": {"enum": ["x"]}}), [{"a": "y"}], [{"a": "x"}]),
    (("6", "7", *NEW), members(a={"type": "array", "items": INTEGER, "contains": {"enum": [7]}}),
     [{"a": [1, 7]}], [{"a": [1]}]),
    (NEW, members(a={"items": TEXT, "contains": {"const": "x"}, "maxContains": 1}),
     [{"a": ["x"]}], [{"a": ["x", "x"]}]),
    (("6", "7", *NEW), members(a={"additionalProperties": TEXT, "propertyNames": {"maxLength": 2}}),
     [{"a": {"xy": "z"}}], [{"a": {"xyz": "z"}}]),
    (OLD, {**members(a=TEXT, b=TEXT), "dependencies": {"a": ["b"], "b": members(c=INTEGER)}},
     [{"a": "x", "b": "y", "c": 1}, {"b": "x"}], [{"a": "x"}, {"b": "x", "c": "y"}]),
    (NEW, {**members(a=TEXT, b=TEXT), "dependentRequired": {"a": ["b"]}, "dependentSchemas": {"b": members(c=INTEGER)}},
     [{"a": "x", "b": "y", "c": 1}], [{"a": "x"}, {"b": "x", "c": "y"}]),
    (NEW, members(a={**members(b=TEXT), "unevaluatedProperties": INTEGER}), [{"a": {"b": "x", "c": 1}}],
     [{"a": {"c": "x"}}, {"a": {"c": 0.5}}]),
    (NEW, {**members(a=TEXT), "unevaluatedProperties": False}, [{"a": "x"}], [{"b": "x"}]),
    (("2020",), members(a={"prefixItems": [TEXT], "unevaluatedItems": INTEGER}),
     [{"a": ["x", 1]}], [{"a": ["x", "y"]}]),
    # values
    (("6", "7", *NEW), members(a={"const": "x"}, b=True), [{"a": "x", "b": "y"}], [{"a": "y"}]),
    (ALL, members(a={**INTEGER, "maximum": 18446744073709551615}), [{"a": 1}], [{"a": 1.5}]),
    (ALL, members(path=TEXT, Path=TEXT), [{"path": "x"}, {"Path": "y"}], [{"path": "x", "Path": "y"}]),
    (ALL, members(a={**TEXT, "format": "date"}), [{"a": "no date"}], [{"a": True}]),
    (ALL, members(a={**TEXT, "pattern": "^(a+)+$"}), [{"a": "a" * 99}], [{"a": "a" * 5000 + "b"}]),
]  # fmt: skip
CASES = [
    pytest.param(draft, *case, id=f"{draft} {json.dumps(case[0])[:60]}") for drafts, *case in READ for draft in drafts
]


@pytest.mark.parametrize("draft,schema,good,bad", CASES)
def test_a_schema_means_what_its_draft_says(draft: str, schema: Json, good: list[Json], bad: list[Json]) -> None:
    mine = declared(draft, schema)
    assert isinstance(mine, UserType), mine
    for body in good:
        found = read(mine, body)
        assert isinstance(found, Artifact), found
    for body in bad:
        assert isinstance(read(mine, body), Fault), body


@pytest.mark.parametrize("url", [*filter(None, URLS.values()), "http://json-schema.org/schema#"])
def test_a_draft_is_known_by_http_and_https_with_a_hash_and_without(url: str) -> None:
    plain = url.partition("://")[2].removesuffix("#")
    for spelled in (f"http://{plain}", f"https://{plain}", f"http://{plain}#", f"https://{plain}#"):
        mine = user_type.load("mine", json.dumps({"$schema": spelled}).encode(), "mine.schema.json")
        assert isinstance(mine, UserType), spelled


@pytest.mark.parametrize(
    "drafts,schema,says",
    [
        (("4",), {"const": 1}, 'the keyword "const": draft 4 ignores it; name draft 6 or a later one in "$schema"'),
        (("4", "6"), {"if": {}}, 'ignores it; name draft 7 or a later one in "$schema"'),
        (OLD, {"unevaluatedProperties": False}, 'ignores it; name draft 2019-09 or a later one in "$schema"'),
        (("7", "2019"), {"prefixItems": []}, 'ignores it; name draft 2020-12 or a later one in "$schema"'),
        (("4",), {"properties": {"a": True}}, "$.properties.a: "),
        (("4",), {"exclusiveMinimum": 5}, "$.exclusiveMinimum: "),
        (("7",), {"exclusiveMinimum": True}, "$.exclusiveMinimum: "),
        (ALL, {"pattern": "(?=a)b"}, 'the regular expression "(?=a)b" looks ahead, behind or back'),
        (ALL, {"patternProperties": {"(a)\\1": {}}}, "looks ahead, behind or back"),
    ],
)
def test_what_a_draft_would_ignore_is_refused_and_not_ignored(drafts: tuple[str, ...], schema: Json, says: str) -> None:
    for draft in drafts:
        fault = declared(draft, schema)
        assert isinstance(fault, Fault), draft
        assert says in fault.says


def test_all_faults_are_told_at_once_each_with_its_place() -> None:
    schema = {
        "type": "objekt",
        "properties": {
            "a": {"$ref": "other.json"},
            "b": {"$ref": "#/nowhere"},
            "c": {"pattern": "("},
            "d": {"dependencies": {}, "minItem": 3},
            "e": {"maxLength": -1},
            "f": {"items": [{}]},
        },
    }
    fault = declared("2020", schema)
    assert isinstance(fault, Fault)
    assert fault.says.startswith("8 faults: (1) ")
    for place in (
        "$.type: ", "#/properties/a/$ref: ", "#/properties/b/$ref: ", "#/properties/c: ",
        '#/properties/d: the keyword "dependencies"', '#/properties/d: the keyword "minItem"',
        "$.properties.e.maxLength: ", '#/properties/f: a list in "items"',
    ):  # fmt: skip
        assert fault.says.count(place) == 1, place


def test_of_very_many_faults_the_first_are_told_and_how_many_more() -> None:
    fault = declared("none", members(**{f"p{n}": {"$ref": f"x{n}"} for n in range(50)}))
    assert isinstance(fault, Fault)
    assert fault.says.startswith("50 faults: ")
    assert fault.says.endswith("; and 30 more")
    assert "(20)" in fault.says
    mixed = declared("none", members(a={"type": ["integer", "number"]}, b={"anyOf": [INTEGER, NUMBER]}))
    assert isinstance(mixed, Fault)
    assert mixed.says.startswith("2 faults: ")


WORDS = st.sampled_from(
    [
        *("$ref", "$id", "id", "$anchor", "definitions", "$defs", "items", "additionalItems", "not", "if", "x"),
        *("dependencies", "properties", "patternProperties", "type", "required", "enum", "contains", "$dynamicRef"),
    ]
)
VALUES = st.sampled_from(["#", "#a", "#/definitions/a", "#/x/0", "http://[", "a", "integer", "(", "%zz", "#/%zz"])
SCHEMAS = st.recursive(
    VALUES | st.booleans() | st.integers(-1, 2) | st.none(),
    lambda inner: st.dictionaries(WORDS | st.just("a"), inner, max_size=4) | st.lists(inner, max_size=3),
    max_leaves=15,
)


@given(st.sampled_from(ALL), st.dictionaries(WORDS, SCHEMAS, max_size=5))
def test_no_schema_of_any_draft_makes_it_raise(draft: str, schema: Json) -> None:
    mine = declared(draft, schema)
    if isinstance(mine, Fault):
        assert mine.rule == "schema"
    else:
        for body in ({}, {"a": "x"}, {"a": [1, {"a": None}]}):
            assert isinstance(read(mine, body), Artifact | Fault)


def test_every_draft_that_is_known_is_tested() -> None:
    assert len(DRAFTS) == len([url for url in URLS.values() if url])


def test_the_schema_of_the_page_is_read_as_the_page_says() -> None:
    page = (Path(__file__).parents[3] / "docs" / "own-types.md").read_text("utf-8")
    mine = user_type.load("mine", page.partition("```json\n")[2].partition("```")[0].encode(), "mine.schema.json")
    assert isinstance(mine, UserType), mine
    found = read(mine, {"users": {"ann": [{"item_id": "a", "score": 0.5}], "bob": []}})
    assert isinstance(found, Artifact), found
    assert found.summary == {"users": 2}
    for body in ({"users": {}, "more": "x"}, {"users": {"ann": [{"item_id": "a"}]}}, {}):
        assert isinstance(read(mine, body), Fault)
