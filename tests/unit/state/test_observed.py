"""Pointers that others wrote mean what recsys-service makes of them, no more and no less."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.errors import Fault
from pointsman.state.documents import Manifest
from pointsman.state.names import Target
from pointsman.state.observed import Pointer, is_time, read_pointer

HOME = Target("grocer", "home")
VERSION = "a" * 64
URI = f"s3://shop/grocer/home/cooc/{VERSION}.json"
HEAD = '"v": 1, "tenant": "grocer", "surface": "home"'


def read(text: str | bytes) -> Pointer | Fault:
    return read_pointer(text if isinstance(text, bytes) else text.encode(), HOME, "the path")


# What encoding/json, ManifestV1.Validate and LoadManifest make of a document: the URIs of `current`, by type.
LOADED: list[tuple[str | bytes, dict[str, str]]] = [
    (f'{{{HEAD}, "current": {{"cooc": "{URI}"}}, "updated_at": "2026-03-04T06:00:07Z"}}', {"cooc": URI}),
    (f'{{"updated_at":"","current":{{"cooc":"x"}},{HEAD}}}', {"cooc": "x"}),
    (f'\r\n\t {{{HEAD}, "current": {{"a b/é": "relative"}}, "by": [1e400, {{"v": 2}}, -0]}} \n', {"a b/é": "relative"}),
    (
        '{"V": 1, "TENANT": "grocer", "ſurface": "home", "Current": {"Cooc": "x", "cooc": "y"}}',
        {"Cooc": "x", "cooc": "y"},
    ),
    (f'{{"v": 2, "tenant": "baker", {HEAD}}}', {}),
    (f'{{{HEAD}, "tenant": null, "v": null, "current": {{"a": "1", "b": null, "a": "2"}}}}', {"a": "2", "b": ""}),
    (f'{{{HEAD}, "current": {{"a": "1"}}, "current": {{"b": "2"}}}}', {"a": "1", "b": "2"}),
    (f'{{{HEAD}, "current": {{"a": "1"}}, "current": null, "current": {{"b": "2"}}}}', {"b": "2"}),
    (f'{{{HEAD}, "current": {{"a": "\\ud800x"}}}}', {"a": "\ufffdx"}),
    (f'{{{HEAD}, "current": {{"a": "'.encode() + b'\xff"}}', {"a": "\ufffd"}),
    (f'{{{HEAD}, "more": {"9" * 5000}}}', {}),
]
REFUSED = [
    ("", "bad-json", "not JSON"),
    ("\ufeff{}", "bad-json", "not JSON"),
    (f"{{{HEAD}}} {{}}", "bad-json", "not JSON"),
    (f"{{{HEAD},}}", "bad-json", "not JSON"),
    (f'{{{HEAD}, "more": NaN}}', "bad-json", "not JSON"),
    ("[" * 100_000, "bad-json", "not JSON"),
    ("[]", "schema", "not an object"),
    ("null", "schema", "not an object"),
    ("{}", "schema", "v is not 1"),
    ('{"v": 2}', "schema", "v is not 1"),
    ('{"v": 1.0}', "schema", "v is not an integer"),
    ('{"v": "1"}', "schema", "v is not an integer"),
    ('{"v": true}', "schema", "v is not an integer"),
    ('{"v": 1}', "wrong-place", 'its tenant is ""'),
    ('{"v": 1, "tenant": "grocer", "surface": "cart"}', "wrong-place", 'its surface is "cart"'),
    ('{"v": 1, "tenant": 7, "surface": "home"}', "schema", "tenant is not a text"),
    (f'{{{HEAD}, "updated_at": "yesterday"}}', "schema", "updated_at"),
    (f'{{{HEAD}, "updated_at": 5}}', "schema", "updated_at is not a text"),
    (f'{{{HEAD}, "current": []}}', "schema", "current is not an object"),
    (f'{{{HEAD}, "current": {{"a": {{}}}}}}', "schema", "a value is not a text"),
]


@pytest.mark.parametrize("text, current", LOADED)
def test_what_recsys_service_loads_is_read(text: str | bytes, current: dict[str, str]) -> None:
    found = read(text)
    assert isinstance(found, Pointer)
    assert found.current == current


@pytest.mark.parametrize("text, rule, says", REFUSED)
def test_what_recsys_service_does_not_load_is_refused_with_the_reason(text: str, rule: str, says: str) -> None:
    found = read(text)
    assert isinstance(found, Fault)
    assert (found.rule, found.path) == (rule, "the path")
    assert says in found.says


def test_a_version_is_what_a_uri_ends_in() -> None:
    found = read(f'{{{HEAD}, "current": {{"cooc": "{URI}", "old": "x/{VERSION}", "own": ""}}}}')
    assert isinstance(found, Pointer)
    assert found.versions == {"cooc": VERSION}


@pytest.mark.parametrize(
    "text, known",
    [
        ("2026-03-04T06:00:07Z", True),
        ("2026-03-04T06:00:07.123456789123+05:30", True),
        ("2026-03-04T6:00:07,5-24:60", True),
        ("0000-02-29T00:00:00Z", True),
        ("9999-12-31T23:59:59Z", True),
        ("2026-02-29T00:00:00Z", False),
        ("2026-03-04T24:00:00Z", False),
        ("2026-03-04T23:59:60Z", False),
        ("2026-03-04 06:00:07Z", False),
        ("2026-03-04T06:00:07z", False),
        ("2026-03-04T06:00:07", False),
        ("2026-03-04T06:00:07.Z", False),
        ("2026-03-04T06:00:07+25:00", False),
        ("٢٠٢٦-03-04T06:00:07Z", False),
        ("2026-03-04T06:00:07Z\n", False),
    ],
)
def test_a_time_is_what_go_parses(text: str, known: bool) -> None:
    assert is_time(text) is known


URIS = st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=4)


@given(URIS, st.permutations(["v", "tenant", "surface", "current", "updated_at"]), st.booleans())
def test_what_pointsman_writes_reads_the_same_in_any_order_and_form(
    current: dict[str, str], order: list[str], compact: bool
) -> None:
    written = Manifest("grocer", "home", current, "2026-03-04T06:00:07.000000Z").render()
    document = {name: json.loads(written)[name] for name in order}
    text = json.dumps(document, separators=(",", ":") if compact else None, indent=None if compact else 3)
    assert read(text) == read(written) == Pointer(current, "2026-03-04T06:00:07.000000Z")


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: f"{{{HEAD}, {text}".encode()))
def test_whatever_the_bytes_are_there_is_an_answer(data: bytes) -> None:
    assert isinstance(read(data), Pointer | Fault)
