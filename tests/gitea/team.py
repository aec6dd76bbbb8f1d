"""A team on the hub: its repository, a store, and a bot with a clone and a token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shop import CALM, git, popularity

from gitea.hub import Hub
from pointsman.forge.open import credentials
from pointsman.outcome import Outcome
from pointsman.repo.open import open_repository
from pointsman.repo.repository import Repository
from pointsman.verbs import publish, refresh, sync
from pointsman.workspace import Workspace

SETTINGS = f'[forge]\nkind = "KIND"\n{CALM}'
BY_ITSELF = SETTINGS.replace('KIND"\n', 'KIND"\nauto_merge = true\n')


def outcomes(outcome: Outcome[Any]) -> list[str]:
    return [each["outcome"] for each in outcome.document["targets"]]


class Team:
    """The clone's git takes a short cut to the hub's repository, which is several times faster than HTTP."""

    def __init__(self, root: Path, hub: Hub, settings: str = SETTINGS) -> None:
        self.root = root
        self.hub = hub
        self.store = root / "store"
        self.url = f"{hub.url}/o/r.git"
        self.desk = root / "desk"
        self._found(settings.replace("KIND", hub.brand.lower()))
        git(self.desk, "add", "-A")
        git(self.desk, "commit", "-q", "-m", "settings")
        git(self.desk, "push", "-q", str(hub.repo), "main")
        git(self.desk, "remote", "add", "origin", self.url)
        git(self.desk, "config", f"url.{hub.root}/o/.insteadOf", f"{hub.url}/o/")

    def _found(self, settings: str) -> None:
        git(self.root, "init", "-q", "-b", "main", str(self.desk))
        (self.desk / "pointsman.toml").write_text(f'[store]\nurl = "file://{self.store}"\n{settings}')

    @contextmanager
    def open(self, where: str | None = None) -> Iterator[Repository]:
        with open_repository(where or str(self.desk), credentials) as repo:
            yield repo

    def publish(self, *paths: Path, **more: Any) -> Outcome[Any]:
        with self.open() as repo:
            return publish.publish(Workspace(repo), publish.Request(tuple(map(str, paths)), **more))

    def day(self, day: int, items: int = 30) -> Path:
        return popularity(self.root / f"popularity-{day}-{items}.json", items, day=day)

    def shipped(self, day: int) -> int:
        """Publish a day and have it merged by people; the number of its pull request."""
        number = int(self.publish(self.day(day)).document["targets"][0]["pull_request"]["id"])
        self.hub.approve(number)
        self.hub.button(number)
        return number

    def refresh(self, named: str | None = None) -> list[dict[str, Any]]:
        with self.open() as repo:
            told: list[dict[str, Any]] = refresh.refresh(Workspace(repo), named).document["pull_requests"]
            return told

    def sync(self) -> bytes:
        with self.open() as repo:
            assert sync.sync(Workspace(repo)).exit_code == 0
        return self.served

    @property
    def served(self) -> bytes:
        """What a reader of serving gets."""
        return (self.store / "registry" / "current" / "grocer" / "home" / "manifest.json").read_bytes()
