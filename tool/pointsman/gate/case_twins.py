"""Names that differ only in case. A file system that ignores case takes them for the same name."""

from __future__ import annotations

from collections.abc import Sequence

from pointsman.repo.history_cache import HistoryIndex
from pointsman.repo.snapshot import Snapshot
from pointsman.state.objects import Change
from pointsman.state.paths import STATE_ROOTS, folded


def case_twins(base: Snapshot, changes: Sequence[Change], index: HistoryIndex | None) -> dict[str, str]:
    """Added path → a path that differs only in case from it, or from a directory above it.

    `index`: the history that was read, if any. It knows every spelling that was ever used.
    """
    gone = {change.path for change in changes if change.new is None}
    spellings: dict[str, dict[str, dict[str, str]]] = {}  # directory → folded name → name → the path that adds it
    known: set[str] = set()  # what is on the base
    for change in changes:
        if change.new is None or change.old is not None or (index and not index.spelled_otherwise(change.path)):
            continue
        directory = ""
        for name in change.path.split("/"):
            if directory not in spellings:
                spellings[directory] = {}
                for there in base.listing(directory.rstrip("/")):
                    spellings[directory].setdefault(folded(there), {})[there] = ""
                    known.add(directory + there)
            names = spellings[directory].setdefault(folded(name), {})
            names[name] = names.get(name) or change.path
            directory = f"{directory}{name}/"
    twins: dict[str, str] = {}
    for directory, same in spellings.items():
        if not directory:  # the roots of state are reserved, even if they do not exist yet
            for root in STATE_ROOTS:
                same.setdefault(folded(root), {}).setdefault(root, root)
        for names in same.values():
            paths = {name: path for name, path in names.items() if path and path not in STATE_ROOTS}
            added = [paths[name] for name in sorted(paths, key=lambda name: directory + name in known)]
            if len(names) > 1 and added:
                others = [name for name, path in names.items() if path or _stays(base, directory + name, gone)]
                own = added[0][len(directory) :].partition("/")[0]
                twins.update((added[0], directory + other) for other in others if other != own)
    return twins


def _stays(base: Snapshot, path: str, gone: set[str]) -> bool:
    """Whether a path, or any file below it, exists without the files that are `gone`."""
    below = base.listing(path)
    return any(_stays(base, f"{path}/{name}", gone) for name in below) if below else path not in gone
