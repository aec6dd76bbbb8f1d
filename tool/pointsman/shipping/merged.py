"""Finds the commit of main that a pull request became, so that merging it once more is no mistake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from pointsman.repo.repository import Repository
from pointsman.shipping.branches import digits_of, held_key, hold_branch, restore_key, ship_key
from pointsman.state.documents import Hold, read_hold
from pointsman.state.message import Said
from pointsman.state.names import Target
from pointsman.state.objects import Change, Commit, Oid
from pointsman.state.paths import is_target, path_kind, target_of
from pointsman.workspace import Workspace

_LOOKED_AT = 1000  # the newest commits of main that change manifests or holds


def merged_before(workspace: Workspace, text: str) -> tuple[Oid, list[Target]] | None:
    """The commit of main that the pull request with this id or branch became, and its targets; None if none did.

    For a target without an open pull request it is the commit that made its manifest on main.
    """
    repo, gate = workspace.repo, workspace.gate
    if text.count("/") == 1 and is_target(*text.split("/")):
        last = gate.lineage(repo.main, target := Target.parse(text)).last
        return (last.commit.oid, [target]) if last is not None and last.after is not None else None
    known, digits = workspace.forge.merged(text), text.rpartition("/")[2]
    for commit in islice(repo.history_below(repo.main, "manifests", "holds"), _LOOKED_AT):
        said = gate.past.message(commit).said
        if commit.oid == known or digits in _digits(repo, commit, said):
            return commit.oid, [target_of(change.path) for change in _changes(commit, "manifest")]
    return None


def _changes(commit: Commit, kind: str) -> list[Change]:
    return [change for change in commit.changes if path_kind(change.path) == kind]


def _digits(repo: Repository, commit: Commit, said: Sequence[Said]) -> Iterator[str]:
    """What the branch of its pull request may have ended in: that of a ship, of a rollback, or of a hold."""
    yield digits_of([ship_key(each) for each in said])
    after = {target_of(change.path): change.new.oid for change in _changes(commit, "manifest") if change.new}
    keys = {each.target: restore_key(each, after.get(each.target)) for each in said}
    for change in _changes(commit, "hold"):
        yield hold_branch(_held(change.path)).rpartition("/")[2]
        hold = read_hold(repo.content(change.new) or b"", change.path)
        if isinstance(hold, Hold) and hold.target != "all":
            target = Target.parse(hold.target)
            keys[target] = held_key(keys.get(target, ""), hold)
    yield digits_of([keys[target] for target in sorted(keys)])


def _held(path: str) -> str:
    """What the hold of a path is on: "tenant/surface", or "all"."""
    return path.removeprefix("holds/").removesuffix(".json")
