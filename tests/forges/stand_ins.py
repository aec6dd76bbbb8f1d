"""The stand-in for each forge that has a server, by the name in `[forge] kind`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from forge_server import ForgeServer
from gitea import conftest as gitea
from github import conftest as github
from gitlab import conftest as gitlab

from pointsman.forge.gitea.brand import FORGEJO, GITEA
from pointsman.repo.repository import Repository

KINDS = ("github", "gitlab", "gitea", "forgejo")
OWN = ("github", "gitlab", "gitea")  # Forgejo answers as Gitea does, so a part of the suite plays there alone


def stand_in(kind: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> AbstractContextManager[ForgeServer]:
    """A server, and the environment that names it. What its description has against a call fails the test."""
    if kind == "github":
        return github.standing(root, monkeypatch)
    if kind == "gitlab":
        return gitlab.standing(root, monkeypatch)
    return gitea.standing(root, monkeypatch, GITEA if kind == "gitea" else FORGEJO)


def fast(repo: Repository, hub: Any) -> Any:
    """The adapter for a stand-in, waiting for nothing."""
    if hub.kind == "github":
        return github.fast(repo, hub)
    return gitlab.fast(repo, hub) if hub.kind == "gitlab" else gitea.fast(repo, hub)
