"""A user's own type: what its schema may say, and that a version depends on nothing else it says."""

from __future__ import annotations

import hashlib
import json
import random
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman import artifact
from pointsman.artifact import Artifact, user_type
from pointsman.artifact.user_type import UserType
from pointsman.errors import Fault
from pointsman.state.names import BUILT_IN_TYPES

Json = dict[str, Any]

INTEGER: Json = {"type": "integer"}
NUMBER: Json = {"type": "number"}
TEXT: Json = {"type": "string"}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def loaded(schema: Json) -> UserType:
    mine = user_type.load("mine", json.dumps(schema).encode(), "mine.schema.json")
    assert isinstance(mine, UserType), mine
    return mine


def written(body: str, **changes: Any) -> bytes:
    """An artifact of type `mine` whose body is the JSON text `body`."""
    envelope = {
        "v": 1,
        "artifact_type": "mine",
        "tenant": "demo",
        "surface": "home",
        "window": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"},
        "build": {"built_at": "now", "version": ""},
        **changes,
    }
    return json.dumps(envelope)[:-1].encode() + (f", {body}}}" if body else "}").encode()


def body_of(read: Artifact) -> str:
    """What stands between the window and `build` in the canonical form."""
    head = '"window":{"start":"2026-01-01T00:00:00Z","end":"2026-01-02T00:00:00Z"}'
    text = read.canonical.decode()
    return text[text.index(head) + len(head) + 1 : text.index('"build"')].removesuffix(",")


def as_read(schema: Json, body: str, **changes: Any) -> Artifact:
    read = artifact.read(written(body, **changes), "some.json", types={"mine": loaded(schema)})
    assert isinstance(read, Artifact), read
    return read


def refused(schema: Json, body: str, words: str, rule: str = "schema") -> None:
    fault = artifact.read(written(body), "some.json", types={"mine": loaded(schema)})
    assert isinstance(fault, Fault)
    assert (fault.path, fault.rule) == ("some.json", rule)
    assert re.search(words, fault.says), fault.says


def members(**schemas: Json | bool) -> Json:
    return {"type": "object", "properties": schemas}


# What stands in the document, what is hashed for an `integer`, for a `number`: None where it is refused.
NUMBERS = [
    ("0", "0", "0"),
    ("-0", "0", "-0"),
    ("7", "7", "7"),
    ("-7", "-7", "-7"),
    ("7.0", None, "7"),
    ("-0.0", None, "-0"),
    ("7e0", None, "7"),
    ("2.50", None, "2.5"),
    ("1E2", None, "100"),
    ("0.000001", None, "0.000001"),
    ("1e-7", None, "1e-7"),
    ("9007199254740993", "9007199254740993", "9007199254740992"),
    ("9223372036854775807", "9223372036854775807", "9223372036854776000"),
    ("100000000000000000000", None, "100000000000000000000"),
    ("1000000000000000000000", None, "1e+21"),
    ("-1.5e300", None, "-1.5e+300"),
    ("1e-400", None, "0"),
]


@pytest.mark.parametrize("token, integer, number", NUMBERS)
def test_a_number_is_what_the_schema_declares_whatever_its_token(
    token: str, integer: str | None, number: str | None
) -> None:
    assert body_of(as_read(members(n=NUMBER), f'"n": {token}')) == f'"n":{number}'
    if integer is None:
        refused(members(n=INTEGER), f'"n": {token}', r"\$\.n: ", "bad-json" if token.isdigit() else "schema")
    else:
        assert body_of(as_read(members(n=INTEGER), f'"n": {token}')) == f'"n":{integer}'


@pytest.mark.parametrize("wrong", ["9223372036854775808", "-9223372036854775809", "1e20"])
def test_an_integer_has_64_bits(wrong: str) -> None:
    rule = "schema" if "e" in wrong else "bad-json"
    refused(members(n=INTEGER), f'"n": {wrong}', r"\$\.n: .*(64-bit|without fraction)", rule)


def test_1_and_1_0_are_the_same_number_to_every_assertion() -> None:
    schema = members(a={**NUMBER, "enum": [1, 2.5]}, b={"type": "array", "items": NUMBER, "uniqueItems": True})
    assert body_of(as_read(schema, '"a": 1.0, "b": [1, 2]')) == '"a":1,"b":[1,2]'
    refused(schema, '"b": [1, 1.0]', r"\$\.b: ")


