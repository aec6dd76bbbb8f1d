"""The pull requests that are open: list them, show one, merge it, close it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.gate.gate import Gate
from pointsman.outcome import Outcome, told
from pointsman.shipping.merge import merge_pull
from pointsman.shipping.pulls import Pull, close_pull, document, find, is_stale, open_pulls
from pointsman.state.objects import Oid
from pointsman.workspace import Workspace


def list_pulls(workspace: Workspace) -> Outcome[Mapping[str, Any]]:
    """All open pull requests."""
    main = workspace.repo.refresh()
    gate = workspace.gate
    found = open_pulls(workspace)
    workspace.repo.expect(sum(len(pull.targets) for pull in found))
    return Outcome({"pull_requests": [_listed(gate, main, pull) for pull in found]})


def _listed(gate: Gate, main: Oid, pull: Pull) -> dict[str, Any]:
    return {
        **document(pull),
        "targets": [str(target) for target in pull.targets],
        "title": pull.title,
        "opened_at": pull.opened_at,
        "author": pull.author,
        "stale": is_stale(gate, main, pull),
    }


def show(workspace: Workspace, text: str) -> Outcome[Mapping[str, Any]]:
    """One pull request, what it changes, and what the gate says of it."""
    main = workspace.repo.refresh()
    gate = workspace.gate
    pull = find(workspace, text)
    verdict = gate.judge_change(main, pull.head)
    faults = [told(fault, accepted=False) for fault in verdict.faults]
    faults += [{**told(fault, accepted=True), "reason": why} for fault, why in verdict.accepted]
    said = [line for each in pull.message.said for line in each.lines()]
    return Outcome(
        {
            **_listed(gate, main, pull),
            "head": pull.head,
            "says": said,
            "faults": faults,
            "notes": list(map(told, verdict.notes)),
        }
    )


def merge(workspace: Workspace, text: str) -> Outcome[Mapping[str, Any]]:
    """Merge one pull request; Refused by the gate, MovedFirst if only its base is stale."""
    workspace.repo.refresh()
    pull = find(workspace, text)
    commit = merge_pull(workspace, pull)
    return Outcome({"commit": commit, "targets": [str(target) for target in pull.targets]})


def close(workspace: Workspace, text: str) -> Outcome[Mapping[str, Any]]:
    """Close one pull request: its branch goes, main and the records stay."""
    workspace.repo.refresh()
    pull = find(workspace, text)
    close_pull(workspace, pull)
    return Outcome({"closed": document(pull), "targets": [str(target) for target in pull.targets]})
