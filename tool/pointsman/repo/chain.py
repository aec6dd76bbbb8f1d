"""The chain of commits that made one file what it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pointsman.repo.repository import Repository
from pointsman.state.documents import Manifest, read_manifest
from pointsman.state.objects import Commit, Entry, Oid


class Chain:
    """The first-parent commits that changed one path, newest first, read only as far as asked."""

    def __init__(self, repo: Repository, tip: Oid | None, path: str, *, no_older_than: Oid | None = None) -> None:
        self.tip = tip
        self.path = path
        coming = repo.history(tip, path, no_older_than=no_older_than) if tip is not None else iter(())
        self._coming: Iterator[Commit] = coming
        self._read: list[Commit] = []
        self._places: dict[Oid, int] = {}

    def at(self, place: int) -> Commit | None:
        """The commit `place` steps back, None beyond the first."""
        while len(self._read) <= place:
            commit = next(self._coming, None)
            if commit is None:
                return None
            if any(change.path == self.path for change in commit.changes):  # not only something below it
                self._places[commit.oid] = len(self._read)
                self._read.append(commit)
        return self._read[place]

    def place(self, commit: Oid) -> int:
        """How many steps back a commit stands that changed the path."""
        while commit not in self._places and self.at(len(self._read)) is not None:
            pass
        return self._places[commit]

    def since(self, place: int) -> Iterator[tuple[int, Commit]]:
        """Place and commit, from `place` steps back to the first."""
        while (commit := self.at(place)) is not None:
            yield place, commit
            place += 1

    def step(self, commit: Commit) -> tuple[Entry | None, Entry | None]:
        """What the path was before and after one commit of this chain."""
        change = next(change for change in commit.changes if change.path == self.path)
        return change.old, change.new


def versions_in(repo: Repository, entry: Entry | None) -> Mapping[str, str]:
    """Artifact type → version, of the manifest in a tree entry; nothing where there is none or it cannot be read."""
    data = repo.content(entry)
    found = read_manifest(data, "") if data is not None else None
    return found.versions if isinstance(found, Manifest) else {}
