"""Evidence as an in-toto Statement v1: which versions it is about, what it is called, and what was found.

The format: in-toto/attestation, spec/v1/statement.md. A subject's name is `tenant/surface/type`, its SHA-256 is the
version. The predicate's type ends in the name of the evidence.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from pointsman.errors import Fault, Problem
from pointsman.state import strict_json
from pointsman.state.names import Target, is_name, is_version

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_MEMBERS = ("_type", "subject", "predicateType", "predicate")
PREDICATE_TYPE = "urn:pointsman:evidence:"  # and its name

# A version: its target, its artifact type, and its hash.
Subject = tuple[Target, str, str]


class Statement(Struct, frozen=True):
    """What somebody found out about some versions. `name`: of the evidence, such as offline-eval."""

    name: str
    subjects: tuple[Subject, ...]
    predicate: Mapping[str, Any]

    def render(self) -> bytes:
        """The bytes that are signed."""
        subjects = [
            {"name": f"{target}/{slot}", "digest": {"sha256": version}} for target, slot, version in self.subjects
        ]
        document = {
            "_type": STATEMENT_TYPE,
            "subject": subjects,
            "predicateType": PREDICATE_TYPE + self.name,
            "predicate": self.predicate,
        }
        return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()

    def meets(self, where: Mapping[str, Any]) -> bool:
        """Whether the predicate has all these members with these values; a table asks for members of a member."""
        return _has(self.predicate, where)


def read_statement(data: bytes, path: str) -> Statement | Fault:
    """The statement in a payload. `path` is used only in the fault."""
    found = strict_json.read(data, path)
    if isinstance(found, Fault):
        return found
    match found:
        case {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [*subjects],
            "predicateType": str(kind),
            "predicate": dict(predicate),
        } if kind.startswith(PREDICATE_TYPE) and is_name(kind.removeprefix(PREDICATE_TYPE)):
            about = tuple(_subjects(subjects))
            if about and len(about) == len(subjects) and isinstance(found, dict) and len(found) == len(_MEMBERS):
                return Statement(kind.removeprefix(PREDICATE_TYPE), about, predicate)
    says = f"$.payload: this is no in-toto Statement v1 about versions, of the type {PREDICATE_TYPE}<name>"
    return Fault(path, "schema", says)


def _subjects(given: Iterable[object]) -> Iterable[Subject]:
    for each in given:
        match each:
            case {"name": str(name), "digest": {"sha256": str(version)}} if is_version(version):
                target, _, slot = name.rpartition("/")
                try:
                    yield (Target.parse(target), slot, version) if is_name(slot) else (Target.parse(""), slot, version)
                except Problem:
                    continue


def _has(value: object, where: Mapping[str, Any]) -> bool:
    return isinstance(value, dict) and all(
        name in value and (_has(value[name], wanted) if isinstance(wanted, dict) else _same(value[name], wanted))
        for name, wanted in where.items()
    )


def _same(value: object, wanted: object) -> bool:
    """Equal, and of one kind: true is not 1."""
    return isinstance(value, bool) == isinstance(wanted, bool) and value == wanted
