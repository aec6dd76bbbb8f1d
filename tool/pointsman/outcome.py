"""What a command ends with: a value, which `--json` prints as a document, and the exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Generic, TypeVar

Value_co = TypeVar("Value_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Value_co]):
    """The value of one command and its exit code."""

    value: Value_co
    exit_code: int = 0
    notes: tuple[str, ...] = ()  # one line each, for a person, on stderr

    @property
    def document(self) -> Mapping[str, Any]:
        """The value as `--json` prints it; its shape: `schemas/output/<command>.schema.json`."""
        document: Mapping[str, Any] = as_document(self.value)
        return document


def as_document(value: object) -> Any:
    """A value as JSON has it: a dataclass is an object with its members in their order.

    A member that is None by default is left out where it is None. A name that Python keeps for itself ends in "_",
    which goes: `from_` is "from".
    """
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {key: as_document(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_document(each) for each in value]
    assert is_dataclass(value)
    members = [
        (each.name.removesuffix("_"), getattr(value, each.name), each.default is not None) for each in fields(value)
    ]
    return {name: as_document(each) for name, each, required in members if required or each is not None}
