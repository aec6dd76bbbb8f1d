"""Which forge a repository is on."""

from __future__ import annotations

from pointsman.forge.base import Forge
from pointsman.forge.local import LocalForge
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot

_OPEN: dict[Repository, Forge] = {}  # as long as the repository is: what a forge counts, it counts for a run


def open_forge(repo: Repository) -> Forge:
    """The forge that the settings on main name."""
    if repo not in _OPEN:
        _OPEN[repo] = _open(repo)
        repo.held.callback(_OPEN.pop, repo, None)
    return _OPEN[repo]


def _open(repo: Repository) -> Forge:
    if Snapshot(repo, repo.main).settings().forge == "local":
        return LocalForge(repo)
    from pointsman.forge.github.pulls import open_github

    return open_github(repo)
