"""Merge a pull request, after the gate has passed it against main as it is now."""

from __future__ import annotations

import hashlib
import random
import time

from pointsman.errors import MovedFirst, Refused
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.shipping.pulls import Pull, close_pull
from pointsman.state.message import parse
from pointsman.state.objects import Oid
from pointsman.workspace import Workspace

_TRIES = 12


def merge_pull(workspace: Workspace, pull: Pull) -> Oid:
    """Squash a pull request onto main and return the commit. Retries quietly while only other paths of main move."""
    repo, gate = workspace.repo, workspace.gate
    for again in range(_TRIES):
        main = repo.main
        verdict = gate.judge_change(main, pull.head, clock=workspace.now, notes=False)
        if verdict.faults and _is_current(repo, main, pull):
            close_pull(workspace, pull)
            return main
        if verdict.faults and {fault.rule for fault in verdict.faults} <= {"stale-base"}:
            raise MovedFirst(f"{verdict.faults[0].says} (the pull request {pull.branch} stays open)")
        if verdict.faults:
            raise Refused(verdict.faults)
        fork = repo.merge_base(main, pull.head)
        assert fork is not None
        changes = repo.git.differences(fork, pull.head)
        there = {change.path: Snapshot(repo, main).entry(change.path) for change in changes}
        for change in changes:
            if there[change.path] not in (change.old, change.new):
                raise MovedFirst(
                    f"main moved {change.path} after {pull.branch} was made from it: publish or roll back again"
                )
        if all(there[change.path] == change.new for change in changes):
            made = [fault for target in pull.targets for fault in gate.faults_of_current(main, target)]
            if made:
                raise Refused(made)
            close_pull(workspace, pull)
            return main
        message = repo.messages(main, pull.head).strip("\n") + "\n"
        try:
            return workspace.forge.merge(pull.opened, main, message, pull.author)
        except MovedFirst:
            time.sleep(random.uniform(0, 0.02 * 2 ** min(again, 6)))
            repo.refresh()
            if repo.heads.get(pull.opened.ref) != pull.head:
                landed = landed_as(repo, repo.main, pull)
                if landed is not None:
                    return landed
                raise MovedFirst(
                    f"{pull.branch} was moved or closed by someone else: look with pointsman pr list"
                ) from None
    raise MovedFirst(f"main moved at every try to merge {pull.branch}: run pointsman pr merge {pull.id}")


def _is_current(repo: Repository, main: Oid, pull: Pull) -> bool:
    """Whether main has the very manifests that a pull request vouches for."""
    snapshot = Snapshot(repo, main)
    stands = {said.target: snapshot.read(said.target.manifest_path) or b"" for said in pull.message.said}
    return bool(stands) and all(
        said.manifest == hashlib.sha256(stands[said.target]).hexdigest() for said in pull.message.said
    )


def landed_as(repo: Repository, main: Oid, pull: Pull) -> Oid | None:
    """The commit of main that says word for word what the pull request says of every target, None if there is none."""
    fork = repo.merge_base(main, pull.head)
    if fork is None or not any(said.manifest for said in pull.message.said):
        return None
    if fork == pull.head:
        return fork  # fast-forwarded, or squashed within the second in which it was made: then both are one commit
    paths = [target.manifest_path for target in pull.targets]
    for commit in repo.history(main, *paths, no_older_than=fork):
        there = parse(commit.message)
        if all(there.of(said.target, said.manifest) == said for said in pull.message.said):
            return commit.oid
    return None


def merge_when_ready(workspace: Workspace, pull: Pull) -> Oid | None:
    """Have the forge merge it once all that it requires is there; the commit if it was. Refused by the gate."""
    verdict = workspace.gate.judge_change(workspace.repo.main, pull.head, clock=workspace.now, notes=False)
    if verdict.faults:
        raise Refused(verdict.faults)
    return workspace.forge.auto_merge(pull.opened, pull.text)
