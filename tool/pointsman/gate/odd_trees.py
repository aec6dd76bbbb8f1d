"""Trees that git would not write: entries twice, in another order, with a slash in a name, or with an odd mode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pointsman.repo.git import OddTree
from pointsman.repo.history_cache import HistoryIndex
from pointsman.repo.snapshot import Snapshot
from pointsman.state.objects import TREE, Change, Commit, Entry


def odd_trees(base: Snapshot, head: Snapshot, changes: Sequence[Change]) -> dict[str, str]:
    """Directory that is not as in `base` → why its tree is odd. Below an odd directory none is looked at.

    It may have the same files as before: a mode of another form shows in no diff, and sync could not read main.
    """
    directories = {change.path[:end] for change in changes for end in _ends(change.path)} | set(_unlike(base, head))
    odd: dict[str, str] = {}
    for directory in sorted(directories):
        if not any(directory.startswith(f"{above}/") or above == "." for above in odd):
            try:
                head.listing(directory)
            except OddTree:
                says = (
                    "this directory has entries twice, out of order, with a slash in a name or with an odd mode, "
                    "as git never writes it"
                )
                odd[directory or "."] = says
    return odd


def odd_changes(index: HistoryIndex | None, commit: Commit, base: Snapshot, head: Snapshot) -> dict[str, str]:
    """The same for a commit of the past, without reading its trees: what git shows does not follow on its parent.

    The trees of a commit that shows no change are read: it may have others all the same.
    """
    odd: dict[str, str] = {} if commit.changes else odd_trees(base, head, ())
    seen: set[str] = set()
    for change in commit.changes if index is not None else ():
        assert index is not None
        before = index.entry(commit.parents[0], change.path) if commit.parents else None
        if change.path in seen or before != change.old:
            odd[change.path.rpartition("/")[0] or "."] = "git shows a path in this directory that is there twice"
        seen.add(change.path)
    return odd


def _unlike(base: Snapshot, head: Snapshot) -> Iterator[str]:
    """The directories whose trees have another id than in `base`."""
    waiting = [""]
    while waiting:
        directory = waiting.pop()
        yield directory
        before = _entries(base, directory)
        for name, entry in _entries(head, directory).items():
            if entry.mode == TREE and before.get(name) != entry:
                waiting.append(f"{directory}/{name}" if directory else name)


def _entries(snapshot: Snapshot, directory: str) -> Mapping[str, Entry]:
    try:
        return snapshot.listing(directory)
    except OddTree:
        return {}


def _ends(path: str) -> list[int]:
    return [0, *(place for place, letter in enumerate(path) if letter == "/")]
