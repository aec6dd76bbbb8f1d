"""`[policy]` of pointsman.toml: the limits of guardrails, for all, for a type, for a target, for a type of a target.

The narrowest table that names a guardrail decides: `[policy."grocer/home".cooc]`, `[policy."grocer/home"]`,
`[policy.types.cooc]`, `[policy]`, the default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from pointsman.errors import Problem
from pointsman.guardrails.limits import Limit
from pointsman.guardrails.table import DEFAULTS, GUARDRAILS, read_limits
from pointsman.state.names import Target, check_name
from pointsman.state.suggest import did_you_mean

TYPES = "types"  # the table in [policy] that has one for each type
_OF_MANIFEST = tuple(each.setting for each in GUARDRAILS.values() if each.of_manifest)
_OF_TYPES = tuple(name for name in DEFAULTS if name not in _OF_MANIFEST)


class Policy(Struct, frozen=True):
    """Every limit that the settings name, by the table that names it."""

    tables: Mapping[str, Mapping[str, Limit]] = field(default_factory=dict)  # "" is [policy] itself

    def limit(self, target: Target, name: str, slot: str | None = None) -> Limit:
        """The limit of a guardrail for a type of a target; without `slot`, for the target as a whole."""
        return self.source(target, name, slot)[1]

    def source(self, target: Target, name: str, slot: str | None = None) -> tuple[str | None, Limit]:
        """The table that decides, as `tables` has it (None: the default), and the limit."""
        for place in _places(target, slot):
            limit = self.tables.get(place, {}).get(name)
            if limit is not None:
                return place, limit
        return None, DEFAULTS[name]


def table_name(place: str) -> str:
    """A key of `Policy.tables` as the settings write it: [policy."grocer/home".cooc]."""
    names = (f'"{each}"' if "/" in each or "." in each else each for each in place.split("|") if each)
    return f"[{'.'.join(('policy', *names))}]"


def _places(target: Target, slot: str | None) -> Iterator[str]:
    if slot is not None:
        yield f"{target}|{slot}"
    yield str(target)
    if slot is not None:
        yield f"{TYPES}|{slot}"
    yield ""


def read_policy(table: Mapping[str, Any], where: str, others: tuple[str, ...]) -> Policy:
    """The limits in the table [policy]; Problem for what cannot be one. `others`: keys that are no guardrail's."""
    found: dict[str, Mapping[str, Any]] = {"": {}}
    for key, value in table.items():
        if key == TYPES or "/" in key:
            place = "" if key == TYPES else _target(key, where)
            inner = _table(value, table_name(key), where)
            found |= _by_type(key, inner, where)
            if place:
                found[place] = {name: each for name, each in inner.items() if name in DEFAULTS}
        elif key not in others:
            if isinstance(value, dict) and key not in DEFAULTS:
                says = f'a type is [policy.types.{key}], a target [policy."TENANT/SURFACE"]'
                raise Problem(f"{where}: unknown table [policy.{key}]: {says}")
            _refuse(key, (*DEFAULTS, *others), "[policy]", where)
            found[""] = {**found[""], key: value}
    return Policy({place: read_limits(limits, table_name(place), where) for place, limits in found.items()})


def _by_type(key: str, table: Mapping[str, Any], where: str) -> dict[str, Mapping[str, Any]]:
    """The tables of types in a table, by their places."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, value in table.items():
        if key != TYPES and name in DEFAULTS:
            continue
        place = f"{key}|{name}"
        if not isinstance(value, dict):
            known = (*DEFAULTS,) if key != TYPES else ()
            near = did_you_mean(name, known) if known else ": it has a table for each type, [policy.types.TYPE]"
            raise Problem(f"{where}: unknown key {name} in {table_name(key)}{near}")
        try:
            check_name(name, "type")
        except Problem as error:
            raise Problem(f"{where}: {table_name(place)}: {error}") from error
        for each in value:
            if each in _OF_MANIFEST:
                says = f"{each} looks at all types together: set it in [policy], or for a target"
                raise Problem(f"{where}: {table_name(place)}: {says}")
            _refuse(each, _OF_TYPES, table_name(place), where)
        found[place] = value
    return found


def _table(value: object, name: str, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Problem(f"{where}: {name} must be a table, not a value")
    return value


def _target(text: str, where: str) -> str:
    try:
        return str(Target.parse(text))
    except Problem as error:
        raise Problem(f'{where}: [policy."{text}"]: {error}') from error


def _refuse(key: str, known: tuple[str, ...], place: str, where: str) -> None:
    if key not in known:
        raise Problem(f"{where}: unknown key {key} in {place}{did_you_mean(key, known)}")
