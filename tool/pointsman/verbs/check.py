"""`check`: the gate's answer on the index, on a change or on a whole tree, for people, for programs and for GitHub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pointsman.errors import Fault
from pointsman.gate.gate import Gate
from pointsman.outcome import Outcome, fault_line, told
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.report.markdown import plain
from pointsman.rules.rule import Rule
from pointsman.rules.table import RULES


def check(
    repo: Repository,
    *,
    base: str | None = None,
    head: str | None = None,
    staged: bool = False,
    offline: bool = False,
    rules: Sequence[Rule] = RULES,
) -> Outcome:
    """Judge the index, a change, or, without `base`, all that stands at `head`. Exit 1 if a fault is not accepted."""
    gate = Gate(repo, offline=offline, rules=rules)
    if repo.worktree is None:
        repo.refresh()
    if staged:
        verdict, old, new = gate.staged(), None, None
    else:
        new = repo.resolve(head) if head else repo.resolve("HEAD") if repo.worktree is not None else repo.main
        old = repo.resolve(base) if base else None
        verdict = gate.change(old, new) if old is not None else gate.tree(new)
    before, after = Snapshot(repo, old), Snapshot(repo, new)

    def place(fault: Fault) -> dict[str, int]:
        return {"line": _first_change(before.read(fault.path), after.read(fault.path))}

    faults = [{**told(fault, accepted=False), **place(fault)} for fault in verdict.faults]
    accepted = [{**told(fault, accepted=True), **place(fault), "reason": why} for fault, why in verdict.accepted]
    notes = [{**told(fault), **place(fault)} for fault in verdict.notes]
    document = {"base": old, "head": new, "faults": faults + accepted, "notes": notes}
    return Outcome(document, 1 if verdict.faults else 0)


def render(document: Mapping[str, Any]) -> str:
    """One line per fault and one verdict."""
    lines = [
        fault_line(fault) + (f" (accepted: {fault['reason']})" if fault["accepted"] else "")
        for fault in document["faults"]
    ]
    lines += [f"note: {fault_line(note)}" for note in document["notes"]]
    return "\n".join([*lines, _sentence(document)])


def github(document: Mapping[str, Any]) -> str:
    """The same as GitHub's workflow commands, which show on the lines of a pull request, and one verdict."""
    lines = [
        f"::{'notice' if fault['accepted'] else 'error'} file={_property(fault['path'])},line={fault['line']},"
        f"title={_property(fault['rule'])}::{_data(fault['says'])}"
        + (_data(f" (accepted: {fault['reason']})") if fault["accepted"] else "")
        for fault in document["faults"]
    ]
    lines += [
        f"::notice file={_property(note['path'])},line={note['line']},title={_property(note['rule'])}::"
        + _data(note["says"])
        for note in document["notes"]
    ]
    return "\n".join([*lines, _sentence(document)])


def summary(document: Mapping[str, Any]) -> str:
    """The same as Markdown, for a job's summary. What the change accepts stands first: reviewers approve it, too."""
    order = sorted(document["faults"], key=lambda fault: not fault["accepted"])
    rows = [
        f"| {'accepted' if fault['accepted'] else 'refused'} | `{fault['rule']}` | {plain(fault['path'])} | "
        f"{plain(fault['says'])}{plain(' Accepted: ' + fault['reason']) if fault['accepted'] else ''} |"
        for fault in order
    ]
    rows += [
        f"| note | `{note['rule']}` | {plain(note['path'])} | {plain(note['says'])} |" for note in document["notes"]
    ]
    table = ["", "| | rule | path | |", "|---|---|---|---|", *rows] if rows else []
    return "\n".join([f"**pointsman check**: {_sentence(document)}", *table]) + "\n"


def _sentence(document: Mapping[str, Any]) -> str:
    broken = sum(not fault["accepted"] for fault in document["faults"])
    return f"{broken} fault{'s' if broken > 1 else ''}: this may not be current" if broken else "nothing is wrong"


def _data(text: str) -> str:
    """Text in a workflow command (escapes as in GitHub's own toolkit, packages/core/src/command.ts)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _first_change(old: bytes | None, new: bytes | None) -> int:
    """The line, counted from 1, where two contents begin to differ; 1 where there is nothing to compare."""
    if old is None or new is None:
        return 1
    before, after = old.split(b"\n"), new.split(b"\n")
    pairs = enumerate(zip(before, after, strict=False), start=1)
    return next((line for line, (was, now) in pairs if was != now), min(len(before), len(after)))
