"""A strict JSON reader: it refuses every document that two readers could understand differently.

RFC 8259 leaves open what duplicate names, lone surrogates and huge numbers mean, and readers differ: most keep the last
of two equal names, and Go takes `Count` for `count`. Each fault says the place.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import TypeAlias

from msgspec import Struct

from pointsman.errors import Fault
from pointsman.patterns import pattern
from pointsman.state.other_forms import recognised

MAX_DEPTH = 64
_MOST_VALUES = 100_000  # of a small document
_MOST_OF_A_SCHEMA = 1_000_000
_MOST_OF_AN_ARTIFACT = 20_000_000  # more would not fit into memory
TOO_DEEP = f"lists and objects nest deeper than {MAX_DEPTH} levels; flatten the document"

# The path to a value, innermost step last: (((), "items"), 3). Cheap to carry; it becomes text only in a fault.
Trail: TypeAlias = tuple[()] | tuple["Trail", str | int]

_plain_name = pattern(r"[A-Za-z_][A-Za-z0-9_]*")
_surrogate_escape = pattern(r"\\u[dD][89a-fA-F]")
_lone_surrogate = pattern("[\ud800-\udfff]")


class MinusZero(int):
    """The token `-0` as `read_exactly` returns it. An integer takes it as 0, a double keeps the sign."""


class _Flaw(Struct, frozen=True):
    """Replaces a refused value in the parsed tree. A later walk of the tree finds its place."""

    says: str


def read(data: bytes, path: str) -> object | Fault:
    """The document in `data`, or a `bad-json` fault about `path`. For small documents: manifests, records, schemas.

    Refused are: anything but UTF-8, a byte order mark, names that are equal if case or Unicode compatibility is
    ignored, NaN and Infinity, integers outside int64, doubles that overflow, lone surrogates, nesting deeper than 64,
    trailing data, more than 100,000 values. Never raises, whatever the bytes.
    """
    return read_noting_doubles(data, path)[0]


def read_noting_doubles(data: bytes, path: str) -> tuple[object | Fault, bool]:
    """Like `read`, and whether a number of the document has a point or an exponent."""
    tokens = _Tokens(exact=False)
    document = _not_too_deep(_parse(data, path, tokens), data, path)
    return document, tokens.has_double


def read_schema(data: bytes, path: str) -> object | Fault:
    """Like `read`, for JSON Schemas: names may differ only in case, and bounds may lie beyond int64.

    They describe names and numbers of documents; the documents are read strictly.
    """
    tree = _parse(data, path, _Tokens(exact=True, folding=False), most=_MOST_OF_A_SCHEMA)
    return _not_too_deep(tree, data, path)


def read_exactly(data: bytes, path: str) -> object | Fault:
    """Like `read`, for artifacts: `-0` becomes MinusZero, and integers may be as large as the largest double.

    The artifact type decides what the numbers mean. Only the interpreter limits the nesting: a caller that keeps
    unknown members must check their depth.
    """
    return _parse(data, path, _Tokens(exact=True), most=_MOST_OF_AN_ARTIFACT)


def _not_too_deep(tree: object, data: bytes, path: str) -> object | Fault:
    # A document cannot nest deeper than its number of brackets, and most small documents have few.
    if isinstance(tree, Fault) or data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return tree
    return next((bad_json(path, says) for says in _too_deep(tree)), tree)


def bad_json(path: str, says: str) -> Fault:
    return Fault(path, "bad-json", says)


def is_int64(value: int) -> bool:
    return -(2**63) <= value < 2**63


def place(trail: Trail) -> str:
    """`trail` as a JSON path: `$.items[3].count`."""
    steps: list[str] = []
    while trail:
        trail, step = trail
        if isinstance(step, int):
            steps.append(f"[{step}]")
        else:
            steps.append(f".{step}" if _plain_name.fullmatch(step) else f"[{shown(step)}]")
    text = "$" + "".join(reversed(steps))
    return text if len(text) <= 200 else f"{text[:120]}...{text[-60:]}"


def shown(value: object) -> str:
    """`value` as JSON in ASCII, cut to 80 characters."""
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def folded(name: str) -> str:
    """The same text for all names that a reader may take for one, because it ignores case or normalises."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _parse(data: bytes, path: str, tokens: _Tokens, *, most: int = _MOST_VALUES) -> object | Fault:
    if len(data) > most and data.count(b",") + data.count(b"[") + data.count(b"{") > most:
        return bad_json(path, f"$: more than {most:,} values; split the document")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if other := recognised(data):
            return bad_json(path, f"line 1 column 1: {other}")
        where = _line_and_column(data, error.start)
        return bad_json(path, f"{where}: byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8")
    if text.startswith("\ufeff"):
        return bad_json(path, "line 1 column 1: begins with a byte order mark; save it as UTF-8 without one")
    try:
        tree: object = tokens.decoder().decode(text)
    except json.JSONDecodeError as error:
        if other := recognised(data):
            return bad_json(path, f"line 1 column 1: {other}")
        return bad_json(path, f"line {error.lineno} column {error.colno}: {_reason(error)}")
    except RecursionError:
        return bad_json(path, f"$: {TOO_DEEP}")
    if tokens.flawed or _surrogate_escape.search(text):
        return next((bad_json(path, says) for says in _flaws(tree)), tree)
    return tree


