"""Paths of a manifest repository: what belongs where, and which names a file system takes for the same."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterator

from pointsman.errors import Problem
from pointsman.patterns import pattern
from pointsman.state.documents import HOLD_ON_ALL
from pointsman.state.names import Target, is_name, is_version

STATE_ROOTS = ("manifests", "registry", "holds", "approvals")
READMES = ("manifests/README.md", "registry/README.md")
SIGNED = ("evidence", "approval")  # kinds of paths that hold a signed file
DOCUMENTS = ("manifest", "record", "tombstone", "hold", *SIGNED)  # kinds of paths that hold a state document


_EVIDENCE = pattern(r"evidence\.[0-9a-f]{12}\.json")
_APPROVAL = pattern(r"[0-9a-f]{64}\.[0-9a-f]{16}\.json")


def path_kind(path: str) -> str:
    """What belongs at a path: one of DOCUMENTS, schema, readme, other (not state) or bad (no place for state)."""
    parts = path.split("/")
    if parts[0] not in STATE_ROOTS:
        return "other"
    if path in READMES:
        return "readme"
    if path == HOLD_ON_ALL:
        return "hold"
    match parts:
        case ["manifests", tenant, surface, "manifest.json"] if is_target(tenant, surface):
            return "manifest"
        case ["registry", "schemas", name] if name.endswith(".schema.json") and is_name(name[: -len(".schema.json")]):
            return "schema"
        case ["holds", tenant, name] if name.endswith(".json") and is_target(tenant, name[: -len(".json")]):
            return "bad" if tenant == "all.json" else "hold"  # a directory there would hide the hold on everything
        case ["registry", tenant, surface, slot, name] if is_target(tenant, surface) and is_name(slot):
            version, _, ending = name.partition(".")
            kinds = {"json": "record", "retired.json": "tombstone"}
            kind = "evidence" if _EVIDENCE.fullmatch(ending) else kinds.get(ending, "bad")
            return kind if is_version(version) else "bad"
        case ["approvals", name] if _APPROVAL.fullmatch(name):
            return "approval"
    return "bad"


def is_target(tenant: str, surface: str) -> bool:
    """Whether two names make a target."""
    try:
        Target(tenant, surface)
    except Problem:
        return False
    return True


def target_of(path: str) -> Target:
    """The target of a path that is a manifest, a record, a tombstone or evidence."""
    return Target(*path.split("/")[1:3])


def folded(name: str) -> str:
    """The same text for all names that a file system may take for one: it ignores case and Unicode normal forms."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def prefixes(path: str) -> Iterator[str]:
    """Every directory of a path, outermost first, then the path itself."""
    return itertools.accumulate(path.split("/"), lambda directory, name: f"{directory}/{name}")
