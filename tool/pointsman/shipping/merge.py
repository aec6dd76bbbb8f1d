"""Merge a pull request, if the gate passes it against main as it is now."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pointsman.errors import Fault, MovedFirst, Refused
from pointsman.repo.repository import Repository
from pointsman.repo.retry import until_settled
from pointsman.repo.snapshot import Snapshot
from pointsman.shipping.pulls import Pull, close_pull, is_stale, others_work
from pointsman.state.message import parse
from pointsman.state.objects import Oid
from pointsman.workspace import Workspace


class _Overtaken(MovedFirst):
    """Main has changed what the pull request changes, or the pull request itself has: no new try settles that."""


def merge_pull(workspace: Workspace, pull: Pull, *, dry_run: bool = False) -> Oid:
    """Squash a pull request onto main and return the commit. Tries again while only other paths of main change.

    With `dry_run` the same is judged, nothing is written, and the commit is main as it is.
    """
    return until_settled(
        workspace.repo,
        lambda: _merge(workspace, pull, dry_run=dry_run),
        f"main moved at every try to merge {pull.branch}: run pointsman pr merge {pull.id}",
        offer=(lambda: workspace.repo.main) if workspace.forge.merges_by_push and not dry_run else None,
        final=(_Overtaken,),
    )


def _merge(workspace: Workspace, pull: Pull, *, dry_run: bool) -> Oid:
    """One try; MovedFirst if main moved meanwhile."""
    repo, gate = workspace.repo, workspace.gate
    main = repo.main
    verdict = gate.judge_change(main, pull.head, clock=workspace.now, notes=False)
    if verdict.faults and _is_current(repo, main, pull):
        if not dry_run:
            close_pull(workspace, pull)
        return main
    if verdict.faults and {fault.rule for fault in verdict.faults} <= {"stale-base"}:
        raise _Overtaken(f"{verdict.faults[0].says} (the pull request {pull.branch} stays open)")
    if verdict.faults:
        raise Refused(verdict.faults)
    fork = repo.merge_base(main, pull.head)
    assert fork is not None
    changes = repo.differences(fork, pull.head)
    there = {change.path: Snapshot(repo, main).entry(change.path) for change in changes}
    for change in changes:
        if there[change.path] not in (change.old, change.new):
            raise _Overtaken(f"main changed {change.path} after {pull.branch} was built: run what opened it again")
    if all(there[change.path] == change.new for change in changes):
        faults = [fault for target in pull.targets for fault in gate.faults_of_current(main, target)]
        if faults:
            raise Refused(faults)
        if not dry_run:
            close_pull(workspace, pull)
        return main
    if dry_run:
        return main
    message = repo.messages(main, pull.head).strip("\n") + "\n"
    try:
        return workspace.forge.merge(pull.opened, main, message, pull.author)
    except MovedFirst:
        repo.refresh()
        if repo.heads.get(pull.opened.ref) == pull.head:
            raise
        merged = merged_as(repo, repo.main, pull)
        if merged is None:
            says = f"someone else changed or closed {pull.branch}: run pointsman pr list to see it"
            raise _Overtaken(says) from None
        return merged


def waits_for_people(faults: Sequence[Fault]) -> bool:
    """Whether a change lacks nothing but approvals and evidence: then its pull request is opened, and stays open."""
    return bool(faults) and all(fault.rule in ("unapproved", "evidence-missing") for fault in faults)


def _is_current(repo: Repository, main: Oid, pull: Pull) -> bool:
    """Whether main has exactly the manifests that a pull request vouches for."""
    snapshot = Snapshot(repo, main)
    current = {said.target: snapshot.read(said.target.manifest_path) or b"" for said in pull.message.said}
    return (
        bool(current)
        and pull.does_as_it_says
        and all(said.manifest == hashlib.sha256(current[said.target]).hexdigest() for said in pull.message.said)
    )


def merged_as(repo: Repository, main: Oid, pull: Pull) -> Oid | None:
    """The commit of main that says the same about every target as the pull request; None if there is none."""
    fork = repo.merge_base(main, pull.head)
    if fork is None or not pull.does_as_it_says or not any(said.manifest for said in pull.message.said):
        return None
    if fork == pull.head:
        return fork  # fast-forwarded, or squashed in the second of its commit, which makes the same commit
    paths = [target.manifest_path for target in pull.targets]
    for commit in repo.history(main, *paths, no_older_than=fork):
        there = parse(commit.message)
        if all(there.of(said.target, said.manifest) == said for said in pull.message.said):
            return commit.oid
    return None


def is_overtaken(workspace: Workspace, pull: Pull) -> bool:
    """Whether a ship is stale, and main has all versions that it brings and none that it drops."""
    repo, documents = workspace.repo, workspace.gate.documents
    if not pull.branch.startswith("ship/") or not pull.does_as_it_says or others_work(repo, pull):
        return False
    for said in pull.message.said:
        manifest = documents.manifest(Snapshot(repo, repo.main), said.target)
        has = manifest.versions if manifest is not None else {}
        if not (said.records or said.drops) or said.drops & has.keys() or said.records.items() - has.items():
            return False
    return is_stale(workspace.gate, repo.main, pull)


def merge_when_ready(workspace: Workspace, pull: Pull) -> Oid | None:
    """Let the forge merge it when its requirements are met; the commit if that was at once. Refused by the gate."""
    verdict = workspace.gate.judge_change(workspace.repo.main, pull.head, clock=workspace.now, notes=False)
    if waits_for_people(verdict.faults):
        return None  # refresh does it once they have approved
    if verdict.faults:
        raise Refused(verdict.faults)
    return workspace.forge.auto_merge(pull.opened, pull.text)
