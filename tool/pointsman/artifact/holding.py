"""Which of some ids an artifact has: as an item, a neighbour, a user, or in a user's sequence.

What is asked is whether a person or a thing is in it, so nothing may be overlooked: a document that is not as its type
says is searched whole, names of members included. Tags of a built-in type are no ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from pointsman.artifact.built_in import LAYOUTS
from pointsman.artifact.schema_places import TooMuch

if TYPE_CHECKING:
    from pointsman.artifact.user_type import UserType

_FEW = 8  # up to so many ids, looking for each in the bytes costs less than decoding these


class _Window(Struct, gc=False):
    start: str
    end: str


class _Leaf(Struct, gc=False):
    item_id: str = ""


class _Row(Struct, gc=False):
    item_id: str = ""
    user_id: str = ""
    items: list[_Leaf] | None = None


class _Body(Struct, gc=False):
    items: list[_Row] | None = None
    neighbors: list[_Row] | None = None
    users: list[_Row] | None = None


class _Head(Struct, gc=False):
    window: _Window | None = None


class _Name(Struct, gc=False):
    tenant: str
    surface: str
    artifact_type: str


_body = msgspec.json.Decoder(_Body)
_head = msgspec.json.Decoder(_Head)
_anything = msgspec.json.Decoder(msgspec.Raw)


_name = msgspec.json.Decoder(_Name)


class NotRead(Exception):
    """The bytes are no JSON document, so nobody can say what is in them."""


class Held(Struct, frozen=True):
    """The ids that a document has, sorted, and its window, if it has one."""

    ids: tuple[str, ...]
    window: tuple[str, str] | None


class Search:
    """Looks for ids in one payload after another."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = frozenset(ids)
        self._tokens = [f'"{each}"'.encode() for each in self.ids] if len(self.ids) <= _FEW else None
        self._has_numbers = any(each.removeprefix("-").isdecimal() for each in self.ids)  # own types have such ids

    def look(self, artifact_type: str, data: bytes, own_type: UserType | None = None) -> Held | None:
        """What of it is in a payload; None if nothing is. NotRead if it is no document.

        Without its `own_type`, a payload of a user's type is searched whole.
        """
        try:
            found = self._found(artifact_type, data, own_type)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise NotRead from error
        return Held(tuple(sorted(found)), _window(data)) if found else None

    def _found(self, artifact_type: str, data: bytes, own_type: UserType | None) -> Set[str]:
        if (artifact_type in LAYOUTS or not self._has_numbers) and self._is_nowhere(data):
            return set()
        if artifact_type in LAYOUTS:
            try:
                return self.ids.intersection(_built_in(_body.decode(data)))
            except msgspec.ValidationError:
                pass  # it is not as its type says
        document = msgspec.json.decode(data)
        if own_type is not None and isinstance(document, dict):
            try:
                return self.ids.intersection(own_type.every_id(document))
            except TooMuch:
                pass
        return self.ids.intersection(_texts(document))

    def _is_nowhere(self, data: bytes) -> bool:
        """Whether a document has none of the ids, as can be told without decoding it.

        Without a backslash, every text in JSON stands there as it is.
        """
        if self._tokens is None or b"\\" in data or any(token in data for token in self._tokens):
            return False
        _anything.decode(data)
        data.decode()  # which msgspec leaves out where nobody asks for the text
        return True


def _built_in(body: _Body) -> Iterator[str]:
    for rows in (body.items, body.neighbors, body.users):
        for row in rows or ():
            yield row.item_id
            yield row.user_id
            for leaf in row.items or ():
                yield leaf.item_id


def _texts(document: object) -> Iterator[str]:
    """Every text and whole number in a document, names of members included."""
    left = [document]
    while left:
        value = left.pop()
        if isinstance(value, str | int):
            yield str(value)
        elif isinstance(value, dict):
            left.extend(value)
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)


def _window(data: bytes) -> tuple[str, str] | None:
    try:
        window = _head.decode(data).window
    except msgspec.ValidationError:
        return None
    return (window.start, window.end) if window is not None else None


def place_of(data: bytes) -> tuple[str, str, str] | None:
    """The tenant, the surface and the type that a payload names; None if it does not."""
    try:
        name = _name.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return name.tenant, name.surface, name.artifact_type
