"""The pull requests that are open: list them, show one, merge it, close it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pointsman.gate.documents import retired_by
from pointsman.gate.gate import Gate
from pointsman.outcome import Outcome
from pointsman.repo.repository import Repository
from pointsman.report.approvals import approvals_of
from pointsman.shipping.merge import merge_pull
from pointsman.shipping.merged import merged_before
from pointsman.shipping.pulls import NoneOpen, Pull, close_pull, find, is_stale, open_pulls, reference
from pointsman.state.objects import Oid
from pointsman.state.paths import path_kind
from pointsman.struct import struct
from pointsman.values import (
    Approvals,
    ArtifactType,
    CommitId,
    JudgedFault,
    Moment,
    PullRequest,
    TargetName,
    ToldFault,
    Version,
    judged,
    told,
)
from pointsman.workspace import Workspace


@struct(frozen=True, kw_only=True)
class ListedPullRequest(PullRequest):
    """An open pull request, by whom it is, and whether main has overtaken it."""

    targets: Sequence[TargetName]
    title: str
    opened_at: Moment
    author: str
    stale: Annotated[bool, "main moved a manifest that it replaces"]
    approvals: Annotated[Approvals | None, "left out if it needs none"] = None


@struct(frozen=True)
class Listed:
    """All that are open."""

    pull_requests: Sequence[ListedPullRequest]


@struct(frozen=True)
class RetiredSlot:
    """A version that a tombstone of a pull request takes out of use."""

    target: TargetName
    type: ArtifactType
    version: Version


@struct(frozen=True, kw_only=True)
class Shown(ListedPullRequest):
    """One of them, what it changes, and what the gate says of it."""

    head: CommitId
    says: Annotated[Sequence[str], "the lines of exact grammar in its message"]
    faults: Sequence[JudgedFault]
    notes: Annotated[Sequence[ToldFault], "what guardrails say that stops nothing"]
    retires: Annotated[Sequence[RetiredSlot] | None, "left out if it has no tombstones"] = None


@struct(frozen=True)
class Merged:
    """What became of it on main; without targets it was that of a hold or of tombstones."""

    commit: CommitId
    targets: Sequence[TargetName]
    outcome: Annotated[Literal["merged", "unchanged", "dry-run"], "unchanged: merged before; dry-run: main as it is"]


@struct(frozen=True)
class Closed:
    """Which one was closed."""

    closed: PullRequest
    targets: Sequence[TargetName]
    dry_run: Annotated[bool, "it is still open"] = False


def list_pulls(workspace: Workspace) -> Outcome[Listed]:
    """All open pull requests."""
    main = workspace.repo.refresh()
    found = open_pulls(workspace)
    workspace.repo.expect(sum(len(pull.targets) for pull in found))
    return Outcome(Listed([_listed(workspace.gate, main, pull) for pull in found]))


def _listed(gate: Gate, main: Oid, pull: Pull) -> ListedPullRequest:
    return ListedPullRequest(
        id=pull.id,
        url=pull.opened.url,
        branch=pull.branch,
        targets=_targets(pull),
        title=pull.title,
        opened_at=pull.opened_at,
        author=pull.author,
        stale=is_stale(gate, main, pull),
        approvals=approvals_of(gate, main, gate.consent(main, pull.head)),
    )


def _targets(pull: Pull) -> list[str]:
    return list(map(str, pull.targets))


def show(workspace: Workspace, text: str) -> Outcome[Shown]:
    """One pull request, what it changes, and what the gate says of it."""
    main = workspace.repo.refresh()
    pull = find(workspace, text)
    listed = _listed(workspace.gate, main, pull)
    verdict = workspace.gate.judge_change(main, pull.head)
    shown = Shown(
        id=listed.id,
        url=listed.url,
        branch=listed.branch,
        targets=listed.targets,
        title=listed.title,
        opened_at=listed.opened_at,
        author=listed.author,
        stale=listed.stale,
        approvals=listed.approvals,
        head=pull.head,
        says=[line for each in pull.message.said for line in each.lines()],
        faults=[*map(judged, verdict.faults), *(judged(fault, reason) for fault, reason in verdict.accepted)],
        notes=list(map(told, verdict.notes)),
        retires=_retires(workspace.repo, main, pull.head) or None,
    )
    return Outcome(shown)


def _retires(repo: Repository, main: Oid, head: Oid) -> list[RetiredSlot]:
    """The versions whose tombstones a pull request adds."""
    fork = repo.merge_base(main, head)
    changes = repo.differences(fork, head) if fork is not None else []
    added = [change.path for change in changes if path_kind(change.path) == "tombstone" and change.new is not None]
    return [RetiredSlot(str(target), slot, version) for target, slot, version in map(retired_by, added)]


def merge(workspace: Workspace, text: str, *, dry_run: bool = False) -> Outcome[Merged]:
    """Merge one pull request, or find it merged. Refused by the gate, MovedFirst if only its base is stale.

    With `dry_run` it is judged alone.
    """
    workspace.repo.refresh()
    try:
        pull = find(workspace, text)
    except NoneOpen:
        if (before := merged_before(workspace, text)) is None:
            raise
        commit, targets = before
        return Outcome(Merged(commit, list(map(str, targets)), "unchanged"))
    commit = merge_pull(workspace, pull, dry_run=dry_run)
    return Outcome(Merged(commit, _targets(pull), "dry-run" if dry_run else "merged"))


def close(workspace: Workspace, text: str, *, dry_run: bool = False) -> Outcome[Closed]:
    """Close one pull request: its branch goes, main and the records stay. With `dry_run` only say which."""
    workspace.repo.refresh()
    pull = find(workspace, text)
    if not dry_run:
        close_pull(workspace, pull)
    return Outcome(Closed(reference(pull), _targets(pull), dry_run))
