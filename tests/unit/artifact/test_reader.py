"""One document has one version however it is spelled, and nothing else has it."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import random
import re
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pointsman import artifact
from pointsman.artifact import Artifact, Reference, built_in, go_json
from pointsman.artifact.built_in import LAYOUTS
from pointsman.errors import Fault, Problem
from pointsman.state.times import window_instant

Json = dict[str, Any]

TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from('<>&"\\/\u2028\u2029\x00\x1f\x7f.0e-6}],: '), max_size=6)
IDS = TEXTS.filter(bool) | st.sampled_from(
    ["v1.0}", '1.0},{"item_id"', '"score":1e-6}', "a:-0,", "\\", '\\"', "u-1e-6"]
)
COUNTS = st.integers(0, 2**63 - 1) | st.integers(0, 9)
SCORES = (
    st.floats(min_value=0, allow_infinity=False)
    | st.floats(1e-7, 1e-4)
    | st.floats(0, 100).map(round).map(float)
    | st.sampled_from([0.0, -0.0, 1e-6, 1.5e-6, 9.99e-6, 1e-5, 1e15, 1e16, 2.0**53, 1e20, 1e21, 1e22, 5e-324, 1.7e308])
)


def members(**strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """Objects whose members stand in the order given here, which is the one that is hashed."""
    return st.tuples(*strategies.values()).map(lambda values: dict(zip(strategies, values, strict=True)))


def some(rows: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(rows, max_size=3)


ROWS = {
    "popularity": members(item_id=IDS, count=COUNTS),
    "cooc": members(item_id=IDS, items=some(members(item_id=IDS, count=COUNTS))),
    "implicit": members(user_id=IDS, items=some(members(item_id=IDS, score=SCORES))),
    "content_sim": members(item_id=IDS, tags=some(TEXTS)),
}
ROWS["session_seq"] = ROWS["implicit"]
WINDOWS = st.sampled_from(
    [
        {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"},
        {"start": "2026-01-01T02:00:00.5+02:00", "end": "2026-01-01T23:59:59-00:30"},
    ]
)

SPLINTERS = [
    b"",
    b'"',
    b"\\",
    b",",
    b":",
    b"{",
    b"}",
    b"[",
    b"]",
    b"-",
    b"0",
    b".0",
    b"e9",
    b" ",
    b"null",
    b"\xff",
    b'"v":1,',
    b"\xc3",
]
UNHASHED = ("v", "artifact_type", "built_at", "version")
OTHER_TEXTS: dict[Any, str] = {"start": "2025-12-31T00:00:00Z", "end": "2026-01-03T00:00:00Z"}


@st.composite
def documents(draw: st.DrawFn, types: tuple[str, ...] = tuple(LAYOUTS)) -> Json:
    """An artifact of one of `types` in the order in which it is hashed, claiming nothing."""
    name = draw(st.sampled_from(types))
    return {
        "v": 1,
        "artifact_type": name,
        "tenant": draw(IDS),
        "surface": draw(IDS),
        **({"segment": draw(IDS)} if draw(st.booleans()) else {}),
        "window": draw(WINDOWS),
        LAYOUTS[name].rows: draw(some(ROWS[name])),
        "build": {"built_at": draw(TEXTS), "version": ""},
    }


def spelled(value: Any, rng: random.Random) -> str:
    """`value` as JSON in one of its spellings: white space, order of members, escapes and digits as chance has it."""

    def gap() -> str:
        return "".join(rng.choices(" \t\r\n", k=rng.choice([0, 0, 0, 1, 2])))

    def inside(parts: list[str]) -> str:
        return gap() + ",".join(gap() + part + gap() for part in parts)

    if isinstance(value, dict):
        members = [f"{text(name, rng)}{gap()}:{gap()}{spelled(inner, rng)}" for name, inner in value.items()]
        rng.shuffle(members)
        return "{" + inside(members) + "}"
    if isinstance(value, list):
        return "[" + inside([spelled(inner, rng) for inner in value]) + "]"
    if isinstance(value, str):
        return text(value, rng)
    return digits(value, rng) if isinstance(value, float) else json.dumps(value)


def text(value: str, rng: random.Random) -> str:
    def letter(each: str) -> str:
        plain = json.dumps(each, ensure_ascii=False)[1:-1]
        coded = "".join(f"\\u{unit:04x}" for unit in memoryview(each.encode("utf-16-le")).cast("H"))
        return rng.choice([plain] * 6 + [coded, coded.upper().replace("U", "u"), "\\/" if each == "/" else plain])

    return f'"{"".join(map(letter, value))}"'


def digits(value: float, rng: random.Random) -> str:
    """Any token that reads as the double `value`, integers too."""
    exact = format(Decimal(value), "f")
    if value.is_integer():
        exact = exact if value or math.copysign(1, value) > 0 else "-0"
    scientific = f"{Decimal(repr(value)):e}"
    choices = [repr(value), scientific, scientific.upper(), exact, exact + ("0" if "." in exact else ".0")]
    return rng.choice([each for each in choices if len(each) < 60] or [scientific])


def go_number(value: float) -> str:
    """The rule of the canonical form, worked out from decimal digits instead of Python's spelling."""
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    sign, numerals, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    shown = "".join(map(str, numerals))
    point = len(shown) + exponent
    if not 1e-6 <= abs(value) < 1e21:
        tail = f".{shown[1:]}" if shown[1:] else ""
        return f"{'-' * sign}{shown[0]}{tail}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    padded = shown.rjust(len(shown) - point + 1, "0") if point <= 0 else shown.ljust(point, "0")
    whole, fraction = padded[: max(point, 1)], padded[max(point, 1) :]
    return "-" * sign + whole + (f".{fraction}" if fraction else "")