def test_members_are_sorted_by_their_bytes_at_every_level_and_lists_keep_their_order() -> None:
    inner = members(b=TEXT, a=TEXT, é=TEXT, Z=TEXT)
    schema = members(z={"type": "array", "items": inner}, a=inner, **{"\uff5e": TEXT, "\U0001f600": TEXT})
    body = '"\U0001f600": "1", "\uff5e": "2", "z": [{"é": "", "b": "", "a": "", "Z": ""}, {"b": ""}, {}], "a": {}'
    assert body_of(as_read(schema, body)) == (
        '"a":{},"z":[{"Z":"","a":"","b":"","é":""},{"b":""},{}],"\uff5e":"2","\U0001f600":"1"'
    )


def test_the_envelope_stands_in_the_order_of_all_artifacts_and_strings_are_spelled_alike() -> None:
    read = as_read(members(t={"type": ["string", "null"]}), '"t": "<&>\u2028\\u0007\\/\x7f"', segment="vip")
    assert read.canonical.decode() == (
        '{"v":1,"artifact_type":"mine","tenant":"demo","surface":"home","segment":"vip",'
        '"window":{"start":"2026-01-01T00:00:00Z","end":"2026-01-02T00:00:00Z"},'
        '"t":"\\u003c\\u0026\\u003e\\u2028\\u0007/\x7f","build":{"built_at":"","version":""}}'
    )
    assert read.version == hashlib.sha256(read.canonical).hexdigest()
    assert (read.type, read.segment, read.built_at) == ("mine", "vip", "now")
    again = artifact.read(read.canonical, "some.json", types={"mine": loaded(members(t=TEXT))})
    assert isinstance(again, Artifact)
    assert again.canonical == read.canonical


def test_null_and_an_empty_list_and_no_list_are_three_versions() -> None:
    schema = members(rows={"type": ["array", "null"], "items": TEXT})
    versions = {as_read(schema, body).version for body in ('"rows": null', '"rows": []', "")}
    assert len(versions) == 3


def test_a_summary_counts_the_lists_and_maps() -> None:
    schema = members(
        rows={"type": "array", "items": TEXT},
        more={"type": ["array", "null"]},
        text=TEXT,
        map={"additionalProperties": TEXT},
        inner=members(list={"items": NUMBER}),
    )
    body = '"rows": ["a", "b"], "more": null, "text": "x", "map": {"k": "v"}, "inner": {"list": [1.5, 2, 0]}'
    assert as_read(schema, body).summary == {"inner.list": 3, "map": 1, "rows": 2}


TREE: Json = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://shop.example/tree.json",
    "properties": {"root": {"$ref": "#/$defs/node"}},
    "required": ["root"],
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"weight": NUMBER, "rank": INTEGER, "children": {"items": {"$ref": "#/$defs/node"}}},
            "additionalProperties": False,
        }
    },
}


def test_a_schema_may_be_recursive() -> None:
    body = '"root": {"weight": 1.0, "children": [{"rank": 2, "children": [{"weight": 0.50}]}]}'
    assert body_of(as_read(TREE, body)) == ('"root":{"children":[{"children":[{"weight":0.5}],"rank":2}],"weight":1}')
    refused(
        TREE, '"root": {"children": [{"children": [{"rank": 0.5}]}]}', r"\$\.root\.children\[0\]\.children\[0\]\.rank"
    )
    deep = '{"children": [' * 31 + "]}" * 31
    as_read(TREE, f'"root": {deep}')
    refused(TREE, f'"root": {{"children": [{deep}]}}', "deeper than 64", "bad-json")
    refused(TREE, '"root": ' + '{"children": [' * 50_000, "deeper than 64", "bad-json")


