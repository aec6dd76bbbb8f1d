"""Limits: the values of guardrails in `[policy]` of pointsman.toml, and the readers of each kind of value."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from pointsman.errors import Problem
from pointsman.state.names import is_name
from pointsman.state.times import duration


class Jump(Struct, frozen=True):
    """The factors by which a size may shrink and grow."""

    shrink: float
    grow: float

    def __str__(self) -> str:
        return f"{self.shrink:g} times smaller, {self.grow:g} times larger"


class Age(Struct, frozen=True):
    """The greatest age allowed: in seconds, and as the settings write it."""

    seconds: int
    text: str

    def __str__(self) -> str:
        return self.text


# False: off. True: on, for guardrails that have no number.
Limit: TypeAlias = bool | int | float | Jump | Age | tuple[str, ...]


def is_on(limit: Limit) -> bool:
    """Whether a guardrail is in force."""
    return limit is not False and limit != ()


def number(limit: Limit) -> float:
    """The number in a limit. Only for limits that are numbers."""
    assert isinstance(limit, int | float)
    return limit


# Readers. `name` says in messages which setting it is. Each reader raises Problem for a wrong value.


def on_or_off(value: object, name: str) -> Limit:
    """The value true."""
    if value is not True:
        raise Problem(f"{name} must be true or false, not {value!r}")
    return True


def share(value: object, name: str) -> Limit:
    """A number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise Problem(f"{name} must be a share between 0 and 1, or false, not {value!r}")
    return float(value)


def floor(value: object, name: str) -> Limit:
    """A share that must be reached; 0 means off."""
    return share(value, name) or False


def whole_number(what: str) -> Callable[[object, str], Limit]:
    """A reader of whole numbers of `what` above 0."""

    def read(value: object, name: str) -> Limit:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise Problem(f"{name} must be a whole number of {what} above 0, or false, not {value!r}")
        return value

    return read


def age(value: object, name: str) -> Limit:
    """An age such as "36h"."""
    seconds = duration(value) if isinstance(value, str) else None
    if seconds is None or not isinstance(value, str):
        raise Problem(f'{name} must be an age such as "3d", "36h" or "2w", or false, not {value!r}')
    return Age(seconds, value)


def types(value: object, name: str) -> Limit:
    """A list of artifact types; an empty list means off."""
    if not isinstance(value, list) or not all(isinstance(each, str) and is_name(each) for each in value):
        raise Problem(f'{name} must be a list of artifact types such as ["popularity"], not {value!r}')
    return tuple(value)
