"""Which forge a repository is on: a new kind is one line here."""

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


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of forge: how it is opened, what its pull requests are, in a sentence, and what it needs."""

    open: Callable[[Repository], Forge]
    pulls: str
    files: Mapping[str, str]  # what `init` writes for it: path in the new repository → its file under templates/


_GITHUB_FILES = {
    ".github/install.sh": "github/install.sh",
    ".github/ruleset.json": "github/ruleset.json",
    ".github/workflows/audit.yml": "github/workflows/audit.yml",
    ".github/workflows/check.yml": "github/workflows/check.yml",
    ".github/workflows/drift.yml": "github/workflows/drift.yml",
    ".github/workflows/publish.yml": "github/workflows/publish.yml",
    ".github/workflows/refresh.yml": "github/workflows/refresh.yml",
    ".github/workflows/revert.yml": "github/workflows/revert.yml",
    ".github/workflows/rollback.yml": "github/workflows/rollback.yml",
    ".github/workflows/ship.yml": "github/workflows/ship.yml",
    "docs/github.md": "github.md",
}

# By the name in `[forge] kind`, which `settings.FORGES` lists. A local repository may be pushed to GitHub one day.
KINDS: Mapping[str, Kind] = {
    "local": Kind(LocalForge, "its branches", _GITHUB_FILES),
    "github": Kind(_github, "those of GitHub", _GITHUB_FILES),
}


def open_forge(repo: Repository) -> Forge:
    """The forge that the settings on main name; Problem if it cannot be used."""
    kind = Snapshot(repo, repo.main).settings().forge
    if kind not in KINDS:
        raise Problem(f"forge.kind is {kind!r}, which this version of pointsman does not know: update it")
    return KINDS[kind].open(repo)


def credentials(remote: str | None) -> Callable[[], Mapping[str, str]] | None:
    """What lets git in at a remote, of whichever forge that is; None if nothing is needed or known."""
    from pointsman.forge.github.token import git_environment

    return git_environment(remote)