def test_every_branch_and_reference_declares_its_numbers() -> None:
    schema = {
        "$defs": {"count/s": INTEGER, "sco~re": NUMBER, "a b": TEXT},
        "properties": {
            "a": {"$ref": "#/$defs/count~1s"},
            "b": {"anyOf": [{"$ref": "#/$defs/sco~0re"}, TEXT]},
            "c": {"allOf": [{"minimum": 0}, {"oneOf": [INTEGER, {"type": "null"}]}]},
            "d": {"$ref": "#/$defs/a%20b", "maxLength": 1},
            "e": {"prefixItems": [INTEGER, NUMBER], "items": TEXT},
            "f": {"patternProperties": {"^i_": INTEGER, r"^\d+$": NUMBER}, "additionalProperties": TEXT},
            "g": {"additionalProperties": {"type": ["integer", "null"]}},
        },
    }
    body = (
        '"a": 1, "b": 2.0, "c": 3, "d": "x", "e": [1, 1.0, "x"], '
        '"f": {"i_1": 1, "22": 1.0, "x": "y"}, "g": {"é": 1, "n": null}'
    )
    assert body_of(as_read(schema, body)) == (
        '"a":1,"b":2,"c":3,"d":"x","e":[1,1,"x"],"f":{"22":1,"i_1":1,"x":"y"},"g":{"n":null,"é":1}'
    )
    for wrong, words in {
        '"a": 1.0': r"\$\.a: is 1\.0, with a fraction",
        '"b": {}': r"\$\.b: ",
        '"c": -1': r"\$\.c: -1 is less than the minimum",
        '"d": "xy"': r"\$\.d: ",
        '"e": [1.0]': r"\$\.e\[0\]: is 1\.0",
        '"e": [1, 1, 1]': r"\$\.e\[2\]: .*declares no number here",
        '"f": {"i_1": 0.5}': r"\$\.f\.i_1: ",
        '"f": {"x": 1}': r"\$\.f\.x: .*declares no number here",
        '"f": {"1\\n": 1}': r'\$\.f\["1\\n"\]: .*declares no number here',
        '"g": {"x": 1e0}': r"\$\.g\.x: ",
    }.items():
        refused(schema, wrong, words)


def test_a_list_may_hold_more_objects_than_objects_may_nest() -> None:
    schema = members(rows={"items": members(a={"items": TEXT})})
    assert as_read(schema, '"rows": [' + ", ".join(['{"a": []}'] * 100) + "]").summary == {"rows": 100}


def test_what_stands_beside_a_declaration_does_not_touch_it() -> None:
    schema = {
        "properties": {"n": NUMBER},
        "patternProperties": {"^i": INTEGER},
        "additionalProperties": {"prefixItems": [INTEGER], "items": NUMBER},
    }
    assert body_of(as_read(schema, '"n": 1.0, "i": 1, "x": [1, 1.0]')) == '"i":1,"n":1,"x":[1,1]'
    counted = {"properties": {"n": NUMBER}, "patternProperties": {"^f": NUMBER}, "additionalProperties": INTEGER}
    assert body_of(as_read(counted, '"n": 1.0, "f": 2.0, "x": 3')) == '"f":2,"n":1,"x":3'


def test_a_schema_may_go_by_any_id_and_means_itself() -> None:
    schema = {"$id": "https://json-schema.org/draft/2020-12/schema", **members(a={"$ref": "#/$defs/t"})}
    assert body_of(as_read({**schema, "$defs": {"t": INTEGER}}, '"a": 1')) == '"a":1'


def test_a_name_that_two_patterns_declare_differently_is_refused_when_it_comes() -> None:
    schema = {"patternProperties": {"^i": INTEGER, "n$": NUMBER}}
    assert body_of(as_read(schema, '"i": 1, "n": 1.0')) == '"i":1,"n":1'
    refused(schema, '"in": 1', r"\$\.in: the schema declares it both integer and number")


@pytest.mark.parametrize(
    "schema, body, words",
    [
        (members(a=TEXT), '"b": 1', r'\$: unknown member "b"; remove it'),
        (members(a=members(b=TEXT)), '"a": {"c": ""}', r'\$\.a: unknown member "c"'),
        (members(a={"type": "object"}), '"a": {"c": ""}', r'\$\.a: unknown member "c"'),
        (members(a={"items": members(b=TEXT)}), '"a": [{}, {"B": ""}]', r'\$\.a\[1\]: unknown member "B"'),
        (members(a={"type": "array"}), '"a": [{"c": ""}]', r'\$\.a\[0\]: unknown member "c"'),
        (members(a={"additionalProperties": True}), '"a": {"c": {"d": 1}}', r"\$\.a\.c\.d: .*declares no number here"),
        (members(a=True), '"a": 1', r"\$\.a: .*declares no number here"),
        (members(a={"const": 1}), '"a": 1', r"\$\.a: .*declares no number here"),
        (members(a={"minimum": 1}), '"a": 1', r"\$\.a: .*declares no number here"),
        (members(a=False), '"a": ""', r"\$\.a: "),
        (members(a={"enum": ["x"]}), '"a": "y"', r'\$\.a: "y" is not one of .*fix it or the schema'),
        ({**members(a=TEXT), "required": ["a"]}, "", r'\$: .*"a" is a required property'),
        (members(a={**TEXT, "pattern": "^[a-z]+$"}), '"a": "x\\n"', r"\$\.a: "),
        (members(a={"type": "array", "items": INTEGER, "maxItems": 1}), '"a": [1, 2]', r"\$\.a: the value "),
    ],
)
def test_what_the_schema_does_not_declare_is_refused(schema: Json, body: str, words: str) -> None:
    refused(schema, body, words)


