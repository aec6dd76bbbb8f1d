"""How what is served differs from main, as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from pointsman.report.target_state import ServedDrift
from pointsman.report.words import shown
from pointsman.values import ToldFault

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


def is_rewritten(refused: Sequence[ToldFault]) -> bool:
    """Whether main does not contain what was synced last: it was rewritten, or a replica answered late."""
    return any(fault.rule == "rewritten-history" for fault in refused)


def written(drift: ServedDrift, refused: Sequence[ToldFault]) -> str:
    """Who wrote what main never had. If main was rewritten, it may have been sync."""
    by = f" by {drift.by}" if drift.by else ""
    if is_rewritten(refused):
        return f"main as it is now never had what is served, which was written at {drift.at}{by}"
    return f"someone wrote what is served at {drift.at}{by}"


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
