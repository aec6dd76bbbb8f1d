"""What the settings demand of those who sign: of commits, approvals, and evidence about versions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from pointsman.errors import Problem
from pointsman.patterns import pattern
from pointsman.state.names import is_name
from pointsman.state.suggest import did_you_mean
from pointsman.state.times import duration

_MOST_APPROVALS = 100
_KEYS = ("types", "signers", "where", "max_age")
_SIGNER = pattern(r"[^\s\",*?!\x00-\x1f\x7f-\x9f]+")


class EvidenceDemand(Struct, frozen=True):
    """Evidence that a ship needs about each version that it brings. An empty tuple: all of them."""

    name: str
    types: tuple[str, ...] = ()
    signers: tuple[str, ...] = ()
    where: Mapping[str, Any] = field(default_factory=dict)  # members of the predicate that must have these values
    max_age: int | None = None  # seconds

    def wants(self, slot: str) -> bool:
        """Whether it is demanded of an artifact type."""
        return not self.types or slot in self.types


def read_audit(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The fields of [audit]."""
    since, signers, signed = table.get("since", ""), table.get("allowed_signers", ""), table.get("signed", [])
    if since != "" and not (isinstance(since, str) and re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", since)):
        raise Problem(f"{where}: [audit] since must be a full commit id, as git rev-parse prints it, not {since!r}")
    if signers != "" and not _is_path(signers):
        says = 'must be the path of a file of this repository, such as "allowed_signers"'
        raise Problem(f"{where}: [audit] allowed_signers {says}, not {signers!r}")
    if not isinstance(signed, list) or not all(each == "." or _is_path(each) for each in signed):
        says = 'must be a list of files and directories of this repository, such as ["manifests/"]'
        raise Problem(f"{where}: [audit] signed {says}, not {signed!r}")
    if signed and not signers:
        raise Problem(f"{where}: [audit] signed needs allowed_signers: set it to the file that lists who may sign")
    return {"audit_since": since, "allowed_signers": signers, "signed": tuple(signed)}


def read_approvals(policy: Mapping[str, Any], audit: Mapping[str, Any], where: str) -> int:
    """How many persons must approve a change, by `[policy] approvals`."""
    value = policy.get("approvals", 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_APPROVALS:
        says = f"must be a whole number of persons from 0 to {_MOST_APPROVALS}"
        raise Problem(f"{where}: [policy] approvals {says}, not {value!r}")
    if value:
        _require_signers("[policy] approvals", audit, where)
    return value


def read_demands(table: Mapping[str, Any], audit: Mapping[str, Any], where: str) -> tuple[EvidenceDemand, ...]:
    """What each `[evidence.<name>]` demands."""
    if table:
        _require_signers(f"[evidence.{next(iter(table))}]", audit, where)
    return tuple(_demand(name, value, f"{where}: [evidence.{name}]") for name, value in sorted(table.items()))


def _require_signers(what: str, audit: Mapping[str, Any], where: str) -> None:
    if not audit.get("allowed_signers"):
        says = 'needs [audit] allowed_signers, the file of who may sign, such as "allowed_signers"'
        raise Problem(f"{where}: {what} {says}")


def _demand(name: str, table: object, where: str) -> EvidenceDemand:
    if not is_name(name):
        raise Problem(f"{where}: this is no name: use letters, digits, '.', '_' and '-'")
    if not isinstance(table, dict):
        raise Problem(f"{where} must be a table")
    for key in table:
        if key not in _KEYS:
            raise Problem(f"{where}: unknown key {key}{did_you_mean(key, _KEYS)}")
    types, signers = table.get("types", []), table.get("signers", [])
    if not isinstance(types, list) or not all(isinstance(each, str) and is_name(each) for each in types):
        raise Problem(f'{where} types must be a list of artifact types such as ["popularity"], not {types!r}')
    if not isinstance(signers, list) or not all(isinstance(each, str) and _SIGNER.fullmatch(each) for each in signers):
        raise Problem(f'{where} signers must be a list of names such as ["eval-bot@example.org"], not {signers!r}')
    wanted, age = table.get("where", {}), table.get("max_age")
    if not isinstance(wanted, dict) or not _is_plain(wanted):
        raise Problem(f'{where} where must be a table such as {{ decision = "ship" }}, not {wanted!r}')
    seconds = duration(age) if isinstance(age, str) else None
    if age is not None and seconds is None:
        raise Problem(f'{where} max_age must be a time such as "14d", not {age!r}')
    return EvidenceDemand(name, tuple(types), tuple(signers), wanted, seconds)


def _is_plain(table: Mapping[str, Any]) -> bool:
    """Whether a table has only texts, numbers, true and false, and such tables."""
    return all(
        _is_plain(value) if isinstance(value, dict) else isinstance(value, str | int | float)
        for value in table.values()
    )


def _is_path(value: object) -> bool:
    """Whether a value is the path of a file or directory in a repository, as git writes it."""
    return isinstance(value, str) and not re.search(r"^$|^/|//|(^|/)\.{1,2}(/|$)|[\x00-\x1f\x7f*?\[\\]", value)
