"""Documents that others wrote, read as their own reader reads them: Go's encoding/json, in recsys-service.

What Pointsman writes and judges is read by `documents`, which refuses all that two readers could take for two things.
Here one reader is meant, and only what it makes of the bytes counts. Go takes any order, white space, members that it
does not know, a name in any case, the last of two equal names, and any RFC 3339 time. It merges maps that come twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, TypeAlias

from msgspec import Struct

from pointsman.errors import Fault
from pointsman.patterns import pattern
from pointsman.state.documents import version_in
from pointsman.state.names import Target
from pointsman.state.other_forms import recognised
from pointsman.state.strict_json import shown
from pointsman.state.times import rfc3339_instant

_SURROGATES = pattern("[\ud800-\udfff]")
_TIME = pattern(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})T(?P<hour>[0-9]{1,2})(?P<rest>:[0-9]{2}:[0-9]{2})([.,][0-9]+)?"
    r"(Z|[+-](?P<ahead>[0-9]{2}):(?P<minutes>[0-9]{2}))"
)

Pairs: TypeAlias = "list[tuple[str, object]]"


class Unread(Exception):
    """Go refuses this document; `rule` and the text say why."""

    def __init__(self, says: str, rule: str = "schema") -> None:
        super().__init__(says)
        self.rule = rule


class _Number(Struct, frozen=True):
    token: str


class Object(Struct, frozen=True):
    """A JSON object with all its members in their order, the equal ones, too."""

    pairs: Pairs

    def text(self, name: str) -> str:
        """The text of a member as Go's struct has it, "" without one. Unread if it is something else."""
        found = ""
        for value in self.values(name):
            if isinstance(value, str):
                found = value
            elif value is not None:
                raise Unread(f"{name} is not a text")
        return found

    def struct(self, name: str) -> Object:
        """A member that is a struct or a map: Go fills it with all that have this name, and null empties it."""
        merged: Pairs = []
        for value in self.values(name):
            if not isinstance(value, Object | None):
                raise Unread(f"{name} is not an object")
            merged = [*merged, *value.pairs] if value is not None else []
        return Object(merged)

    def values(self, name: str) -> Iterator[object]:
        """The values that Go puts into the member of a struct, one after the other."""
        return (value for key, value in self.pairs if key == name or key.casefold() == name.casefold())

    def texts(self) -> dict[str, str]:
        """As a map from text to text; here the case of names counts."""
        if not all(value is None or isinstance(value, str) for _, value in self.pairs):
            raise Unread("a value is not a text")
        return {key: value if isinstance(value, str) else "" for key, value in self.pairs}


class Pointer(Struct, frozen=True, dict=True):
    """A pointer as recsys-service reads it: type → URI, whatever the URI is."""

    current: Mapping[str, str]
    updated_at: str

    @cached_property
    def versions(self) -> dict[str, str]:
        """Type → version, for each URI that ends in one."""
        found = ((slot, version_in(uri)) for slot, uri in self.current.items())
        return {slot: version for slot, version in found if version is not None}


def read_pointer(data: bytes, target: Target, path: str) -> Pointer | Fault:
    """What recsys-service reads in the place of a target's pointer, or why it loads nothing from there."""
    try:
        document = read_object(data)
        tokens = [value for value in document.values("v") if value is not None]
        if not all(isinstance(value, _Number) and re.fullmatch(r"-?[0-9]+", value.token) for value in tokens):
            raise Unread("v is not an integer")
        if not tokens or tokens[-1] != _Number("1"):
            raise Unread("v is not 1")
        for name, wanted in (("tenant", target.tenant), ("surface", target.surface)):
            if (here := document.text(name)) != wanted:
                raise Unread(f"its {name} is {shown(here)}, but its place says {shown(wanted)}", "wrong-place")
        updated_at = document.text("updated_at")
        if updated_at and not is_time(updated_at):
            raise Unread("updated_at is not a time of RFC 3339")
        return Pointer(document.struct("current").texts(), updated_at)
    except Unread as unread:
        return Fault(path, unread.rule, str(unread))


def read_object(data: bytes) -> Object:
    """The object in `data`. Unread if it is no JSON to Go, or no object."""
    try:
        document = _decoder.decode(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        if other := recognised(data):
            raise Unread(other, "bad-json") from error
        where = f" at line {error.lineno} column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise Unread(f"it is not JSON{where}", "bad-json") from error
    if not isinstance(document, Object):
        raise Unread("it is not an object")
    return document


def is_time(text: str) -> bool:
    """Whether Go parses `text` with its layout time.RFC3339: an hour of one digit and a comma are fine, too."""
    found = _TIME.fullmatch(text)
    if found is None or int(found["ahead"] or 0) > 24 or int(found["minutes"] or 0) > 60:
        return False
    # Go knows the year 0000, Python does not. 2000 is a leap year as well.
    day = found["day"].replace("0000", "2000", 1) if found["day"].startswith("0000") else found["day"]
    return rfc3339_instant(f"{day}T{found['hour']:0>2}{found['rest']}Z") is not None


def _object(pairs: list[tuple[str, Any]]) -> Object:
    return Object([(_text(key), _text(value) if isinstance(value, str) else value) for key, value in pairs])


def _text(text: str) -> str:
    """A text without lone surrogates: Go puts U+FFFD into their place."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_int=_Number, parse_float=_Number, parse_constant=_constant)
