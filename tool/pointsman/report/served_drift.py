"""How what is served differs from main, as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from pointsman.report.words import shown

_DIGITS = 12  # of a version
_CHARACTERS = 300  # of a URI

_Pairs = Mapping[str, tuple[str | None, str | None]]


class Difference(Protocol):
    """What sync and status tell of a pointer that main never had."""

    @property
    def readable(self) -> bool: ...
    @property
    def says(self) -> str: ...
    @property
    def changes(self) -> _Pairs: ...
    @property
    def uris(self) -> _Pairs: ...


def lines(drift: Difference, tense: str) -> Iterator[str]:
    """One line for each type that differs, by versions where these tell it, else by URIs. `tense`: "is" or "was"."""
    if not drift.readable:
        yield f"it cannot be read as a manifest: {shown(drift.says, _CHARACTERS)}"
    elif not drift.uris:
        yield "it points to the same blobs: only updated_at or the form differs"
    for slot, (uri, served_uri) in drift.uris.items():
        mine, served = drift.changes.get(slot, (None, None))
        if mine == served or (served is None and served_uri is not None):
            here, there = (shown(each, _CHARACTERS) if each else "nothing" for each in (uri, served_uri))
        else:
            here, there = (each[:_DIGITS] if each else "nothing" for each in (mine, served))
        yield f"{shown(slot)}: main has {here}, served {tense} {there}"
