"""What recsys-eval decided about artifacts, as evidence: aggregates alone, because evidence stands for ever.

Formats: recsys-eval, `internal/domain/report/model.go` (`artifacts`: what was measured, each with the SHA-256 of its
bytes, which is its version here) and `internal/domain/decision/model.go` (decision: `ship`, `hold` or `fail`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pointsman.errors import Fault, Problem
from pointsman.state import strict_json
from pointsman.state.names import Target, is_name, is_version
from pointsman.state.statement import Statement, Subject

DECISIONS = ("ship", "hold", "fail")
_MOST_METRICS = 100
# Of a decision: what a reader wants to know, and what has no ids of users in it.
_TEXTS = ("decision", "reason", "control_variant", "candidate_variant")
_FIGURES = ("name", "metric", "value", "delta", "relative_delta", "before", "after", "max_drop", "passed", "threshold")
_LISTS = ("primary_metrics", "guardrails")


def statement_of(name: str, report: bytes, decision: bytes) -> Statement:
    """The statement about all artifacts that a report measured. Problem for documents of another kind."""
    measured, decided = _object(report, "report"), _object(decision, "decision")
    if decided.get("decision") not in DECISIONS:
        raise Problem(f"the decision says {decided.get('decision')!r}: recsys-eval decides {', '.join(DECISIONS)}")
    predicate: dict[str, Any] = {key: decided[key] for key in _TEXTS if isinstance(decided.get(key), str)}
    predicate |= {key: _figures(decided.get(key)) for key in _LISTS if decided.get(key)}
    predicate["report"] = {
        "sha256": hashlib.sha256(report).hexdigest(),
        **{
            key: measured[key]
            for key in ("run_id", "mode", "created_at", "version")
            if isinstance(measured.get(key), str)
        },
        "metrics": _figures(_inner(measured, "offline").get("metrics")),
        "gates": _figures(measured.get("gates")),
    }
    return Statement(name, _subjects(_inner(measured, "artifacts")), predicate)


def _object(data: bytes, what: str) -> Mapping[str, Any]:
    found = strict_json.read(data, what)
    if isinstance(found, Fault):
        raise Problem(f"the {what} cannot be read: {found.says}")
    if not isinstance(found, dict):
        raise Problem(f"the {what} is no JSON object: name the file that recsys-eval wrote")
    return found


def _inner(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _subjects(provenance: Mapping[str, Any]) -> tuple[Subject, ...]:
    artifacts = provenance.get("artifacts")
    if not isinstance(artifacts, list) or not artifacts:
        raise Problem(
            "the report names no artifacts: tell recsys-eval the manifest of what it measures, so that it says which"
        )
    target = Target(str(provenance.get("tenant", "")), str(provenance.get("surface", "")))
    found = []
    for each in artifacts:
        slot, checksum = (each.get("type"), each.get("checksum")) if isinstance(each, dict) else (None, None)
        if not isinstance(slot, str) or not is_name(slot):
            raise Problem("an artifact of the report has no type: it is no report of recsys-eval")
        if not isinstance(checksum, str) or not is_version(checksum):
            raise Problem(
                f"the report has no checksum of {slot}: recsys-eval could not fetch it, so it measured something else"
            )
        found.append((target, slot, checksum))
    return tuple(sorted(found))


def _figures(given: object) -> list[dict[str, Any]]:
    """The names and the figures of metrics, and nothing else of them."""
    rows = given if isinstance(given, list) else []
    plain = ({key: row[key] for key in _FIGURES if isinstance(row.get(key), str | int | float)} for row in rows
             if isinstance(row, dict))  # fmt: skip
    return [row for row in plain if row][:_MOST_METRICS]