def canonical(value: Any) -> str:
    """The canonical form of a document whose members stand in their order, written without the code under test."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{canonical(name)}:{canonical(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, float):
        return go_number(value)
    if isinstance(value, str):
        return re.sub("[<>&\u2028\u2029]", lambda hit: f"\\u{ord(hit[0]):04x}", json.dumps(value, ensure_ascii=False))
    return json.dumps(value)


def payload(document: Json) -> bytes:
    return canonical({**document, "build": {"built_at": "", "version": ""}}).encode()


def as_read(data: bytes, **options: Any) -> Artifact:
    read = artifact.read(data, "some.json", **options)
    assert isinstance(read, Artifact), read
    return read


def refused(data: bytes | Json, rule: str, words: str, **options: Any) -> None:
    fault = artifact.read(data if isinstance(data, bytes) else dumped(data), "some.json", **options)
    assert isinstance(fault, Fault)
    assert (fault.path, fault.rule) == ("some.json", rule)
    assert re.search(words, fault.says), fault.says


def dumped(document: Json) -> bytes:
    return json.dumps(document, indent=2).encode()


def plain(artifact_type: str = "popularity", **changes: Any) -> Json:
    """A small artifact of a type, members replaced by `changes`."""
    rows: Json = {
        "popularity": [{"item_id": "a", "count": 2}, {"item_id": "b", "count": 1}],
        "cooc": [{"item_id": "a", "items": [{"item_id": "b", "count": 2}, {"item_id": "c", "count": 1}]}],
        "implicit": [{"user_id": "u", "items": [{"item_id": "b", "score": 2.5}, {"item_id": "c", "score": 1}]}],
        "content_sim": [{"item_id": "a", "tags": ["s", "t"]}],
    }
    return {
        "v": 1,
        "artifact_type": artifact_type,
        "tenant": "demo",
        "surface": "home",
        "segment": "default",
        "window": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"},
        LAYOUTS[artifact_type].rows: rows[{"session_seq": "implicit"}.get(artifact_type, artifact_type)],
        "build": {"built_at": "", "version": ""},
        **changes,
    }


def standing(document: Json, **changes: str) -> Reference:
    """Where `document` says that it stands, but for `changes`."""
    window = document["window"]
    reference = Reference(
        document["tenant"],
        document["surface"],
        document["segment"],
        document["artifact_type"],
        hashlib.sha256(payload(document)).hexdigest(),
        window["start"],
        window["end"],
    )
    return replace(reference, **changes)


def claiming(document: Json) -> Json:
    return {**document, "build": {"built_at": "now", "version": hashlib.sha256(payload(document)).hexdigest()}}


@pytest.fixture
def exactly(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, no document takes the quick reading."""
    return lambda: monkeypatch.setattr(built_in, "decode", lambda _: None)