def test_whatever_the_schema_leaves_open_on_purpose_is_kept() -> None:
    schema = members(a={"additionalProperties": True}, b=True, c={"items": TEXT})
    body = '"a": {"y": {"x": [null, true, {"w": ""}]}}, "b": [{"c": "d"}], "c": []'
    assert body_of(as_read(schema, body)) == '"a":{"y":{"x":[null,true,{"w":""}]}},"b":[{"c":"d"}],"c":[]'
    everything = {"additionalProperties": True}
    assert body_of(as_read(everything, '"x": "y"')) == '"x":"y"'


@pytest.mark.parametrize(
    "body, words",
    [
        ('"a": "x", "a": "y"', '"a" appears twice'),
        ('"m": {"K": "x", "k": "y"}', r"\$\.m: .*are the same to readers"),
        ('"a": "\\ud800"', r"\$\.a: .*half a surrogate pair"),
        ('"n": 1e999', r"\$\.n: .*larger than any double"),
        ('"n": NaN', r"\$\.n: NaN is not JSON"),
        ('"n": ' + "9" * 400, r"\$\.n: .*larger than any double"),
        ('"m": ' + '{"k":' * 70 + '""' + "}" * 70, "deeper than 64"),
    ],
)
def test_ambiguous_json_is_refused_in_users_types_too(body: str, words: str) -> None:
    refused(members(a=TEXT, n=NUMBER, m={"additionalProperties": True}), body, words, "bad-json")


def test_the_format_declares_the_envelope_that_a_schema_does_not_mention() -> None:
    closed = {**members(rows={"items": TEXT}), "required": ["rows"], "additionalProperties": False}
    assert as_read(closed, '"rows": ["a"]').summary == {"rows": 1}
    refused(closed, '"rows": [], "more": ""', 'unknown member "more"')
    only_integers = {"additionalProperties": INTEGER}
    assert body_of(as_read(only_integers, '"x": 1')) == '"x":1'


@pytest.mark.parametrize(
    "mentioned",
    [
        members(tenant={"const": "demo"}, a=TEXT),
        {"required": ["segment"]},
        {
            "allOf": [{"properties": {"surface": {"const": "home"}}}, {"$ref": "#/$defs/v"}],
            "$defs": {"v": members(v=INTEGER)},
        },
        {"properties": {"a": TEXT}, "dependentRequired": {"a": ["segment"]}},
    ],
)
def test_what_a_schema_says_of_the_envelope_holds(mentioned: Json) -> None:
    schema = {"properties": {"a": TEXT}, "allOf": [mentioned], "$defs": mentioned.get("$defs", {})}
    as_read(schema, '"a": ""', segment="vip")
    changes = {"tenant": "x", "surface": "x"}
    fault = artifact.read(written('"a": ""', **changes), "some.json", types={"mine": loaded(schema)})
    assert isinstance(fault, Fault)
    assert fault.rule == "schema"


@pytest.mark.parametrize(
    "wrong",
    [{"v": 2}, {"v": "1"}, {"window": {}}, {"tenant": ""}, {"build": None}, {"window": {"start": "", "end": ""}}],
)
def test_the_envelope_is_held_to_the_format_whatever_the_schema_says(wrong: Json) -> None:
    anything = {"additionalProperties": True}
    fault = artifact.read(written('"a": ""', **wrong), "some.json", types={"mine": loaded(anything)})
    assert isinstance(fault, Fault)
    assert fault.rule == "schema"
    assert next(iter(wrong)) in fault.says


