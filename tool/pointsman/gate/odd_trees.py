"""Trees that git would not write: entries twice, in another order, or with a slash in a name."""

from __future__ import annotations

from collections.abc import Sequence

from pointsman.repo.git import OddTree
from pointsman.repo.history_cache import HistoryIndex
from pointsman.repo.snapshot import Snapshot
from pointsman.state.objects import Change, Commit


def odd_trees(head: Snapshot, changes: Sequence[Change]) -> dict[str, str]:
    """Directory above a changed path → why its tree is odd. Below an odd directory none is looked at."""
    directories = {change.path[:end] for change in changes for end in _ends(change.path)}
    odd: dict[str, str] = {}
    for directory in sorted(directories):
        if not any(directory.startswith(f"{above}/") or above == "." for above in odd):
            try:
                head.listing(directory)
            except OddTree:
                says = (
                    "this directory has entries twice, out of order or with a slash in a name, as git never writes it"
                )
                odd[directory or "."] = says
    return odd


def odd_changes(index: HistoryIndex | None, commit: Commit) -> dict[str, str]:
    """The same for a commit of the past, without reading its trees: what git shows does not follow on its parent."""
    odd: dict[str, str] = {}
    seen: set[str] = set()
    for change in commit.changes if index is not None else ():
        assert index is not None
        before = index.entry(commit.parents[0], change.path) if commit.parents else None
        if change.path in seen or before != change.old:
            odd[change.path.rpartition("/")[0] or "."] = "git shows a path in this directory that is there twice"
        seen.add(change.path)
    return odd


def _ends(path: str) -> list[int]:
    return [0, *(place for place, letter in enumerate(path) if letter == "/")]
