"""People and bots around the stand-in for GitLab: a clone, its settings, and a token."""

from __future__ import annotations

from pathlib import Path

from github.team import Team as GitHubTeam
from github.team import outcomes
from shop import CALM, git

from gitlab.hub import SLUG, Hub

__all__ = ["SETTINGS", "Team", "outcomes"]
SETTINGS = f'[forge]\nkind = "gitlab"\n{CALM}'


class Team(GitHubTeam):
    """The clone's git takes a short cut to the hub's repository, which is several times faster than HTTP."""

    hub: Hub  # type: ignore[assignment]

    def __init__(self, root: Path, hub: Hub, settings: str = SETTINGS) -> None:
        self.root = root
        self.hub = hub
        self.store = root / "store"
        self.url = f"{hub.url}/{SLUG}.git"
        self.desk = root / "desk"
        self._found(settings)
        git(self.desk, "add", "-A")
        git(self.desk, "commit", "-q", "-m", "settings")
        git(self.desk, "push", "-q", str(hub.repo), "main")
        git(self.desk, "remote", "add", "origin", self.url)
        git(self.desk, "config", f"url.{hub.root}/shop/.insteadOf", f"{hub.url}/shop/")
