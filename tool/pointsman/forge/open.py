"""The kinds of forges, and which one a repository uses. A new kind needs one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pointsman.errors import Problem
from pointsman.forge.base import Forge
from pointsman.forge.local import LocalForge
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot


def _github(repo: Repository) -> Forge:
    from pointsman.forge.github.pulls import open_github

    return open_github(repo)


def _gitea(repo: Repository) -> Forge:
    from pointsman.forge.gitea.brand import GITEA
    from pointsman.forge.gitea.pulls import open_pulls

    return open_pulls(GITEA, repo)


def _forgejo(repo: Repository) -> Forge:
    from pointsman.forge.gitea.brand import FORGEJO
    from pointsman.forge.gitea.pulls import open_pulls

    return open_pulls(FORGEJO, repo)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of forge."""

    open: Callable[[Repository], Forge]
    pulls: str  # its pull requests, in words for a sentence
    files: Mapping[str, str]  # what `init` writes for it: path in the new repository → its file under templates/


_GITHUB_FILES = {
    ".github/install.sh": "github/install.sh",
    ".github/ruleset.json": "github/ruleset.json",
    ".github/workflows/audit.yml": "github/workflows/audit.yml",
    ".github/workflows/check.yml": "github/workflows/check.yml",
    ".github/workflows/drift.yml": "github/workflows/drift.yml",
    ".github/workflows/gc.yml": "github/workflows/gc.yml",
    ".github/workflows/publish.yml": "github/workflows/publish.yml",
    ".github/workflows/refresh.yml": "github/workflows/refresh.yml",
    ".github/workflows/revert.yml": "github/workflows/revert.yml",
    ".github/workflows/rollback.yml": "github/workflows/rollback.yml",
    ".github/workflows/ship.yml": "github/workflows/ship.yml",
    "docs/github.md": "github.md",
}

# By the name in `[forge] kind`; `settings.FORGES` lists them. A local repository may be pushed to GitHub later.
KINDS: Mapping[str, Kind] = {
    "local": Kind(LocalForge, "its branches", _GITHUB_FILES),
    "github": Kind(_github, "those of GitHub", _GITHUB_FILES),
    "gitea": Kind(_gitea, "those of Gitea", {}),
    "forgejo": Kind(_forgejo, "those of Forgejo", {}),
}


def open_forge(repo: Repository) -> Forge:
    """The forge that the settings on main name; Problem if it cannot be used."""
    kind = Snapshot(repo, repo.main).settings().forge
    if kind not in KINDS:
        raise Problem(f"forge.kind is {kind!r}, which this version of pointsman does not know: install a newer one")
    return KINDS[kind].open(repo)


def credentials(remote: str | None) -> Callable[[], Mapping[str, str]] | None:
    """A function that returns git's environment with the credentials for a remote; None if there are none."""
    from pointsman.forge.gitea.brand import FORGEJO, GITEA
    from pointsman.forge.gitea.place import credentials_for
    from pointsman.forge.github.token import git_environment

    for found in (git_environment(remote), credentials_for(GITEA, remote), credentials_for(FORGEJO, remote)):
        if found is not None:
            return found
    return None
