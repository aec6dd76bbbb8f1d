"""The pull requests that are open: list them, show one, merge it, close it."""

from __future__ import annotations

from typing import Any

from pointsman.gate.gate import Gate
from pointsman.outcome import Outcome, told
from pointsman.repo.repository import Repository
from pointsman.shipping.merge import merge_pull
from pointsman.shipping.pulls import Pull, close_pull, document, find, is_stale, open_pulls
from pointsman.state.objects import Oid


def list_pulls(repo: Repository) -> Outcome:
    """All open pull requests."""
    main = repo.refresh()
    gate = Gate(repo)
    found = open_pulls(repo)
    repo.expect(sum(len(pull.targets) for pull in found))
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


def show(repo: Repository, text: str) -> Outcome:
    """One pull request, what it changes, and what the gate says of it."""
    main = repo.refresh()
    gate = Gate(repo)
    pull = find(repo, text)
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


def merge(repo: Repository, text: str) -> Outcome:
    """Merge one pull request; Refused by the gate, MovedFirst if only its base is stale."""
    repo.refresh()
    pull = find(repo, text)
    commit = merge_pull(repo, pull)
    return Outcome({"commit": commit, "targets": [str(target) for target in pull.targets]})


def close(repo: Repository, text: str) -> Outcome:
    """Close one pull request: its branch goes, main and the records stay."""
    repo.refresh()
    pull = find(repo, text)
    close_pull(repo, pull)
    return Outcome({"closed": document(pull), "targets": [str(target) for target in pull.targets]})
