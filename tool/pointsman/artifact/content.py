"""The content of one artifact, for comparisons: rows with their leaves, or the lists of a user's own type.

A stored blob is canonical and its hash was checked, so nothing is validated here. Numbers may have any size.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TypeAlias

import msgspec
from msgspec import Struct

from pointsman.artifact.built_in import LAYOUTS

_ID_NAMES = ("item_id", "user_id", "id")  # the member that is an object's id in a user's own type


class Leaf(Struct, gc=False):
    item_id: str
    count: int = 0
    score: float = 0


class Row(Struct, gc=False):
    item_id: str = ""
    user_id: str = ""
    count: int = 0
    items: list[Leaf] | None = None
    tags: list[str] | None = None


class _Body(Struct):
    items: list[Row] | None = None
    neighbors: list[Row] | None = None
    users: list[Row] | None = None


class _BareRow(Struct, gc=False):
    item_id: str = ""
    user_id: str = ""


class _BareBody(Struct):
    items: list[_BareRow] | None = None
    neighbors: list[_BareRow] | None = None
    users: list[_BareRow] | None = None


_NO_LEAVES = Row()


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a built-in type by id, in the order of the document."""

    type: str
    rows: Mapping[str, Row]
    _ranking: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def ranking(self) -> Sequence[str]:
        """All ids, the highest count first, equal counts by id. Sorted once."""
        if not self._ranking:
            self._ranking.extend(sorted(sorted(self.rows), key=lambda each: self.rows[each].count, reverse=True))
        return self._ranking


@dataclass(frozen=True, slots=True)
class Lists:
    """The top-level lists of a user's own type: the length of each, and its ids if its elements have ids."""

    type: str
    sizes: Mapping[str, int]
    ids: Mapping[str, Sequence[str]] = field(default_factory=dict)


Content: TypeAlias = Rows | Lists


def decode(artifact_type: str, data: bytes, *, leaves: bool = True) -> Content | None:
    """The content of a canonical payload; None if this version cannot read it.

    Without `leaves`, rows of a built-in type have nothing but their ids. That takes a fraction of the time.
    """
    try:
        if artifact_type not in LAYOUTS:
            return _lists(artifact_type, msgspec.json.decode(data))
        layout = LAYOUTS[artifact_type]
        body = _decoder(_Body if leaves else _BareBody).decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    rows = getattr(body, layout.rows) or []
    names = map(attrgetter(layout.row_id), rows)
    return Rows(artifact_type, dict(zip(names, rows, strict=True)) if leaves else dict.fromkeys(names, _NO_LEAVES))


@functools.cache
def _decoder(kind: type[Struct]) -> msgspec.json.Decoder[Struct]:
    return msgspec.json.Decoder(kind)


def _lists(artifact_type: str, document: object) -> Lists | None:
    if not isinstance(document, dict):
        return None
    lists = {name: value for name, value in document.items() if isinstance(value, list)}
    ids = {name: found for name, value in lists.items() if (found := _ids(value))}
    return Lists(artifact_type, {name: len(value) for name, value in lists.items()}, ids)


def _ids(elements: Sequence[object]) -> list[str]:
    """The ids of a list's elements: strings themselves, or one member of objects. Empty unless all have one."""
    if all(isinstance(element, str) for element in elements):
        return [str(element) for element in elements]
    for name in _ID_NAMES:
        if all(isinstance(element, dict) and isinstance(element.get(name), str) for element in elements):
            return [str(element[name]) for element in elements if isinstance(element, dict)]
    return []
