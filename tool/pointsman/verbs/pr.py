"""The pull requests that are open: list them, show one, merge it, close it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from msgspec import Struct

from pointsman.errors import OriginAway, Problem, Refused, trouble_of
from pointsman.forge.base import Silent
from pointsman.gate.documents import retired_by
from pointsman.gate.gate import Gate
from pointsman.history.targets import current_targets
from pointsman.outcome import Outcome, exit_of_many
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.report.approvals import approvals_of
from pointsman.report.markdown import plain
from pointsman.shipping.merge import merge_pull
from pointsman.shipping.merged import merged_before
from pointsman.shipping.pulls import NoneOpen, OpenPulls, Pull, close_pull, find, is_stale, open_pulls, reference
from pointsman.state.names import Pattern, branch_place
from pointsman.state.objects import Oid
from pointsman.state.paths import path_kind
from pointsman.state.suggest import did_you_mean
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


class ListedPullRequest(PullRequest, frozen=True, kw_only=True):
    """An open pull request, by whom it is, and whether main has overtaken it."""

    targets: Annotated[Sequence[TargetName], "whose manifests it changes, hold it sets, or versions it retires"]
    title: str
    opened_at: Moment
    author: str
    stale: Annotated[bool, "main moved a manifest that it replaces"]
    approvals: Annotated[Approvals | None, "left out if it needs none"] = None


class Listed(Struct, frozen=True):
    """All that are open."""

    pull_requests: Sequence[ListedPullRequest]


class RetiredSlot(Struct, frozen=True):
    """A version that a tombstone of a pull request takes out of use."""

    target: TargetName
    type: ArtifactType
    version: Version


class Shown(ListedPullRequest, frozen=True, kw_only=True):
    """One of them, what it changes, and what the gate says of it."""

    head: CommitId
    says: Annotated[Sequence[str], "the lines of exact grammar in its message"]
    faults: Sequence[JudgedFault]
    notes: Annotated[Sequence[ToldFault], "what guardrails say that stops nothing"]
    retires: Annotated[Sequence[RetiredSlot] | None, "left out if it has no tombstones"] = None


class Merged(Struct, frozen=True):
    """What became of it on main; without targets it was that of a hold or of tombstones."""

    commit: CommitId
    targets: Sequence[TargetName]
    outcome: Annotated[Literal["merged", "unchanged", "dry-run"], "unchanged: merged before; dry-run: main as it is"]


class MergedOne(Struct, frozen=True):
    """What became of one of many."""

    id: Annotated[str, "as it was named; of a pattern, the target"]
    commit: CommitId | None
    targets: Sequence[TargetName]
    outcome: Annotated[
        Literal["merged", "unchanged", "dry-run", "refused", "failed"],
        "refused: the gate refuses it, failed: says tells why; both stay open",
    ]
    says: Annotated[str, "why it failed"]
    faults: Annotated[Sequence[ToldFault], "of a refused one"]


class MergedMany(Struct, frozen=True):
    """What became of each."""

    pull_requests: Sequence[MergedOne]


class Closed(Struct, frozen=True):
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
        targets=_targets(pull) or _others(gate.repo, main, pull.head),
        title=pull.title,
        opened_at=pull.opened_at,
        author=pull.author,
        stale=is_stale(gate, main, pull),
        approvals=approvals_of(gate, main, gate.consent(main, pull.head)),
    )


def _targets(pull: Pull) -> list[str]:
    return list(map(str, pull.targets))


def _others(repo: Repository, main: Oid, head: Oid) -> list[str]:
    """The targets of a pull request that changes no manifest: whose hold it is, and whose versions it retires."""
    fork = repo.merge_base(main, head)
    found: set[str] = set()
    for path in (change.path for change in (repo.differences(fork, head) if fork is not None else ())):
        if path_kind(path) == "tombstone":
            found.add(str(retired_by(path)[0]))
        elif path_kind(path) == "hold":
            found.add(path.removeprefix("holds/").removesuffix(".json"))
    return sorted(found - {"all"})


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
    return Outcome(_merge(workspace, text, OpenPulls(workspace).find, dry_run=dry_run))


def merge_many(workspace: Workspace, named: Sequence[str | Pattern], *, dry_run: bool = False) -> Outcome[MergedMany]:
    """Merge several, one after the other. One that is refused, or fails, stops no other.

    A pattern means the targets that have an open pull request; one that changes other targets, too, is not merged by
    it. Exit 5 if some were not merged. Problem for a pattern that means none.
    """
    workspace.repo.refresh()
    done: list[MergedOne] = []
    codes: list[int] = []
    away: OriginAway | Silent | None = None
    pulls = OpenPulls(workspace)
    for text, pattern in _meant(workspace, pulls, named):
        try:
            if away is not None:
                raise type(away)(f"not tried: {away}")
            if codes:
                workspace.repo.refresh()
            find_it = pulls.find_now if codes else pulls.find
            merged = _merge(workspace, text, find_it, within=pattern, dry_run=dry_run)
            told_of = MergedOne(text, merged.commit, merged.targets, merged.outcome, "", ())
            codes.append(0)
        except Exception as error:  # noqa: BLE001 - whoever may push a branch can show us a bug, and the others wait
            trouble = trouble_of(error)
            away = away or (trouble if isinstance(trouble, OriginAway | Silent) else None)
            faults = list(map(told, trouble.faults)) if isinstance(trouble, Refused) else []
            outcome: Literal["refused", "failed"] = "refused" if faults else "failed"
            told_of = MergedOne(text, None, [], outcome, "" if faults else str(trouble), faults)
            codes.append(trouble.exit_code)
        done.append(told_of)
        workspace.progress(f"{told_of.outcome} {text}")
    return Outcome(MergedMany(done), exit_of_many(codes))


def _meant(workspace: Workspace, pulls: OpenPulls, named: Sequence[str | Pattern]) -> list[tuple[str, Pattern | None]]:
    """What is to be merged, each once, with the pattern that means it."""
    every = pulls.every
    branches = {pull.branch.rpartition("/")[0] for pull in every}
    base = Snapshot(workspace.repo, workspace.repo.main)
    held = [each for each in current_targets(base) if f"hold/{branch_place(str(each))}" in branches]
    known = sorted({*held, *(target for pull in every for target in pull.targets)})
    found: dict[str, Pattern | None] = {}
    for each in named:
        if not isinstance(each, Pattern):
            found[each] = None
            continue
        matching: dict[str, str] = {}  # one target of each joint pull request is enough
        for target in filter(each.matches, known):
            theirs = [pull.branch for pull in pulls.of(target)]
            matching.setdefault(theirs[0] if len(theirs) == 1 else str(target), str(target))
        if not matching:
            raise Problem(f"no target that {each} matches has an open pull request{did_you_mean(str(each), known)}")
        for name in matching.values():
            found.setdefault(name, each)
    return list(found.items())


def _merge(
    workspace: Workspace,
    text: str,
    find_it: Callable[[str], Pull],
    *,
    within: Pattern | None = None,
    dry_run: bool,
) -> Merged:
    try:
        pull = find_it(text)
    except NoneOpen:
        if (before := merged_before(workspace, text)) is None:
            raise
        commit, targets = before
        return Merged(commit, list(map(str, targets)), "unchanged")
    beyond = [str(target) for target in pull.targets if within is not None and not within.matches(target)]
    if beyond:
        says = f"{pull.branch} changes {beyond[0]}, too, which {within} does not match"
        raise Problem(f"{says}: name it by its id {pull.id}")
    commit = merge_pull(workspace, pull, dry_run=dry_run)
    return Merged(commit, _targets(pull), "dry-run" if dry_run else "merged")


def close(workspace: Workspace, text: str, *, reason: str = "", dry_run: bool = False) -> Outcome[Closed]:
    """Close one pull request: its branch goes, main and the records stay. With `dry_run` only say which.

    Who publishes the same again is told who closed it, and the reason.
    """
    workspace.repo.refresh()
    pull = find(workspace, text)
    if not dry_run:
        close_pull(workspace, pull, plain(reason) if pull.opened.number else reason, unwanted=True)
    return Outcome(Closed(reference(pull), _targets(pull), dry_run))
