"""Which targets a branch changes, by its diff. A message may say less than the diff does."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pointsman.repo.git import OddTree
from pointsman.repo.repository import Repository
from pointsman.state.names import Target
from pointsman.state.objects import TREE, Entry, Oid
from pointsman.state.paths import path_kind, target_of


def changed_targets(repo: Repository, heads: Collection[Oid]) -> dict[Oid, tuple[Target, ...]]:
    """Head → the targets whose manifests it changes since it left main. One run of git for all heads."""
    there = [head for head in dict.fromkeys(heads) if repo.git.object(head) is not None]
    forks = _forks(repo, there)
    return {head: _between(repo, forks[head], head) for head in there}


def _forks(repo: Repository, heads: Collection[Oid]) -> dict[Oid, Oid | None]:
    """Head → where it left main; None if it shares no history with main."""
    if not heads:
        return {}
    given = "\n".join([*heads, f"^{repo.main}", ""])
    lines = repo.git.ask("rev-list", "--parents", "--stdin", given=given.encode()).splitlines()
    parents = {Oid(commit): list(map(Oid, rest)) for commit, *rest in map(str.split, lines)}
    found: dict[Oid, Oid | None] = {}
    for head in heads:
        at = head
        while len(above := parents.get(at, [])) == 1:
            (at,) = above
        found[head] = repo.merge_base(repo.main, head) if at in parents else at
    return found


def _between(repo: Repository, fork: Oid | None, head: Oid) -> tuple[Target, ...]:
    if fork is None:
        return ()
    try:
        # Not `Snapshot.entry`, which finds no directory of a commit that the history index has.
        before, after = (repo.git.tree(repo.tree_of(commit)).get("manifests") for commit in (fork, head))
        paths = [f"manifests/{path}" for path in _differing(repo, before, after)]
    except OddTree:
        paths = [change.path for change in repo.differences(fork, head)]
    return tuple(dict.fromkeys(target_of(path) for path in paths if path_kind(path) == "manifest"))


def _differing(repo: Repository, before: Entry | None, after: Entry | None) -> Iterator[str]:
    """The paths of the files that differ between two directories. It reads only directories that differ."""
    old, new = (repo.git.tree(each.oid) if each is not None and each.mode == TREE else {} for each in (before, after))
    for name in sorted({*old, *new}):
        one, other = old.get(name), new.get(name)
        if one == other:
            continue
        if any(each is not None and each.mode != TREE for each in (one, other)):
            yield name
        if any(each is not None and each.mode == TREE for each in (one, other)):
            yield from (f"{name}/{path}" for path in _differing(repo, one, other))