def _is_unambiguous(names: tuple[str, ...]) -> bool:
    return len({folded(name) for name in names}) == len(names)


_is_known_unambiguous = lru_cache(maxsize=1024)(_is_unambiguous)


class _Tokens:
    """The decoder's hooks, and whether any of them refused something."""

    def __init__(self, *, exact: bool, folding: bool = True) -> None:
        self.flawed = False
        self.has_double = False
        self._exact = exact
        self._folding = folding

    def decoder(self) -> json.JSONDecoder:
        return json.JSONDecoder(
            object_pairs_hook=self._object, parse_float=self._double, parse_int=self._integer, parse_constant=self._word
        )

    def _object(self, pairs: list[tuple[str, object]]) -> object:
        members = dict(pairs)
        names = tuple(members)
        # All rows have the same names, so the answer is cached. Maps keyed by ids would only fill the cache.
        is_unambiguous = _is_known_unambiguous if len(names) <= 16 else _is_unambiguous
        if len(names) == len(pairs) and (not self._folding or is_unambiguous(names)):
            return members
        return self._flaw(_clash([name for name, _ in pairs], folded if self._folding else str))

    def _integer(self, digits: str) -> object:
        if digits == "-0":
            return MinusZero() if self._exact else 0
        # Python refuses very long numbers with an exception that does not say the place.
        if len(digits) > 20:
            if self._exact and not math.isinf(float(digits)):
                return int(digits)
            return self._flaw(_overflow(digits) if self._exact else _outside_int64(digits))
        value = int(digits)
        return value if self._exact or is_int64(value) else self._flaw(_outside_int64(digits))

    def _double(self, digits: str) -> object:
        self.has_double = True
        value = float(digits)
        return self._flaw(_overflow(digits)) if math.isinf(value) else value

    def _word(self, word: str) -> object:
        return self._flaw(f"{word} is not JSON; write a finite number or null")

    def _flaw(self, says: str) -> _Flaw:
        self.flawed = True
        return _Flaw(says)


def _overflow(digits: str) -> str:
    return f"{_cut(digits)} is larger than any double; write a finite number"


def _outside_int64(digits: str) -> str:
    return f"{_cut(digits)} is outside the range of 64-bit integers; write a smaller number or a string"


def _cut(digits: str) -> str:
    return digits if len(digits) <= 40 else f"{digits[:37]}..."


def _clash(names: Iterable[str], look: Callable[[str], str]) -> str:
    """What is wrong with `names`, two of which `look` alike."""
    first: dict[str, str] = {}
    for name in names:
        key = look(name)
        if key in first:
            break
        first[key] = name
    if first[key] == name:
        return f"the member {shown(name)} appears twice; keep one"
    return f"the members {shown(first[key])} and {shown(name)} are the same to readers that ignore case; keep one"


def _flaws(tree: object) -> Iterator[str]:
    for trail, value in _walk(tree):
        if isinstance(value, _Flaw):
            yield f"{place(trail)}: {value.says}"
        for text in value if isinstance(value, dict) else (value,):
            if isinstance(text, str) and _lone_surrogate.search(text):
                yield f"{place(trail)}: {shown(text)} has half a surrogate pair; write the whole character"


def _too_deep(tree: object) -> Iterator[str]:
    for trail, value in _walk(tree):
        depth, rest = 1, trail
        while rest:
            depth, rest = depth + 1, rest[0]
        if depth > MAX_DEPTH and isinstance(value, dict | list):
            yield f"{place(trail)}: {TOO_DEEP}"


def _walk(tree: object) -> Iterator[tuple[Trail, object]]:
    """Every value in document order, without recursion."""
    stack: list[Iterator[tuple[Trail, object]]] = [iter([((), tree)])]
    while stack:
        for trail, value in stack[-1]:
            yield trail, value
            if isinstance(value, dict | list):
                stack.append(_children(trail, value))
                break
        else:
            stack.pop()


def _children(trail: Trail, value: dict[str, object] | list[object]) -> Iterator[tuple[Trail, object]]:
    for step, child in value.items() if isinstance(value, dict) else enumerate(value):
        yield (trail, step), child


def _reason(error: json.JSONDecodeError) -> str:
    """What the parser found, or the likely cause where the parser names only a symptom."""
    if not error.doc.strip():
        return "the file is empty; write one JSON document"
    if error.msg == "Extra data":
        return "more data follows the document; keep one document"
    if error.msg.startswith("Invalid control character"):
        return "a string has a raw control character; write it as an escape such as \\n"
    if error.msg.startswith("Unterminated string") or error.pos >= len(error.doc.rstrip()):
        return f"the document ends too early ({error.msg}), as if it was cut off"
    return f"not JSON ({error.msg}); fix the syntax"


def _line_and_column(data: bytes, offset: int) -> str:
    *lines, last = data[:offset].decode().split("\n")
    return f"line {len(lines) + 1} column {len(last) + 1}"