LOAD_REFUSED: list[tuple[Any, str]] = [
    ([], r"\$: is a list"),
    (True, r"\$: is true"),
    (None, r"\$: is null"),
    ({"type": "objekt"}, "not a JSON Schema: .*objekt"),
    ({"properties": []}, "not a JSON Schema"),
    ({"properties": {"a": {"$ref": 5}}}, "not a JSON Schema"),
    ({"properties": {"a": {"pattern": "("}}}, "regex|regular expression"),
    ({"patternProperties": {"(": TEXT}}, "regex|regular expression"),
    ({"$schema": "http://json-schema.org/draft-03/schema#"}, "dialect .* not known; name one of the drafts 4, 6, 7"),
    ({"$schema": "ftp://json-schema.org/draft-07/schema#"}, "dialect"),
    ({"$schema": 7}, "dialect"),
    ({"$ref": "#/$defs/a"}, r'#/\$ref: "#/\$defs/a" points to no schema'),
    ({"$ref": "#/$defs", "$defs": {"a": {}}}, "points to no schema"),
    ({"$ref": "#/enum/0", "enum": [{}]}, "points to no schema"),
    ({"properties": {"a": {"$ref": "https://evil.example/x"}}}, r"#/properties/a/\$ref: .*not in this file"),
    ({"properties": {"a": {"$ref": "other.json"}}}, "not in this file"),
    ({"properties": {"a": {"$ref": "#anchor"}}}, "points to no schema"),
    ({"$ref": "#"}, "#: refers back to itself"),
    ({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}, r"refers back to itself"),
    ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}}, r"refers back to itself"),
    (
        members(n={"type": ["integer", "number"]}),
        "#/properties/n says integer, #/properties/n says number for the same value",
    ),
    (
        members(n={"anyOf": [INTEGER, NUMBER]}),
        "#/properties/n/anyOf/0 says integer, #/properties/n/anyOf/1 says number",
    ),
    (members(n={"oneOf": [INTEGER, TEXT], "type": "number"}), "says number"),
    ({"$defs": {"x": NUMBER}, **members(n={"$ref": "#/$defs/x", **INTEGER})}, "says number"),
    ({"allOf": [members(a=members(n=INTEGER)), members(a=members(n=NUMBER))]}, "says number"),
    (members(a={"prefixItems": [TEXT, INTEGER], "allOf": [{"items": NUMBER}]}), "says number"),
    (members(a={"items": INTEGER, "anyOf": [{"prefixItems": [TEXT, NUMBER]}]}), "says number"),
    (members(a={"additionalProperties": INTEGER, "anyOf": [members(n=NUMBER)]}), "says number"),
    (members(a={"additionalProperties": INTEGER, "anyOf": [{"additionalProperties": NUMBER}]}), "says number"),
    (members(a={"patternProperties": {"^n": INTEGER}, "properties": {"n": NUMBER}}), "says number"),
    (members(a={"patternProperties": {"^n": INTEGER}, "allOf": [{"additionalProperties": NUMBER}]}), "says number"),
    ({**TREE, "allOf": [members(root=members(children={"items": members(rank=NUMBER)}))]}, "says number"),
]
LOAD_REFUSED += [
    (
        members(a={"dependencies": {}}),
        '#/properties/a: .*"dependencies".*draft 2020-12 ignores it; write "dependentSch',
    ),
    (members(a={"additionalItems": {}}), 'ignores it; write "prefixItems" and "items"'),
    (members(a={"$recursiveRef": "#"}), 'ignores it; write "\\$dynamicRef"'),
    (members(a={"items": [INTEGER]}), '#/properties/a: a list in "items" is of earlier drafts; write "prefixItems"'),
    (members(a={"additionalproperties": False}), 'no draft has it; write "additionalProperties", or "x-additionalp'),
    (members(a={"min_items": 1}), 'write "minItems"'),
    (members(a={"require": ["b"]}), 'write "required"'),
    ({"$defs": {"unused": {"enums": []}}}, r'#/\$defs/unused: .*write "enum"'),
    ({"$ref": "#/properties", **members(a=TEXT)}, "points to no schema"),
    ({"$id": "http://a/b", "$defs": {"c": {"$id": "c", "$dynamicRef": "#"}}}, "where a file has several"),
]


@pytest.mark.parametrize("schema, words", LOAD_REFUSED, ids=lambda each: json.dumps(each)[:60])
def test_a_schema_that_leaves_a_number_open_is_not_loaded(schema: Any, words: str) -> None:
    fault = user_type.load("mine", json.dumps(schema).encode(), "mine.schema.json")
    assert isinstance(fault, Fault)
    assert (fault.path, fault.rule) == ("mine.schema.json", "schema")
    assert re.search(words, fault.says), fault.says


