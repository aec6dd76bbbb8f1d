"""What a command ends with: a value, which `--json` prints as a document, and the exit code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from inspect import get_annotations
from typing import Any, Generic, TypeVar

from msgspec import NODEFAULT, Struct

Value_co = TypeVar("Value_co", covariant=True)
_PLAIN, _LISTS = (str, int, float, type(None)), (list, tuple)


class Outcome(Struct, Generic[Value_co], frozen=True):
    """The value of one command and its exit code."""

    value: Value_co
    exit_code: int = 0
    notes: tuple[str, ...] = ()  # one line each, for a person, on stderr

    @property
    def document(self) -> Mapping[str, Any]:
        """The value as `--json` prints it; its shape: `schemas/output/<command>.schema.json`."""
        document: Mapping[str, Any] = as_document(self.value)
        return document

    def members(self) -> Iterator[tuple[str, Any]]:
        """The members of that document; a sequence that makes its own when they are looked at is an iterator."""
        for name, each in _members(self.value):
            is_made = isinstance(each, Sequence) and not isinstance(each, (*_LISTS, str))
            yield name, map(as_document, each) if is_made else as_document(each)


@cache
def members(kind: Any) -> Mapping[str, Any]:
    """The members of a kind of struct in their order, its base's first, each with its default, or NODEFAULT."""
    fields, defaults = kind.__struct_fields__, kind.__struct_defaults__
    found = dict.fromkeys(fields, NODEFAULT) | dict(zip(fields[len(fields) - len(defaults) :], defaults, strict=True))
    names = (name for base in reversed(kind.__mro__) for name in get_annotations(base))
    return {name: found[name] for name in dict.fromkeys(names) if name in found}


def exit_of_many(codes: Iterable[int]) -> int:
    """The exit code of a command that went on after the trouble of one, from the code of each: 5 if some are done."""
    found = set(codes)
    return found.pop() if len(found) == 1 else 5 if 0 in found else max(found, default=0)


def as_document(value: object) -> Any:
    """A value as JSON has it: a struct is an object with its members in their order.

    A member that is None by default is left out where it is None. A name that Python keeps for itself ends in "_",
    which goes: `from_` is "from".
    """
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, _LISTS):
        return [as_document(each) for each in value]
    if isinstance(value, Mapping):
        return {key: as_document(each) for key, each in value.items()}
    if isinstance(value, Sequence):  # one that makes its members when they are looked at
        return [as_document(each) for each in value]
    return {name: as_document(each) for name, each in _members(value)}


def _members(value: object) -> Iterator[tuple[str, Any]]:
    kind: Any = type(value)
    found = ((name, getattr(value, name), default) for name, default in members(kind).items())
    return ((name.removesuffix("_"), each) for name, each, default in found if each is not None or default is not None)
