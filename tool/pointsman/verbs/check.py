"""`check`: the gate's answer on the index, on a change or on a whole tree, for people, for programs and for GitHub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pointsman.errors import Fault
from pointsman.outcome import Outcome
from pointsman.repo.git import OddTree
from pointsman.repo.snapshot import Snapshot
from pointsman.struct import struct
from pointsman.values import CommitId, Shape, ToldFault
from pointsman.workspace import Workspace

Line = Annotated[int, Shape(says="where the file begins to differ from the base", minimum=1)]


@struct(frozen=True)
class JudgedFault(ToldFault):
    """A fault, where it is, and why it is accepted if it is."""

    accepted: Annotated[bool, "the change accepts this fault by name"]
    line: Line
    reason: Annotated[str | None, "why it is accepted"] = None


@struct(frozen=True)
class Note(ToldFault):
    """What a guardrail says that stops nothing, and where."""

    line: Line


@struct(frozen=True)
class Checked:
    """What the gate says of the index, a change or a tree."""

    base: CommitId | None
    head: CommitId | None
    faults: Sequence[JudgedFault]
    notes: Annotated[Sequence[Note], "what guardrails say that stops nothing"]


def check(
    workspace: Workspace,
    *,
    base: str | None = None,
    head: str | None = None,
    staged: bool = False,
) -> Outcome[Checked]:
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

    def told(fault: Fault, reason: str | None = None) -> JudgedFault:
        try:
            line = _first_change(before.read(fault.path), after.read(fault.path))
        except OddTree:  # the rule bad-path says so
            line = 1
        return JudgedFault(fault.rule, fault.path, fault.says, reason is not None, line, reason)

    faults = [*map(told, verdict.faults), *(told(fault, reason) for fault, reason in verdict.accepted)]
    notes = [Note(each.rule, each.path, each.says, each.line) for each in map(told, verdict.notes)]
    return Outcome(Checked(old, new, faults, notes), 1 if verdict.faults else 0)


def _first_change(old: bytes | None, new: bytes | None) -> int:
    """The line, counted from 1, where two contents begin to differ; 1 where there is nothing to compare."""
    if old is None or new is None:
        return 1
    before, after = old.split(b"\n"), new.split(b"\n")
    pairs = enumerate(zip(before, after, strict=False), start=1)
    return next((line for line, (was, now) in pairs if was != now), min(len(before), len(after)))
