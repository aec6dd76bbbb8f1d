"""Show: one recorded version, where it is or was current, and whether its blob still stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pointsman.errors import Problem, Unreachable
from pointsman.gate.gate import Gate
from pointsman.gate.lineage import Lineage
from pointsman.history.times import CommitTimes
from pointsman.history.versions import Recorded, find_version
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.state.documents import rfc3339
from pointsman.state.objects import Commit
from pointsman.workspace import Workspace


def show(workspace: Workspace, text: str) -> Outcome[Mapping[str, Any]]:
    """The record of the version that begins with `text`; Problem if none or several do, with the nearest."""
    repo, gate = workspace.repo, workspace.gate
    main = repo.refresh()
    head, moments = Snapshot(repo, main), CommitTimes(repo, main)
    found = find_version(head, text)
    path = found.target.record_path(found.slot, found.version)
    data = head.read(path) or b""
    tombstone = head.read(found.target.tombstone_path(found.slot, found.version))
    landed = next(iter(repo.history(main, path)), None)
    document = {
        "version": found.version,
        "target": str(found.target),
        "type": found.slot,
        "record": _read(data, path),
        "recorded": _told(moments, landed) if landed is not None else None,
        "current": _periods(gate.lineage(main, found.target), moments, found),
        "retired": _read(tombstone, path) if tombstone is not None else None,
        "blob": "not asked" if workspace.offline else _blob(gate, head, found),
    }
    return Outcome(document)


def _read(data: bytes, path: str) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise Problem(f"{path} cannot be read: pointsman check --base main~1 --head main says why") from error


def _told(moments: CommitTimes, commit: Commit) -> dict[str, Any]:
    return {"commit": commit.oid, "at": rfc3339(moments.of(commit.oid)), "by": commit.author}


def _periods(lineage: Lineage, moments: CommitTimes, found: Recorded) -> list[dict[str, Any]]:
    """From and to of each time that main pointed to the version, the latest first; `to` is None for now."""
    periods: list[dict[str, Any]] = []
    later: Commit | None = None
    inside = False
    for step in lineage:
        had = step.versions.get(found.slot) == found.version
        if had and not inside:
            periods.append({"from": None, "to": _told(moments, later) if later is not None else None})
        if had:
            periods[-1]["from"] = _told(moments, step.commit)
        inside, later = had, step.commit
    return periods


def _blob(gate: Gate, head: Snapshot, found: Recorded) -> str:
    record = gate.documents.record(head, found.target, found.slot, found.version)
    if record is None:
        return "unknown"
    try:
        stands = gate.blobs.look(gate.documents.settings(head), {record.uri: False})
    except Unreachable:
        return "unknown"
    if record.uri not in stands:
        return "unknown"
    size = stands[record.uri].size
    return "missing" if size is None else "present" if size == record.size else "altered"
