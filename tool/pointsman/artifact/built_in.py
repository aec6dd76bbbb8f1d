"""The built-in artifact types, and the fast way to read them.

Most artifacts are decoded directly into structs, which need a third of the memory of dicts. `artifact.exact` reads the
others: those with a fault, and those with a spelling that structs lose. So this module reports no faults.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from operator import attrgetter
from typing import Annotated, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from pointsman.artifact import go_json
from pointsman.artifact.decoders import decoder
from pointsman.patterns import pattern

Id = Annotated[str, Meta(min_length=1)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
# An integer token stays an integer, and Go writes it alike. Beyond these bounds Go writes numbers differently.
Score = Annotated[int, Meta(ge=0, lt=2**53)] | Annotated[float, Meta(ge=0, lt=1e16)]


class Window(Struct, gc=False, forbid_unknown_fields=True):
    start: str
    end: str


class Build(Struct, gc=False, forbid_unknown_fields=True):
    built_at: str
    version: str
    source_hash: str | UnsetType = UNSET


class Counted(Struct, gc=False, forbid_unknown_fields=True):
    item_id: Id
    count: Count


class Scored(Struct, gc=False, forbid_unknown_fields=True):
    item_id: Id
    score: Score


class Row(Struct, gc=False, forbid_unknown_fields=True):
    item_id: Id
    items: list[Counted] | None


class User(Struct, gc=False, forbid_unknown_fields=True):
    user_id: Id
    items: list[Scored] | None


class Tagged(Struct, gc=False, forbid_unknown_fields=True):
    item_id: Id
    tags: list[str] | None


class _Envelope(Struct, kw_only=True, gc=False, forbid_unknown_fields=True):
    """The members before the body; a type adds its list and then `build`, in the order that is hashed."""

    v: Int64
    artifact_type: str
    tenant: str
    surface: str
    segment: str | UnsetType = UNSET
    window: Window


class Popularity(_Envelope, kw_only=True):
    items: list[Counted] | None
    build: Build


class Cooc(_Envelope, kw_only=True):
    neighbors: list[Row] | None
    build: Build


class Users(_Envelope, kw_only=True):
    users: list[User] | None
    build: Build


class ContentSim(_Envelope, kw_only=True):
    items: list[Tagged] | None
    build: Build


Document: TypeAlias = Popularity | Cooc | Users | ContentSim


class Layout(Struct, frozen=True):
    """Where a built-in type has its rows, and what a row has."""

    document: type[Document]
    rows: str
    row_id: str
    leaves: str | None
    number: str | None
    counted: tuple[str, ...]  # the names of rows, and of leaves, in summaries and limits


LAYOUTS = {
    "popularity": Layout(Popularity, "items", "item_id", None, "count", ("items",)),
    "cooc": Layout(Cooc, "neighbors", "item_id", "items", "count", ("rows", "neighbors")),
    "implicit": Layout(Users, "users", "user_id", "items", "score", ("users", "items")),
    "content_sim": Layout(ContentSim, "items", "item_id", "tags", None, ("items", "tags")),
    "session_seq": Layout(Users, "users", "user_id", "items", "score", ("users", "items")),
}


class _Head(Struct, gc=False):
    artifact_type: str


_go_head = pattern(rb'\s*\{\s*"v"\s*:\s*[0-9]+\s*,\s*"artifact_type"\s*:\s*"([^"\\]*)"')
_minus_zero = pattern(rb":[ \t\r\n]*-0[ \t\r\n,}]")
_escaped_quote = pattern(rb'\\["\\]')
_small_score = pattern(rb'"score":([0-9])(?:\.([0-9]+))?\Z')

# A string has no unescaped quote inside, so these bytes come only after a score.
_after_a_score = (b'},{"item_id"', b'}]},{"user_id"', b'}]}],"build"')


def decode(data: bytes) -> tuple[Document, Sequence[int]] | None:
    """The document and the number of leaves of each row; None if `artifact.exact` must read it."""
    try:
        layout = LAYOUTS[_artifact_type(data)]
        document = _decode(data, layout.document)
    except (KeyError, msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    leaves = leaves_per_row(document, layout)
    if _unescaped_quotes(data) != _quotes(document, layout, leaves):
        return None  # some member appears twice
    if layout.number == "score" and _minus_zero.search(data):
        return None  # the struct has lost a sign
    return document, leaves


def canonical(document: Document) -> bytes:
    """The bytes that are hashed. Changes `document`."""
    layout = LAYOUTS[document.artifact_type]
    document.build = Build("", "")
    document.segment = document.segment or UNSET
    encoded = go_json.html_safe(msgspec.json.encode(document))
    return _respell_scores(encoded) if layout.number == "score" else encoded


def _artifact_type(data: bytes) -> str:
    found = _go_head.match(data)
    return found[1].decode() if found else decoder(_Head).decode(data).artifact_type


def _decode(data: bytes, kind: type[Document]) -> Document:
    """Decode without garbage collection: it would walk a million lists repeatedly and find no cycle."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return decoder(kind).decode(data)
    finally:
        if collecting:
            gc.enable()


def leaves_per_row(document: Document, layout: Layout) -> Sequence[int]:
    rows = getattr(document, layout.rows) or ()
    if layout.leaves is None:
        return bytes(len(rows))  # zeros, an eighth of the size of a list
    return [len(leaves or ()) for leaves in map(attrgetter(layout.leaves), rows)]


def _quotes(document: Document, layout: Layout, leaves: Sequence[int]) -> int:
    """The number of quotes if every member appears once: two for each name and each string value."""
    build = document.build
    envelope = 36 + 4 * (document.segment is not UNSET) + 4 * (build.source_hash is not UNSET)
    return envelope + 6 * len(leaves) + (6 if layout.number else 2) * sum(leaves)


def _unescaped_quotes(data: bytes) -> int:
    quotes = data.count(b'"')
    if b"\\" in data and _escaped_quote.search(data):
        # Without the escaped backslashes, a backslash before a quote always escapes it.
        quotes -= data.replace(rb"\\", b"").count(rb"\"")
    return quotes


def _respell_scores(encoded: bytes) -> bytes:
    """Scores as Go writes them: 1 for 1.0, 0.000001 for 1e-6. Go and msgspec write all other scores alike."""
    if b".0}" in encoded:
        for end in _after_a_score:
            encoded = encoded.replace(b".0" + end, end)
    return _shift_small_scores(encoded)


def _shift_small_scores(encoded: bytes) -> bytes:
    """Scores without the exponent -6, which Go never writes. Searching for it is three times as fast as a regex."""
    parts: list[bytes] = []
    done = 0
    end = encoded.find(b"e-6}")
    while end >= 0:
        score = _small_score.search(encoded, end - 40, end)
        if score:
            parts += encoded[done : score.start(1)], b"0.00000", score[1], score[2] or b""
            done = end + 3
        end = encoded.find(b"e-6}", end + 4)
    return b"".join((*parts, encoded[done:])) if parts else encoded
