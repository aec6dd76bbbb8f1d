"""`check`: the gate's answer on the index, on a change or on a whole tree, for people, for programs and for GitHub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.errors import Fault
from pointsman.outcome import Outcome, told
from pointsman.repo.snapshot import Snapshot
from pointsman.workspace import Workspace


def check(
    workspace: Workspace,
    *,
    base: str | None = None,
    head: str | None = None,
    staged: bool = False,
) -> Outcome[Mapping[str, Any]]:
    """Judge the index, a change, or, without `base`, all that stands at `head`. Exit 1 if a fault is not accepted."""
    repo, gate = workspace.repo, workspace.gate
    if repo.worktree is None:
        repo.refresh()
    if staged:
        verdict, old, new = gate.judge_staged(), None, None
    else:
        new = repo.resolve(head) if head else repo.resolve("HEAD") if repo.worktree is not None else repo.main
        old = repo.resolve(base) if base else None
        verdict = gate.judge_change(old, new) if old is not None else gate.judge_tree(new)
    before, after = Snapshot(repo, old), Snapshot(repo, new)

    def place(fault: Fault) -> dict[str, int]:
        return {"line": _first_change(before.read(fault.path), after.read(fault.path))}

    faults = [{**told(fault, accepted=False), **place(fault)} for fault in verdict.faults]
    accepted = [{**told(fault, accepted=True), **place(fault), "reason": why} for fault, why in verdict.accepted]
    notes = [{**told(fault), **place(fault)} for fault in verdict.notes]
    document = {"base": old, "head": new, "faults": faults + accepted, "notes": notes}
    return Outcome(document, 1 if verdict.faults else 0)


def _first_change(old: bytes | None, new: bytes | None) -> int:
    """The line, counted from 1, where two contents begin to differ; 1 where there is nothing to compare."""
    if old is None or new is None:
        return 1
    before, after = old.split(b"\n"), new.split(b"\n")
    pairs = enumerate(zip(before, after, strict=False), start=1)
    return next((line for line, (was, now) in pairs if was != now), min(len(before), len(after)))