def test_what_is_only_said_about_a_schema_does_not_matter() -> None:
    noted = {
        "$comment": "x",
        "title": "x",
        "description": "x",
        "default": {"not": 1},
        "examples": [{"$ref": "x"}],
        "deprecated": False,
        "readOnly": True,
        "writeOnly": False,
        "contentEncoding": "x",
        "contentMediaType": "x",
        "format": "date",
        "contentSchema": {"type": "number"},
        "$vocabulary": {},
        "x-order": {"$ref": "nowhere"},
        "discriminator": {"propertyName": "kind"},
        "xml": {"name": "x"},
        "nullable": True,
        "example": 5,
        "externalDocs": {"url": "x"},
        "markdownDescription": "x",
        "markdownEnumDescriptions": ["x"],
        "defaultSnippets": [{"body": {"not": 1}}],
        "deprecationMessage": "x",
        "errorMessage": {"type": "x"},
        "doNotSuggest": True,
        "tsType": "x",
        "title-de": "x",
    }
    assert as_read(members(a={**TEXT, **noted}), '"a": "b"').version == as_read(members(a=TEXT), '"a": "b"').version


@pytest.mark.parametrize("name", [*BUILT_IN_TYPES, "Popularity", "COOC", "", "a/b", "..", "x.lock", "é"])
def test_a_users_type_has_a_name_of_its_own(name: str) -> None:
    fault = user_type.load(name, b"{}", "x.schema.json")
    assert isinstance(fault, Fault)
    assert fault.rule == "schema"


@pytest.mark.parametrize("data", [b"", b"{", b'{"a": 1, "a": 2}', b"\xff", b"[" * 1_000_000])
def test_a_schema_that_cannot_be_read_is_bad_json(data: bytes) -> None:
    fault = user_type.load("mine", data, "mine.schema.json")
    assert isinstance(fault, Fault)
    assert fault.rule == "bad-json"


def test_a_type_that_is_not_given_is_unknown() -> None:
    fault = artifact.read(written(""), "some.json")
    assert isinstance(fault, Fault)
    there = "popularity, cooc, implicit, content_sim, session_seq"
    assert f'unknown artifact type "mine"; there are {there}. Or declare it in registry/' in fault.says


def shuffled(value: Any, rng: random.Random) -> Any:
    if isinstance(value, list):
        return [shuffled(inner, rng) for inner in value]
    if not isinstance(value, dict):
        return value
    members_of = [(name, shuffled(inner, rng)) for name, inner in value.items()]
    rng.shuffle(members_of)
    return dict(members_of)


@given(st.randoms(use_true_random=False), st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3))
def test_reordering_the_schema_or_the_document_changes_no_version(rng: random.Random, weights: list[float]) -> None:
    node = {"weight": 0.5, "rank": 3, "children": [{"weight": weight, "rank": 1} for weight in weights]}
    first = as_read(TREE, f'"root": {json.dumps(node)}')
    second = as_read(shuffled(TREE, rng), f'"root": {json.dumps(shuffled(node, rng), indent=1)}')
    assert first == second


@given(ANYTHING)
@example({"rows": [1, 2.5]})
def test_a_value_of_any_shape_is_read_or_refused_and_another_value_has_another_version(value: Any) -> None:
    schema = {"properties": {"a": {"$ref": "#/$defs/any"}}, "$defs": {"any": RECURSIVE}}
    body = f'"a": {json.dumps(value)}'
    read = artifact.read(written(body), "some.json", types={"mine": loaded(schema)})
    if isinstance(read, Fault):
        assert rule_of_folded_names(read)
        return
    assert json.loads(read.canonical)["a"] == value
    assert read.version != as_read(schema, f'"a": [{json.dumps(value)}]').version


RECURSIVE: Json = {
    "type": ["null", "boolean", "number", "string", "array", "object"],
    "items": {"$ref": "#/$defs/any"},
    "additionalProperties": {"$ref": "#/$defs/any"},
}


def rule_of_folded_names(fault: Fault) -> bool:
    return fault.rule == "bad-json" and "are the same to readers" in fault.says


