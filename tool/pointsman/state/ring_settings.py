"""`[[ring]]` of `pointsman.toml`: the rings, in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pointsman.errors import Problem
from pointsman.state.names import Pattern
from pointsman.state.place import Place
from pointsman.state.ring import Ring
from pointsman.state.suggest import did_you_mean
from pointsman.state.times import duration
from pointsman.state.url_settings import ACCESS_KEYS

PLACE_KEYS = ("name", "serving", "invalidate", "instance_ttl", "frozen_after", "store", *ACCESS_KEYS)
RING_KEYS = (*PLACE_KEYS, "after", "checks", "targets")

_ONE_TAKES_IT = "one ring, the one that has no serving of its own, reads the pointers of [serving]"


def ring_places(given: Any, serving: Any, where: str) -> list[dict[str, Any]]:
    """The tables of `[[ring]]` as `[[serving]]` would have their places. `serving`: what `[serving]` has.

    Problem if it cannot be told which pointers each of them has.
    """
    if isinstance(serving, list):
        says = "each [[ring]] is a place that serving reads: give each of [[serving]] a [[ring]] with serving"
        raise Problem(f"{where}: [[serving]] and [[ring]] do not go together: {says}, and take [[serving]] out")
    without = [str(table.get("name", "?")) for table in given if "serving" not in table]
    if len(without) > 1:
        says = f"{' and '.join(without)} have no serving, and {_ONE_TAKES_IT}"
        raise Problem(f"{where}: [[ring]]: {says}: give the others serving, the URL of their pointers")
    if serving and not without:
        raise Problem(f"{where}: every [[ring]] has its own serving, so nobody reads [serving]: take [serving] out")
    return [_as_place(table, serving) for table in given]


def _as_place(table: Mapping[str, Any], serving: Mapping[str, Any]) -> dict[str, Any]:
    own = {key: table[key] for key in PLACE_KEYS if key in table and key != "serving"}
    if "serving" in table:
        return {**own, "manifest": table["serving"]}
    return {"manifest": None, **serving, **own}


def read_rings(given: Any, places: Sequence[Place], checks: Mapping[str, Any], where: str) -> tuple[Ring, ...]:
    """The rings of these tables and places. `checks`: `[check.*]` by name."""
    rings = []
    for number, (table, place) in enumerate(zip(given, places, strict=True)):
        ring = Ring(place, _after(table, where), _checks(table, checks, where), _targets(table, where))
        if not number and (ring.after or ring.checks):
            says = f"{place.name} is the first ring and follows main: it waits for no time and no check"
            raise Problem(f"{where}: [[ring]] {place.name}: {says}; give them to the ring after it")
        rings.append(ring)
    if unused := [name for name in checks if all(name not in ring.checks for ring in rings)]:
        says = f'no [[ring]] has it in its checks: add it to one, as checks = ["{unused[0]}"], or take it out'
        raise Problem(f"{where}: [check.{unused[0]}]: {says}")
    return tuple(rings)


def _after(table: Mapping[str, Any], where: str) -> int:
    value = table.get("after")
    seconds = duration(value) if isinstance(value, str) else None
    if value is not None and seconds is None:
        says = f'must be a time such as "90m", "2h" or "1d", not {value!r}'
        raise Problem(f"{where}: [[ring]] {table['name']} after {says}")
    return seconds or 0


def _checks(table: Mapping[str, Any], checks: Mapping[str, Any], where: str) -> tuple[str, ...]:
    value = table.get("checks", [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise Problem(f"{where}: [[ring]] {table['name']} checks must be a list of names, not {value!r}")
    for name in value:
        if name not in checks:
            nearest = did_you_mean(name, checks) if checks else ": there is no [check.*] yet"
            raise Problem(f"{where}: [[ring]] {table['name']} checks: there is no [check.{name}]{nearest}")
    return tuple(dict.fromkeys(value))


def _targets(table: Mapping[str, Any], where: str) -> tuple[Pattern, ...]:
    value = table.get("targets", ["*/*"])
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        says = f'must be a list of targets and patterns such as ["grocer/*"], not {value!r}'
        raise Problem(f"{where}: [[ring]] {table['name']} targets {says}")
    try:
        return tuple(map(Pattern.parse, value)) if "targets" in table else ()
    except Problem as error:
        raise Problem(f"{where}: [[ring]] {table['name']} targets: {error}") from error
