"""What a command ends with: the document that `--json` prints, and the exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pointsman.errors import Fault


@dataclass(frozen=True, slots=True)
class Outcome:
    """The document of one command (its shape: `schemas/output/<command>.schema.json`) and its exit code."""

    document: Mapping[str, Any]
    exit_code: int = 0
    notes: tuple[str, ...] = ()  # one line each, for a person, on stderr


def fault_line(fault: Mapping[str, Any]) -> str:
    """A fault of a document as people read it."""
    return str(Fault(fault["path"], fault["rule"], fault["says"]))


def told(fault: Fault, *, accepted: bool | None = None) -> dict[str, Any]:
    """A fault as documents have it."""
    document: dict[str, Any] = {"rule": fault.rule, "path": fault.path, "says": fault.says}
    return document if accepted is None else {**document, "accepted": accepted}