KEYWORDS = st.sampled_from(
    [
        *("type", "required", "enum", "const", "pattern", "dependentRequired", "minimum", "not", "a", "b"),
        *("properties", "additionalProperties", "patternProperties", "items", "prefixItems"),
        *("allOf", "anyOf", "$ref", "$defs", "$id", "$schema"),
    ]
)
SCHEMAS = st.recursive(
    st.booleans() | st.sampled_from(["integer", "number", "#", "#/$defs/a", "(", "a"]) | st.integers(-1, 2) | st.none(),
    lambda inner: st.dictionaries(KEYWORDS, inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=12,
)


@given(SCHEMAS, st.text(max_size=3), ANYTHING)
@example({"$id": "\x00"}, "", None)
@example({"$id": "urn:x:y", "$ref": "#"}, "", None)
def test_no_schema_and_no_document_make_it_raise(schema: Any, name: str, value: Any) -> None:
    mine = user_type.load("mine", json.dumps(schema).encode(), "mine.schema.json")
    if isinstance(mine, Fault):
        assert mine.rule in ("schema", "bad-json")
        return
    for member in (name, "a"):
        read = artifact.read(written(f"{json.dumps(member)}: {json.dumps(value)}"), "some.json", types={"mine": mine})
        assert isinstance(read, Artifact) or read.rule in ("schema", "bad-json", "version-mismatch")


def chained(length: int, link: Any) -> Json:
    links = {f"a{n}": link({"$ref": f"#/$defs/a{n + 1}"}) for n in range(length)}
    return {"properties": {"a": {"$ref": "#/$defs/a0"}}, "$defs": {**links, f"a{length}": TEXT}}


@pytest.mark.parametrize(
    "schema, says",
    [
        (chained(198, lambda to: to), ""),
        (chained(199, lambda to: to), "more than 200 schemas of one value inside each other"),
        (chained(12, lambda to: {"allOf": [to, to]}), ""),
        (chained(14, lambda to: {"allOf": [to, to]}), "one value needs more than 20,000 evaluations"),
        (chained(14, lambda to: {"not": {"anyOf": [to, to]}}), "one value needs more than 20,000 evaluations"),
        ({"enum": [[]] * 2000}, "one value needs more than 20,000 evaluations"),
        pytest.param(members(**{f"p{n}": TEXT for n in range(4_200)}), "4096 different places", marks=pytest.mark.slow),
        pytest.param(
            members(**{f"p{n}": True for n in range(20_000)}), "has more than 20,000 schemas", marks=pytest.mark.slow
        ),
        (members(a={**TEXT, "pattern": "a" * 100_001}), "more than 100,000 characters of regular expressions"),
        ({"description": "x" * 4_000_000}, "the limit is 4,000,000"),
    ],
    ids=lambda each: str(each)[:40],
)
def test_a_schema_has_limits_and_what_is_within_them_is_read(schema: Json, says: str) -> None:
    mine = user_type.load("mine", json.dumps(schema).encode(), "mine.schema.json")
    if says:
        assert isinstance(mine, Fault)
        assert says in mine.says
    else:
        assert isinstance(mine, UserType), mine


@pytest.mark.parametrize(
    "within, beyond",
    [
        # twice for each level: 2^26 evaluations and 2^31
        ('{"x":' * 25 + '"y"' + "}" * 25, '{"x":' * 30 + '"y"' + "}" * 30),
        ("[" * 25 + "]" * 25, "[" * 30 + "]" * 30),
    ],
)
def test_the_evaluations_of_a_document_are_counted_before_they_are_made(within: str, beyond: str) -> None:
    twice = {"anyOf": [{"$ref": "#/$defs/n"}, {"$ref": "#/$defs/n"}]}
    node = {"type": ["object", "array", "string"], "properties": {"x": twice}, "items": twice}
    schema = {**members(a={"$ref": "#/$defs/n"}), "$defs": {"n": node}}
    assert body_of(as_read(schema, f'"a": {within}')) == f'"a":{within}'
    refused(schema, f'"a": {beyond}', r"\$\.a.*: needs more than 1,000,000,000 evaluations of schemas up to here")


@pytest.mark.parametrize("many, element", [(30_000, {"uniqueItems": True}), (70, {"maxLength": 9})])
def test_long_lists_and_texts_cost_what_a_validator_reads_of_them(many: int, element: Json) -> None:
    rows = {"items": {"items": TEXT, **element}}
    schema = members(a={**rows, "allOf": [rows] * 200})
    text = json.dumps([["x"] * many])
    if "uniqueItems" in element:
        refused(schema, f'"a": {text}', "needs more than")
    else:
        as_read(schema, f'"a": {text}')
