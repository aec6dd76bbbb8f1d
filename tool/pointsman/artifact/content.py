"""The content of one artifact, for comparisons: rows with their leaves, or the lists and maps of a user's own type.

A stored blob is canonical and its hash was checked, so nothing is validated here. Numbers may have any size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from msgspec import Struct

from pointsman.artifact.built_in import LAYOUTS
from pointsman.artifact.decoders import decoder
from pointsman.artifact.own_content import Own

if TYPE_CHECKING:
    from pointsman.artifact.user_type import UserType


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


Content: TypeAlias = Rows | Own


def decode(artifact_type: str, data: bytes, *, leaves: bool = True, own_type: UserType | None = None) -> Content | None:
    """The content of a canonical payload; None if this version cannot read it. A user's type needs its `own_type`.

    Without `leaves`, rows of a built-in type have nothing but their ids. That takes a fraction of the time.
    """
    try:
        if artifact_type not in LAYOUTS:
            document = msgspec.json.decode(data)
            return own_type.content(document) if own_type is not None and isinstance(document, dict) else None
        layout = LAYOUTS[artifact_type]
        body = decoder(_Body if leaves else _BareBody).decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    rows = getattr(body, layout.rows) or []
    names = map(attrgetter(layout.row_id), rows)
    return Rows(artifact_type, dict(zip(names, rows, strict=True)) if leaves else dict.fromkeys(names, _NO_LEAVES))
