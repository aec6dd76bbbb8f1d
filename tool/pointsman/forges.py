"""Which forge a repository is on."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from pointsman.forge import Forge
from pointsman.local_forge import LocalForge
from pointsman.repo import Repository

_OPEN: WeakKeyDictionary[Repository, Forge] = WeakKeyDictionary()  # one for each: what it counts, it counts for a run


def open_forge(repo: Repository) -> Forge:
    """The forge that the settings on main name."""
    if repo not in _OPEN:
        _OPEN[repo] = LocalForge(repo)
    return _OPEN[repo]
