"""Finds the commit of main that a pull request became, so that merging it once more is no mistake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from pointsman.shipping.branches import digits_of, restore_key, ship_key
from pointsman.state.message import Said
from pointsman.state.names import Target
from pointsman.state.objects import Change, Commit, Oid
from pointsman.state.paths import is_target, path_kind, target_of
from pointsman.workspace import Workspace

_LOOKED_AT = 1000  # the newest commits of main that change manifests


def merged_before(workspace: Workspace, text: str) -> tuple[Oid, list[Target]] | None:
    """The commit of main that the pull request with this id or branch became, and its targets; None if none did.

    For a target without an open pull request it is the commit that made its manifest on main.
    """
    repo, gate = workspace.repo, workspace.gate
    if text.count("/") == 1 and is_target(*text.split("/")):
        last = gate.lineage(repo.main, target := Target.parse(text)).last
        return (last.commit.oid, [target]) if last is not None and last.after is not None else None
    known, digits = workspace.forge.merged(text), text.rpartition("/")[2]
    for commit in islice(repo.history_below(repo.main, "manifests"), _LOOKED_AT):
        said = gate.past.message(commit).said
        if commit.oid == known or digits in _digits(commit, said):
            return commit.oid, [target_of(change.path) for change in _manifests(commit)]
    return None


def _manifests(commit: Commit) -> list[Change]:
    return [change for change in commit.changes if path_kind(change.path) == "manifest"]


def _digits(commit: Commit, said: Sequence[Said]) -> Iterator[str]:
    """What the branch of its pull request may have ended in: that of a ship, or of a rollback."""
    yield digits_of([ship_key(each) for each in said])
    after = {target_of(change.path): change.new.oid for change in _manifests(commit) if change.new is not None}
    yield digits_of([restore_key(each, after.get(each.target)) for each in said])
