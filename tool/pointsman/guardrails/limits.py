"""Limits: the settings of the guardrails, `[policy]` in pointsman.toml, for all targets and for one.

Every guardrail has one key, its name with underscores; `false` switches it off. The defaults let an ordinary day pass.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pointsman.errors import Problem
from pointsman.state.names import is_name

_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DURATION = re.compile(r"([1-9][0-9]{0,5})([mhdw])")


@dataclass(frozen=True, slots=True)
class Jump:
    """By what factor a size may shrink and grow."""

    shrink: float
    grow: float

    def __str__(self) -> str:
        return f"{self.shrink:g} times smaller, {self.grow:g} times larger"


@dataclass(frozen=True, slots=True)
class Age:
    """The oldest that something may be, in seconds, and as it was written."""

    seconds: int
    text: str

    def __str__(self) -> str:
        return self.text


# False: off. True: on, for guardrails that know no more.
Limit: TypeAlias = bool | int | float | Jump | Age | tuple[str, ...]

DEFAULTS: Mapping[str, Limit] = {
    "type_dropped": True,
    "type_missing": (),
    "items_drop": 0.5,
    "items_floor": False,
    "kept_low": 0.3,
    "size_jump": Jump(3, 10),
    "too_large_to_serve": 10_000_000,  # bytes; recsys-service's default
    "window_regressed": True,
    "window_stale": False,
    "windows_differ": False,
    "segment_changed": True,
    "overlap_low": False,
}


def read_limits(table: Mapping[str, Any], place: str, where: str) -> Mapping[str, Limit]:
    """The limits in one table of settings, whose keys are known; Problem for a value that is none."""
    return {key: _limit(key, value, f"{where}: {key} in {place}") for key, value in table.items()}


def _limit(key: str, value: object, name: str) -> Limit:
    if value is False:
        return () if key == "type_missing" else False
    match key:
        case "type_dropped" | "window_regressed" | "windows_differ" | "segment_changed":
            if value is not True:
                raise Problem(f"{name} must be true or false, not {value!r}")
            return True
        case "items_drop":
            return _share(value, name)
        case "kept_low" | "overlap_low":
            return _share(value, name) or False  # nothing is under a floor of 0
        case "items_floor" | "too_large_to_serve":
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                what = "bytes" if key == "too_large_to_serve" else "items"
                raise Problem(f"{name} must be a whole number of {what} above 0, or false, not {value!r}")
            return value
        case "size_jump":
            return _jump(value, name)
        case "window_stale":
            found = _DURATION.fullmatch(value) if isinstance(value, str) else None
            if found is None:
                raise Problem(f'{name} must be an age such as "3d", "36h" or "2w", or false, not {value!r}')
            return Age(int(found[1]) * _UNITS[found[2]], found[0])
        case _:
            if not isinstance(value, list) or not all(isinstance(each, str) and is_name(each) for each in value):
                raise Problem(f'{name} must be a list of artifact types such as ["popularity"], not {value!r}')
            return tuple(value)


def _share(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise Problem(f"{name} must be a share between 0 and 1, or false, not {value!r}")
    return float(value)


def _jump(value: object, name: str) -> Jump:
    default = DEFAULTS["size_jump"]
    assert isinstance(default, Jump)
    says = f"{name} must be like {{ shrink = {default.shrink:g}, grow = {default.grow:g} }}, or false, not {value!r}"
    if not isinstance(value, dict) or not value or not value.keys() <= {"shrink", "grow"}:
        raise Problem(says)
    for factor in value.values():
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 <= factor < 1e9:
            raise Problem(f"{says}: a factor is a number from 1 on")
    return Jump(float(value.get("shrink", default.shrink)), float(value.get("grow", default.grow)))
