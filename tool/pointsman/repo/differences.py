"""What differs between two trees, read from their objects: no process of its own, unlike git diff-tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count

from pointsman.errors import Problem
from pointsman.repo.git import Git
from pointsman.state.objects import TREE, Change, Entry, Oid

_MOST_TREES = 128  # above that git is faster


class _TooMany(Exception):
    """More trees differ than are read one by one."""


def differences(git: Git, old: Oid, new: Oid, *, without: str = "") -> list[Change] | None:
    """Every path that differs between two commits, as `git diff-tree -r` tells them, but not below `without`.

    None if too much differs, or if something cannot be read here: git says then what it is.
    """
    try:
        before, after = git.commit_tree(old), git.commit_tree(new)
        changes = _changes(git, "", Entry(TREE, before), Entry(TREE, after), count(1), without)
        return sorted(changes, key=lambda change: change.path.encode(errors="surrogateescape"))
    except (_TooMany, Problem):
        return None


def _changes(
    git: Git, path: str, old: Entry | None, new: Entry | None, read: Iterator[int], without: str
) -> Iterator[Change]:
    """The changed files at a path and below it."""
    if old == new or (without and path == without):
        return
    before, after = (entry if entry is not None and entry.mode != TREE else None for entry in (old, new))
    before, after = before and _plain(before), after and _plain(after)
    if before != after:
        yield Change(path, before, after)
    below = [_below(git, entry, read) for entry in (old, new)]
    for name in {**below[0], **below[1]}:
        inner = f"{path}/{name}" if path else name
        yield from _changes(git, inner, below[0].get(name), below[1].get(name), read, without)


def _below(git: Git, entry: Entry | None, read: Iterator[int]) -> Mapping[str, Entry]:
    if entry is None or entry.mode != TREE:
        return {}
    if next(read) > _MOST_TREES:
        raise _TooMany
    return git.tree(entry.oid)


def _plain(entry: Entry) -> Entry:
    """The entry with its mode as git diff-tree writes it."""
    if entry.mode.startswith("12"):
        return Entry("120000", entry.oid)
    return entry if entry.mode.startswith("100") else Entry("160000", entry.oid)
