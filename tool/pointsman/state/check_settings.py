"""`[check.<name>]` of `pointsman.toml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pointsman.errors import Problem, without_secrets
from pointsman.patterns import pattern
from pointsman.state.check import Check, check_query, placeholders_of
from pointsman.state.names import is_name
from pointsman.state.suggest import did_you_mean
from pointsman.state.times import duration

_KEYS = ("prometheus", "query", "below", "above", "for", "valid", "on_failure")
_MOST_OF_A_QUERY = 10_000  # characters
_MOST = 1e300  # of a limit
_URL = pattern(r"https?://[^/@\s?#]+(/[^@\s?#]*)?")


def read_checks(tables: Mapping[str, Any], where: str) -> dict[str, Check]:
    """The checks of these tables, by name. Problem, with the key and how to fix it, if one is wrong."""
    return {name: _check(name, table, f"{where}: [check.{name}]") for name, table in tables.items()}


def _check(name: str, table: Any, key: str) -> Check:
    if not is_name(name):
        raise Problem(f"{key}: this is no name: use letters, digits, '.', '_' and '-'")
    if not isinstance(table, dict):
        raise Problem(f"{key} must be a table")
    for each in table:
        if each not in _KEYS:
            raise Problem(f"{key}: unknown key {each}{did_you_mean(each, _KEYS)}")
    for needed, such in (
        ("prometheus", '"http://prometheus:9090"'),
        ("query", "a query in PromQL that has one value"),
        ("for", '"10m"'),
    ):
        if needed not in table:
            raise Problem(f"{key} {needed} is missing: give it, such as {needed} = {such}")
    query = _query(table["query"], key)
    limit, is_below = _limit(table, key)
    on_failure = table.get("on_failure", "stop")
    if on_failure not in ("stop", "rollback"):
        raise Problem(f'{key} on_failure must be "stop" or "rollback", not {on_failure!r}')
    if on_failure == "rollback" and (lacking := {"tenant", "surface"} - placeholders_of(query)):
        says = f"so that a target goes back for what it did itself, and {{{sorted(lacking)[0]}}} is missing"
        raise Problem(f'{key} on_failure = "rollback" needs {{tenant}} and {{surface}} in its query, {says}')
    return Check(
        name,
        _url(table["prometheus"], key),
        query,
        limit,
        is_below,
        _time(table["for"], f"{key} for"),
        _time(table.get("valid", "15m"), f"{key} valid"),
        on_failure == "rollback",
    )


def _url(value: object, key: str) -> str:
    if not isinstance(value, str) or not _URL.fullmatch(value):
        shown = without_secrets(value) if isinstance(value, str) else value
        says = "must be the URL of a server such as http://prometheus:9090, without credentials and without a query"
        raise Problem(f"{key} prometheus {says}, not {shown!r}: credentials come from POINTSMAN_PROMETHEUS_HEADERS")
    return value.rstrip("/")


def _query(value: object, key: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _MOST_OF_A_QUERY:
        raise Problem(f"{key} query must be a query in PromQL of at most {_MOST_OF_A_QUERY:,} characters")
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", value):
        raise Problem(f"{key} query has a control character: take it out")
    check_query(value, f"{key} query")
    return value


def _limit(table: Mapping[str, Any], key: str) -> tuple[float, bool]:
    """The limit, and whether values below it pass."""
    given = [name for name in ("below", "above") if name in table]
    if len(given) != 1:
        what = "has both below and above: leave one out" if given else "has no limit: give it below or above"
        raise Problem(f"{key} {what}, such as below = 0.02")
    value = table[given[0]]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MOST:
        raise Problem(f"{key} {given[0]} must be a number such as 0.02, not {value!r}")
    return float(value), given[0] == "below"


def _time(value: object, key: str) -> int:
    seconds = duration(value) if isinstance(value, str) else None
    if seconds is None:
        raise Problem(f'{key} must be a time such as "10m" or "1h", not {value!r}')
    return seconds