@given(documents(), st.randoms(use_true_random=False))
def test_however_a_document_is_spelled_it_has_one_canonical_form(document: Json, rng: random.Random) -> None:
    read = as_read(spelled(document, rng).encode())
    assert read.canonical == payload(document)
    assert read.version == hashlib.sha256(payload(document)).hexdigest()


@given(documents(), st.data())
def test_any_other_value_gives_another_version(document: Json, data: st.DataObject) -> None:
    other = copy.deepcopy(document)
    places = [(each, name) for each, name in values_in(other) if name not in UNHASHED]
    each, name = data.draw(st.sampled_from(places))
    before = each[name]
    match before:
        case None:
            each[name] = []
        case []:
            each[name] = None
        case list():
            each[name] = before[1:]
        case str():
            each[name] = OTHER_TEXTS.get(name, f"{before}x")
        case float():
            each[name] = math.nextafter(before, 0) if before else -before
        case int():
            each[name] = before - 1 if before else 1
    first, second = as_read(spelled(document, random.Random(0)).encode()), as_read(dumped(other))
    assert first.version != second.version


@given(documents(), TEXTS, st.none() | st.just(""))
def test_what_build_says_is_not_part_of_the_version(document: Json, built_at: str, source_hash: str | None) -> None:
    version = as_read(dumped(document)).version
    build = {"source_hash": version if source_hash is None else "", "built_at": built_at, "version": version}
    read = as_read(dumped({**document, "build": build}))
    assert (read.version, read.claimed_version, read.built_at) == (version, version, built_at)
    assert read.canonical == payload(document)


@given(documents())
def test_an_empty_segment_is_no_segment(document: Json) -> None:
    without = {name: value for name, value in document.items() if name != "segment"}
    read = as_read(dumped({**document, "segment": ""}))
    assert read.segment == ""
    assert read.version == as_read(dumped(without)).version


def test_a_document_that_stands_for_itself_is_its_own_canonical_form() -> None:
    for artifact_type in LAYOUTS:
        once = as_read(dumped(plain(artifact_type)))
        assert as_read(once.canonical).canonical == once.canonical


@pytest.mark.parametrize(
    "artifact_type, summary",
    [
        ("popularity", {"items": 2}),
        ("cooc", {"rows": 1, "neighbors": 2}),
        ("implicit", {"users": 1, "items": 2}),
        ("content_sim", {"items": 1, "tags": 2}),
        ("session_seq", {"users": 1, "items": 2}),
    ],
)
def test_a_summary_counts_rows_first(artifact_type: str, summary: dict[str, int]) -> None:
    document = plain(artifact_type)
    assert list(as_read(dumped(document)).summary.items()) == list(summary.items())
    nothing = {**document, LAYOUTS[artifact_type].rows: None}
    assert set(as_read(dumped(nothing)).summary.values()) == {0}


