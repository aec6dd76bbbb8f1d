"""`check`: the gate's answer on the index, on a change or on a whole tree, for people, for programs and for GitHub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Struct

from pointsman.errors import Fault, Problem
from pointsman.outcome import Outcome
from pointsman.repo.git import OddTree
from pointsman.repo.snapshot import Snapshot
from pointsman.state.names import short
from pointsman.state.objects import Oid
from pointsman.values import CommitId, Shape, ToldFault
from pointsman.workspace import Workspace

Line = Annotated[int, Shape(says="where the file begins to differ from the base", minimum=1)]


class JudgedFault(ToldFault, frozen=True):
    """A fault, where it is, and why it is accepted if it is."""

    accepted: Annotated[bool, "the change accepts this fault by name"]
    line: Line
    reason: Annotated[str | None, "why it is accepted"] = None


class Note(ToldFault, frozen=True):
    """What a guardrail says that stops nothing, and where."""

    line: Line


class Checked(Struct, frozen=True):
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
    said = _behind(workspace, new) if new is not None and head is None and base is None else ()
    return Outcome(Checked(old, new, faults, notes), 1 if verdict.faults else 0, said)


def _behind(workspace: Workspace, judged: Oid) -> tuple[str, ...]:
    """That a checkout was judged which lacks commits of the origin's main, or of which that is not known."""
    repo = workspace.repo
    if repo.remote is None or repo.worktree is None or workspace.offline:
        return ()
    try:
        main = repo.refresh()
    except Problem as problem:
        return (f"whether main of the origin has more than {short(judged)} is not known: {problem}",)
    if repo.is_ancestor(main, judged):
        return ()
    says = f"{short(judged)} was judged, and main of the origin is at {short(main)}, which this checkout does not have"
    return (f"{says}: run git pull, or pointsman check --head main",)


def _first_change(old: bytes | None, new: bytes | None) -> int:
    """The line, counted from 1, where two contents begin to differ; 1 where there is nothing to compare."""
    if old is None or new is None:
        return 1
    before, after = old.split(b"\n"), new.split(b"\n")
    pairs = enumerate(zip(before, after, strict=False), start=1)
    return next((line for line, (was, now) in pairs if was != now), min(len(before), len(after)))
