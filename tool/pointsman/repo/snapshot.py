"""The state of a repository at one commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pointsman.errors import Problem
from pointsman.repo.repository import Repository
from pointsman.settings import NEWER, SETTINGS_PATH, Settings, read_settings
from pointsman.state.documents import Manifest, read_manifest
from pointsman.state.names import Target, short
from pointsman.state.objects import PLAIN_FILE, TREE, Entry, Oid
from pointsman.state.paths import is_target


class Snapshot:
    """The tree of one commit (None: an empty tree), with `staged` paths on top. Only plain files are state."""

    def __init__(self, repo: Repository, commit: Oid | None, staged: Mapping[str, Entry | None] | None = None) -> None:
        self.repo = repo
        self.commit = commit
        self._root: Oid | None = None
        self._staged = staged or {}
        self._last: tuple[str, Mapping[str, Entry]] = ("", {})  # the directory that was looked into last; never ""

    def entry(self, path: str) -> Entry | None:
        """The entry at `path`; None if there is none. Finds only files if the history index has the commit."""
        if path in self._staged:
            return self._staged[path]
        if self.commit is None:
            return None
        index = self.repo.history_index
        return index.entry(self.commit, path) if index and self.commit in index else self._in_tree(path)

    def _in_tree(self, path: str) -> Entry | None:
        if self.commit is None:
            return None
        above, slash, name = path.rpartition("/")
        if not slash:
            return self._walk(path)
        directory, entries = self._last
        if directory != above:
            entry = self._walk(above)
            entries = self.repo.git.tree(entry.oid) if entry is not None and entry.mode == TREE else {}
            self._last = above, entries
        return entries.get(name)

    def _walk(self, path: str) -> Entry | None:
        """The entry at a path, name by name from the root, which is ""."""
        if self._root is None:
            assert self.commit is not None
            self._root = self.repo.tree_of(self.commit)
        entry: Entry | None = Entry(TREE, self._root)
        for name in path.split("/") if path else ():
            if entry is None or entry.mode != TREE:
                return None
            entry = self.repo.git.tree(entry.oid).get(name)
        return entry

    def read(self, path: str) -> bytes | None:
        """The content of the plain file at `path`, None if there is none."""
        return self.repo.content(self.entry(path))

    def listing(self, path: str) -> Mapping[str, Entry]:
        """The entries of the directory `path` ("": the root) in the commit. Empty if there is no such directory."""
        entry = self._in_tree(path)
        return self.repo.git.tree(entry.oid) if entry is not None and entry.mode == TREE else {}

    def names(self, path: str) -> list[str]:
        """The names of the subtrees of the directory `path`."""
        return [name for name, child in self.listing(path).items() if child.mode == TREE]

    def targets(self, root: str) -> Iterator[Target]:
        """Every target that has a directory below `root`, "manifests" or "registry". Other names are skipped."""
        for tenant in self.names(root):
            for surface in self.names(f"{root}/{tenant}"):
                if is_target(tenant, surface):
                    yield Target(tenant, surface)

    def files(self, path: str) -> list[str]:
        """The names of the plain files in the directory `path`."""
        return [name for name, child in self.listing(path).items() if child.mode == PLAIN_FILE]

    def files_beginning(self, path: str, start: str) -> list[str]:
        """The names of the plain files in the directory `path` that begin with `start`.

        Each of very many commits may be asked: the history index tells it without a look at the others of a directory.
        """
        index = self.repo.history_index
        if self.commit is None or index is None or self.commit not in index:
            return [name for name in self.files(path) if name.startswith(start)]
        there = index.beginning(self.commit, f"{path}/{start}")
        names = ((found.removeprefix(f"{path}/"), entry) for found, entry in there)
        return [name for name, entry in names if "/" not in name and entry.mode == PLAIN_FILE]

    def settings(self) -> Settings:
        """The settings in force at this commit; Problem if there are none or they are wrong."""
        data = self.read(SETTINGS_PATH)
        if data is None:
            raise Problem(self._no_settings())
        where = f"{SETTINGS_PATH} at {short(self.commit)}" if self.commit else SETTINGS_PATH
        skipped: list[str] = []
        settings = read_settings(data, where, skip=skipped if self.repo.skips_tables else None)
        if skipped:
            tables = ", ".join(f"[{name}]" for name in skipped)
            note = f"{SETTINGS_PATH}: going on without {tables}, which this version does not know: {NEWER}"
            self.repo.notes[:] = [*(each for each in self.repo.notes if each != note), note]
        return settings

    def _no_settings(self) -> str:
        """Why there are none, and what to do."""
        at = f"at {short(self.commit)}" if self.commit else "here"
        if self.entry(SETTINGS_PATH) is not None:
            return f"{SETTINGS_PATH} {at} is not a plain file: commit a file of mode 100644 in its place"
        if self.listing("manifests"):
            says = f"someone deleted it: git log -1 -- {SETTINGS_PATH} names the commit, git revert it"
            return f"there is no {SETTINGS_PATH} {at}, which has manifests: {says}"
        return f"there is no {SETTINGS_PATH} {at}: this is not a manifest repository (pointsman init DIR makes one)"


def versions_in(repo: Repository, entry: Entry | None) -> Mapping[str, str]:
    """Artifact type → version, of the manifest in a tree entry. Empty if there is none or it cannot be read."""
    data = repo.content(entry)
    found = read_manifest(data, "") if data is not None else None
    return found.versions if isinstance(found, Manifest) else {}