def values_in(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a value inside `value`, as its container and its name or index."""
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if not isinstance(inner, dict):
            yield value, name
        if isinstance(inner, dict | list):
            yield from values_in(inner)


@pytest.mark.slow
@settings(max_examples=150)
@given(documents(), st.randoms(use_true_random=False), st.data())
def test_the_quick_and_the_exact_reading_agree_about_any_bytes(
    document: Json, rng: random.Random, data: st.DataObject
) -> None:
    """Damages a document here and there; one reading may know more words, but not another answer."""
    written = bytearray(spelled(document, rng).encode())
    for _ in range(data.draw(st.integers(0, 2))):
        at = data.draw(st.integers(0, len(written) - 1))
        until = at + data.draw(st.integers(0, 3))
        written[at:until] = data.draw(st.sampled_from(SPLINTERS))
    with pytest.MonkeyPatch.context() as patch:
        quick = artifact.read(bytes(written), "some.json")
        patch.setattr(built_in, "decode", lambda _: None)
        assert artifact.read(bytes(written), "some.json") == quick


@pytest.mark.parametrize("artifact_type", LAYOUTS)
def test_an_ordinary_document_takes_the_quick_reading(artifact_type: str) -> None:
    for data in (
        dumped(plain(artifact_type)),
        dumped(plain(artifact_type, tenant='a"b\\', segment="&")),
        b" " + payload(plain(artifact_type)),
    ):
        assert built_in.decode(data) is not None
    last_first = dict(reversed(plain(artifact_type).items()))
    assert built_in.decode(dumped(last_first)) is not None


@given(st.binary(max_size=200))
@example(b"")
@example(b'{"artifact_type": "popularity"}')
@example(b'{"v": 1, "artifact_type": "' + b"\xff" * 3 + b'"}')
@example(b'{"v": 1, "artifact_type": "popularity", "items": ' + b"[" * 100_000)
@example(b'{"v": 1, "artifact_type": "popularity", "x": ' + b'{"a":' * 100_000)
def test_no_bytes_make_it_raise(data: bytes) -> None:
    fault = artifact.read(data, "some.json")
    assert isinstance(fault, Fault)
    assert fault.rule in ("bad-json", "schema")


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e21)
@example(math.nextafter(1e21, 0))
@example(1e-6)
@example(math.nextafter(1e-6, 0))
@example(-1.5e-7)
@example(123456789012345680.0)
def test_a_double_is_spelled_by_its_shortest_digits_as_go_does(value: float) -> None:
    assert go_json.number(value) == go_number(value)
    assert float(go_json.number(value)) == value


@pytest.mark.parametrize("artifact_type", LAYOUTS)
def test_a_member_that_stands_twice_is_refused_wherever_it_is(artifact_type: str) -> None:
    """In every object in turn, every member in turn, with the same value: no count of anything else would tell."""
    document = claiming(plain(artifact_type))
    document["build"]["source_hash"] = document["build"]["version"]
    objects = [
        each
        for each in [document, *(holder[name] for holder, name in everything_in(document))]
        if isinstance(each, dict)
    ]
    assert len(objects) >= 4
    for each in objects:
        for name in list(each):
            each["twice"] = each[name]
            data = dumped(document).replace(b'"twice"', json.dumps(name).encode())
            refused(data, "bad-json", f'"{name}" appears twice; keep one')
            refused(data.replace(b'"v"', b'"\\u0076"'), "bad-json", "appears twice; keep one")
            del each["twice"]


@pytest.mark.parametrize("artifact_type", LAYOUTS)
def test_every_member_is_needed_and_no_other_is_known(artifact_type: str) -> None:
    document = plain(artifact_type)
    for each in [document, *(holder[name] for holder, name in everything_in(document))]:
        if not isinstance(each, dict):
            continue
        for name in list(each):
            changed = each.pop(name)
            if name != "segment":
                stamped = name == "build" or each is document["build"]
                how = "pointsman stamp FILE adds it" if stamped else "add it"
                refused(document, "schema", f'"{name}" is missing; {how}')
                each[name.upper()] = changed
                refused(document, "schema", f'unknown member "{name.upper()}"; write "{name}"')
                del each[name.upper()]
            each[name] = changed
        each["extra"] = 1
        refused(document, "schema", 'unknown member "extra"; remove it')
        del each["extra"]


@pytest.mark.parametrize("artifact_type", LAYOUTS)
def test_every_value_has_its_kind_and_only_lists_may_be_null(artifact_type: str) -> None:
    document = plain(artifact_type)
    wrongs: list[Any] = [None, True, "text", [], {}, 1.5]
    for holder, name in list(everything_in(document)):
        right = holder[name]
        for wrong in wrongs:
            if type(wrong) is type(right) or (wrong is None and isinstance(right, list)):
                continue
            if name == "score" and isinstance(wrong, float):
                continue
            holder[name] = wrong
            refused(document, "schema", "write an? |is missing")
        holder[name] = right


def everything_in(value: Any) -> Iterator[tuple[Any, Any]]:
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, name
        if isinstance(inner, dict | list):
            yield from everything_in(inner)


@pytest.mark.parametrize(
    "items, rule, words",
    [
        ('{"item_id": "", "count": 1}', "schema", r"\$\.items\[0\]\.item_id: is empty"),
        ('{"item_id": "a", "count": -1}', "schema", r"\$\.items\[0\]\.count: is -1; .*never negative"),
        ('{"item_id": "a", "count": 9223372036854775808}', "bad-json", r"\$\.items\[0\]\.count: .*64-bit"),
        ('{"item_id": "a", "count": 1e400}', "bad-json", r"\$\.items\[0\]\.count: .*larger than any double"),
        ('{"item_id": "\\ud800", "count": 1}', "bad-json", r"\$\.items\[0\]\.item_id: .*surrogate"),
        ('{"item_id": "a", "count": 1},', "bad-json", r"line \d+ column \d+: "),
        ('{"item_id": "a", "count": 01}', "bad-json", r"line \d+ column \d+: "),
        ('{"item_id": "a", "count": 1} // b', "bad-json", r"line \d+ column \d+: "),
    ],
)
def test_a_wrong_row_is_named(items: str, rule: str, words: str) -> None:
    data = dumped(plain(items=["here"])).replace(b'"here"', items.encode())
    refused(data, rule, words)


@pytest.mark.parametrize(
    "token",
    [
        *("0", "1", "1.0", "1.50", "0.1", "1e-5", "1e-6", "9.99e-6", "0.0000015", "1e-7", "1e15"),
        *("1e16", "2.5e16", "9007199254740993", "1e17", "1e20", "1e21"),
    ],
)
def test_a_score_is_spelled_like_go_wherever_a_list_ends(token: str) -> None:
    scored = '{"item_id": "a", "score": 77}'
    users = [
        {"user_id": "u", "items": [scored, scored]},
        {"user_id": "v", "items": [scored]},
        {"user_id": "w", "items": []},
    ]
    data = dumped(plain("implicit", users=users)).decode().replace(json.dumps(scored), scored).replace("77", token)
    assert as_read(data.encode()).canonical.decode().count(f'"score":{go_number(float(token))}}}') == 3


@pytest.mark.parametrize("score", ["-1", "-1e-400", "-0", "-0.0", "-0e5"])
@pytest.mark.parametrize("before", ["", " ", "\t", "\n", "\r\n "])
@pytest.mark.parametrize("name", ['"score"', '"sc\\u006fre"', '"score" '])
def test_a_minus_sign_is_kept_or_refused_however_it_is_written(score: str, before: str, name: str) -> None:
    items = f'[{{"item_id": "a", {name}:{before}{score}}}]'
    data = dumped(plain("implicit", users=[{"user_id": "u", "items": "here"}])).replace(b'"here"', items.encode())
    if score == "-1":
        refused(data, "schema", r"\$\.users\[0\]\.items\[0\]\.score: is -1\.0; a score is never negative")
    else:
        assert b'"score":-0}' in as_read(data).canonical


@pytest.mark.parametrize("long", [20, 400, 5000])
@pytest.mark.parametrize("quick", [True, False])
def test_no_integer_is_too_long_to_be_refused(long: int, quick: bool, exactly: Callable[[], None]) -> None:
    if not quick:
        exactly()
    for name in (b'"v": 1', b'"count": 1'):
        refused(dumped(plain()).replace(name, name + b"1" * long), "bad-json", rf"\.{name[1:-4].decode()}: 11111")


def test_a_count_of_minus_zero_is_zero(exactly: Callable[[], None]) -> None:
    data = dumped(plain(items=[{"item_id": "a", "count": 77}])).replace(b"77", b"-0")
    quick = as_read(data)
    exactly()
    assert as_read(data) == quick
    assert b'"count":0}' in quick.canonical


def test_names_outside_the_grammar_are_read_and_empty_ones_are_not() -> None:
    assert as_read(dumped(plain(tenant="a/b c", surface="..", segment="é"))).tenant == "a/b c"
    for name in ("tenant", "surface"):
        refused(plain(**{name: ""}), "schema", rf"\$\.{name}: is empty")


def test_a_false_claim_is_refused() -> None:
    true = claiming(plain())
    version = true["build"]["version"]
    assert as_read(dumped(true)).claimed_version == version
    for claim in ("0" * 64, version.upper(), version[:12], f" {version}"):
        false = {**true, "build": {"built_at": "", "version": claim}}
        refused(false, "version-mismatch", rf"\$\.build\.version: is .* hashes to {version}; build it again")
        false["build"] = {"built_at": "", "version": version, "source_hash": claim}
        refused(false, "version-mismatch", r"\$\.build\.source_hash: is ")
        assert as_read(dumped(false), any_source_hash=True).source_hash == claim
        false["build"] = {"built_at": "", "version": "0" * 64, "source_hash": claim}
        told = artifact.read(dumped(false), "some.json", any_source_hash=True)
        assert isinstance(told, Fault)
        assert (told.rule, told.says[:24]) == ("version-mismatch", '$.build.version: is "000')


def test_an_artifact_that_claims_nothing_has_no_place_of_its_own_to_stand_at() -> None:
    document = plain()
    assert as_read(dumped(document)).claimed_version == ""
    refused(document, "version-mismatch", "its path or record says", reference=standing(document))
    assert as_read(dumped(claiming(document)), reference=standing(document)).version == standing(document).version


@pytest.mark.parametrize("name", ["tenant", "surface", "segment", "type", "version"])
@pytest.mark.parametrize("text", ["a/b", "a\\b", "..", "a..b", "a\nb", "\x7f", "\x85", " ", "\t"])
def test_a_reference_that_is_no_place_is_refused_before_anything_is_read(name: str, text: str) -> None:
    reference = standing(plain(), **{name: text})
    refused(b"not json", "bad-path", f"the reference's {name} ", reference=reference)


def test_a_reference_needs_all_but_a_segment() -> None:
    for name in ("tenant", "surface", "type", "version"):
        refused(
            b"not json", "bad-path", f"the reference's {name} must be set", reference=standing(plain(), **{name: ""})
        )
    without = {name: value for name, value in plain().items() if name != "segment"}
    reference = standing({**without, "segment": ""}, version=claiming(without)["build"]["version"])
    assert as_read(dumped(claiming(without)), reference=reference).segment == ""
    refused(claiming(plain()), "version-mismatch", "its path or record says", reference=reference)


@pytest.mark.parametrize(
    "start, end, words",
    [
        ("", "2026-01-02T00:00:00Z", "not an RFC 3339 time"),
        ("2026-01-01T00:00:00Z", "2026-01-02", "not an RFC 3339 time"),
        ("0001-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "counts as unset"),
        ("2026-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00", "counts as unset"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "must be after"),
        ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "must be after"),
        ("2026-01-01T00:00:00.000000002Z", "2026-01-01T00:00:00.000000001Z", "must be after"),
    ],
)
def test_a_window_spans_some_time_in_documents_and_in_references(start: str, end: str, words: str) -> None:
    refused(plain(window={"start": start, "end": end}), "schema", rf"\$\.window.*{words}")
    reference = standing(plain(), window_start=start, window_end=end)
    refused(claiming(plain()), "bad-path", f"the reference's window.*{words}", reference=reference)


def test_windows_are_compared_as_instants_and_hashed_as_texts() -> None:
    there = claiming(plain())
    window = {"start": "2026-01-01T02:00:00+02:00", "end": "2026-01-01T23:00:00.0-01:00"}
    here = claiming(plain(window=window))
    assert (
        as_read(dumped(here), reference=standing(there, version=here["build"]["version"])).window_start
        == window["start"]
    )
    assert here["build"]["version"] != there["build"]["version"]
    later = standing(here, window_start="2026-01-01T00:00:00.000000001Z")
    refused(here, "wrong-place", r"\$\.window\.start: ", reference=later)


@pytest.mark.parametrize("quick", [True, False])
def test_of_several_faults_the_original_s_first_is_told(quick: bool, exactly: Callable[[], None]) -> None:
    if not quick:
        exactly()
    right = claiming(plain())
    reference = standing(right)
    limits = {"max_popularity_items": 1}
    wrong = {**right, "v": 2, "artifact_type": "cooc", "neighbors": None, "tenant": "x", "segment": "x"}
    wrong.update(window={"start": "2026-01-01T00:00:01Z", "end": ""}, build={"built_at": "", "version": "x"})
    del wrong["items"]
    for mended, rule, words in [
        ({}, "schema", r"\$\.v: "),
        ({"v": 1}, "wrong-place", r"\$\.artifact_type: "),
        ({"artifact_type": "popularity", "items": right["items"]}, "version-mismatch", "its path or record says"),
        ({"build": right["build"]}, "wrong-place", r"\$\.tenant: "),
        ({"tenant": "demo"}, "wrong-place", r"\$\.segment: "),
        ({"segment": "default"}, "schema", r"\$\.window\.end: "),
        ({"window": {**wrong["window"], "end": "2026-01-02T00:00:00Z"}}, "wrong-place", r"\$\.window\.start: "),
        ({"window": right["window"], "items": [*right["items"], right["items"][0]]}, "schema", "limit of 1"),
    ]:
        wrong.update(mended)
        if "items" in mended:
            wrong.pop("neighbors", None)
        refused(wrong, rule, words, reference=reference, limits=limits)
    refused(wrong, "version-mismatch", "hashes to", reference=reference)
    assert as_read(dumped({**wrong, "items": right["items"]}), reference=reference).version == reference.version


@pytest.mark.parametrize("artifact_type", LAYOUTS)
@pytest.mark.parametrize("quick", [True, False])
def test_limits_bound_rows_and_the_leaves_of_each_row(
    artifact_type: str, quick: bool, exactly: Callable[[], None]
) -> None:
    if not quick:
        exactly()
    layout = LAYOUTS[artifact_type]
    document = plain(artifact_type)
    document[layout.rows] *= 3
    data = dumped(document)
    rows, *leaves = (f"max_{artifact_type}_{what}" for what in layout.counted)
    count = len(document[layout.rows])
    as_read(data, limits={rows: count, **dict.fromkeys(leaves, 2)})
    as_read(data, limits={rows: 0, **dict.fromkeys(leaves, 0)})
    refused(data, "schema", rf"\$\.{layout.rows}: {count} .* limit of {count - 1}", limits={rows: count - 1})
    for limit in leaves:
        document[layout.rows][1] = {
            **document[layout.rows][1],
            layout.leaves: document[layout.rows][1][layout.leaves][:1],
        }
        words = rf"\$\.{layout.rows}\[0\]\.{layout.leaves}: 2 .* limit of 1; shorten"
        refused(document, "schema", words, limits={limit: 1})


def test_an_unknown_limit_is_a_problem_and_not_off() -> None:
    with pytest.raises(Problem, match="no such limit: 'max_popularity_item'"):
        artifact.read(dumped(plain()), "some.json", limits={"max_popularity_item": 1})


@pytest.mark.parametrize(
    "written, zone, second, nanosecond",
    [
        ("2026-01-01T00:00:00Z", 0, 0, 0),
        ("2026-01-01T00:00:59.5Z", 0, 59, 500_000_000),
        ("2026-01-01T00:00:00.123456789+23:59", 23 * 60 + 59, 0, 123_456_789),
        ("2026-01-01T00:00:01.000000001-00:01", -1, 1, 1),
    ],
)
def test_an_instant_is_seconds_since_year_one_and_nanoseconds(
    written: str, zone: int, second: int, nanosecond: int
) -> None:
    moment = datetime(2026, 1, 1, 0, 0, second, tzinfo=timezone(timedelta(minutes=zone)))
    since = moment - datetime(1, 1, 1, tzinfo=UTC)
    assert window_instant(written) == (since.days * 86400 + since.seconds, nanosecond)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01t00:00:00Z",
        "2026-01-01T00:00:00z",
        "2026-01-01 00:00:00Z",
        "2026-01-01T0:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z",
        "2026-02-29T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-01-01T00:00:00,5Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.1234567890Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+00:60",
        "2026-01-01T00:00:00+0000",
        "2026-01-01T00:00:00+00",
        " 2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z\n",
        "٢026-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "0001-01-01T01:00:00.000+01:00",
    ],
)
def test_whatever_go_does_not_write_is_no_instant(written: str) -> None:
    assert window_instant(written) is None


def test_the_ends_of_time_do_not_overflow() -> None:
    assert window_instant("0001-01-01T00:00:00+23:59") == (-86340, 0)
    assert window_instant("9999-12-31T23:59:59.999999999-23:59") == (315537897599 + 86340, 999_999_999)


@pytest.mark.slow
def test_nothing_is_needed_beyond_the_memory_of_decoding() -> None:
    """The source is let go before the canonical form is made, if nobody else keeps it."""
    rows = [{"item_id": f"sku-{i:06d}", "count": 1000 + i} for i in range(20_000)]
    source = bytearray(dumped(plain(items=rows)))
    as_read(bytes(source))  # decoders and patterns are made once
    tracemalloc.start()
    try:
        built_in.decode(bytes(source))
        decoding = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        artifact.read(bytes(source), "some.json")
        reading = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reading < decoding + len(source) / 4
    assert decoding < 4 * len(source)
