"""What is refused, with its place, and that all else is read as every reader reads it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman.errors import Fault
from pointsman.state import strict_json
from pointsman.state.strict_json import MinusZero

# Without surrogates, and names that no reader could take for one another.
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
MARK = "longer than any of TEXTS"
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(st.tuples(TEXTS, inner), max_size=4, unique_by=lambda pair: strict_json.folded(pair[0])).map(dict)
    ),
    max_leaves=12,
)

REFUSED = {
    b"": ("line 1 column 1", "is empty"),
    b" \n ": ("line 2 column 2", "is empty"),
    b"\xef\xbb\xbf{}": ("line 1 column 1", "byte order mark"),
    '{"é":\n "é\udcff"}'.encode(errors="surrogateescape"): ("line 2 column 4", "0xff is not UTF-8"),
    "{}".encode("utf-16"): ("line 1 column 1", "not UTF-8"),
    "{}".encode("utf-16-le"): ("line 1 column 2", "not JSON"),
    b"\xed\xa0\x80": ("line 1 column 1", "not UTF-8"),
    b'{"a": 1, "b": [0, {"c": 2, "c": 2}]}': ("$.b[1]", '"c" appears twice'),
    b'{"c": {"c": 1}, "\\u0063": 2}': ("$", '"c" appears twice'),
    b'{"a": {"Count": 1, "count": 2}}': ("$.a", '"Count" and "count" are the same'),
    '{"ſurface": 1, "surface": 2}'.encode(): ("$", "are the same"),
    '{"\N{KELVIN SIGN}": 1, "k": 2}'.encode(): ("$", "are the same"),
    '{"ﬀ": 1, "FF": 2}'.encode(): ("$", "are the same"),
    '{"é": 1, "e\u0301": 2}'.encode(): ("$", "are the same"),
    '{"STRASSE": 1, "straße": 2}'.encode(): ("$", "are the same"),
    b'{"items": [0, {"count": NaN}]}': ("$.items[1].count", "NaN is not JSON"),
    b"[Infinity]": ("$[0]", "Infinity is not JSON"),
    b"-Infinity": ("$", "-Infinity is not JSON"),
    b"[1e309]": ("$[0]", "larger than any double"),
    b"[-1e309]": ("$[0]", "larger than any double"),
    b"9223372036854775808": ("$", "outside the range of 64-bit integers"),
    b"-9223372036854775809": ("$", "outside the range of 64-bit integers"),
    b'{"n": ' + b"1" * 5000 + b"}": ("$.n", "outside the range of 64-bit integers"),
    b'["\\ud800"]': ("$[0]", "half a surrogate pair"),
    b'["\\udc00\\ud800"]': ("$[0]", "half a surrogate pair"),
    b'{"a b": {"\\uDBFF": 1}}': ('$["a b"]', "half a surrogate pair"),
    b"[1] []": ("line 1 column 5", "more data"),
    b"{}\n\x00": ("line 2 column 1", "more data"),
    b"[1,\n]": ("line ", "fix the syntax"),
    b"[1": ("line 1 column 3", "as if it was cut off"),
    b'["a': ("line 1 column 2", "as if it was cut off"),
    b'["\t"]': ("line 1 column 3", "control character"),
    b"[01]": ("line 1 column 3", "fix the syntax"),
    b"\x0b1": ("line 1 column 1", "fix the syntax"),
    b"[" * 65 + b"]" * 65: ("$" + "[0]" * 10, "deeper than 64"),
    b'{"a":' * 65 + b"1" + b"}" * 65: ("$.a.a", "deeper than 64"),
    b"[" * 100_000: ("$", "deeper than 64"),
    b'{"a":' * 100_000: ("$", "deeper than 64"),
    b"[" * 1_000_000: ("$", "more than 100,000 values"),
    b"[" + b"{}," * 100_000 + b"{}]": ("$", "more than 100,000 values"),
}


@pytest.mark.parametrize(
    "data, told", REFUSED.items(), ids=lambda each: repr(each)[:40] if isinstance(each, bytes) else ""
)
def test_what_readers_disagree_about_is_refused_with_its_place(data: bytes, told: tuple[str, str]) -> None:
    fault = strict_json.read(data, "some.json")
    assert isinstance(fault, Fault)
    assert (fault.path, fault.rule) == ("some.json", "bad-json")
    where, what = told
    assert fault.says.startswith(where)
    assert what in fault.says
    assert len(fault.says) < 400


@pytest.mark.parametrize(
    "data, value",
    [
        (b"-0", 0),
        (b" \t\r\n[ ] ", []),
        (b"9223372036854775807", 2**63 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b"1e-400", 0.0),
        (b"1e308", 1e308),
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        (b'"\\\\ud800"', "\\ud800"),
        (b'{"a": {"a": 1}, "b": {"a": 1}}', {"a": {"a": 1}, "b": {"a": 1}}),
        (b'{"ab": 1, "a b": 2}', {"ab": 1, "a b": 2}),
        (b"[" * 64 + b"]" * 64, json.loads("[" * 64 + "]" * 64)),
        (b"[[]," + b"[" * 63 + b"1" + b"]" * 64, json.loads("[[]," + "[" * 63 + "1" + "]" * 64)),
        (b"[" + b"[]," * 200 + b"[]]", [[]] * 201),
        ('"\ufeff"'.encode(), "\ufeff"),
    ],
    ids=repr,
)
def test_the_nearest_innocent_neighbour_is_read(data: bytes, value: object) -> None:
    assert strict_json.read(data, "some.json") == value


@given(DOCUMENTS, st.booleans(), st.sampled_from([None, 0, 3]))
def test_a_document_without_ambiguity_is_read_as_it_was_written(
    value: object, ascii_only: bool, indent: int | None
) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    read = strict_json.read(data, "some.json")
    assert read == value
    assert json.dumps(read) == json.dumps(value)  # 1 and 1.0 are equal, and not the same


@given(DOCUMENTS, st.data())
def test_a_member_that_stands_twice_is_found_wherever_it_is(value: object, data: st.DataObject) -> None:
    """Writes the document with one member of one object repeated, perhaps in other letters."""
    objects = list(objects_in(value))
    if not any(objects):
        return
    doubled = data.draw(st.sampled_from([each for each in objects if each]))
    name = data.draw(st.sampled_from(sorted(doubled)))
    again = data.draw(st.sampled_from([name, name.upper(), name.lower(), name.casefold()]))
    if strict_json.folded(again) != strict_json.folded(name):
        return  # such as a lone combining mark, whose case changes its neighbours
    text = json.dumps(marked(value, doubled), ensure_ascii=data.draw(st.booleans()))
    fault = strict_json.read(text.replace(json.dumps(MARK), json.dumps(again)).encode(), "some.json")
    assert isinstance(fault, Fault)
    assert "keep one" in fault.says


def objects_in(value: Any) -> Any:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects_in(inner)


def marked(value: Any, doubled: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [marked(inner, doubled) for inner in value]
    if not isinstance(value, dict):
        return value
    inner = {name: marked(each, doubled) for name, each in value.items()}
    return {**inner, MARK: 0} if value is doubled else inner


@given(st.binary() | st.text('{}[]":,-+.eE0123456789\\u dNaIfinty\ufeffſ').map(str.encode))
@example(b"\xff" * 3)
def test_no_bytes_make_it_raise(data: bytes) -> None:
    for read in (strict_json.read, strict_json.read_exactly):
        value = read(data, "some.json")
        if isinstance(value, Fault):
            assert value.rule == "bad-json"
            assert ": " in value.says


def test_read_exactly_keeps_what_a_type_must_decide_about() -> None:
    read = strict_json.read_exactly(b"[-0, -0.0, 0, 9223372036854775808, 1e20]", "some.json")
    assert isinstance(read, list)
    assert [type(each) for each in read] == [MinusZero, float, int, int, float]
    assert read == [0, 0.0, 0, 2**63, 1e20]
    assert math.copysign(1, read[1]) == -1


@pytest.mark.parametrize("digits", [310, 400, 5000])
def test_read_exactly_refuses_an_integer_that_no_double_holds(digits: int) -> None:
    fault = strict_json.read_exactly(b'{"score": ' + b"9" * digits + b"}", "some.json")
    assert isinstance(fault, Fault)
    assert fault.says.startswith("$.score: 9999")


def test_a_place_is_written_as_a_json_path() -> None:
    assert strict_json.place(()) == "$"
    assert strict_json.place(((((), "items"), 3), "count")) == "$.items[3].count"
    assert strict_json.place(((), "a b\n")) == '$["a b\\n"]'
    deep: strict_json.Trail = ()
    for _ in range(500):
        deep = deep, "name"
    assert len(strict_json.place(deep)) < 200
