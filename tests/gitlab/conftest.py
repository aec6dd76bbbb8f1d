"""The hub that a test talks to; whatever GitLab's description has against a call or an answer fails the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from forge_team import adapted

from gitlab.hub import TOKEN, Hub
from gitlab.team import Team
from pointsman.forge.base import Opened
from pointsman.forge.gitlab.client import Client
from pointsman.forge.gitlab.place import place_of
from pointsman.forge.gitlab.pulls import GitLab
from pointsman.forge.http import Pacer
from pointsman.repo.repository import Repository


@contextmanager
def standing(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A stand-in, and the environment that names it."""
    hub = Hub(root)
    monkeypatch.setenv("GITLAB_HOST", hub.url)
    monkeypatch.setenv("GITLAB_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("CI_SERVER_URL", "CI_JOB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    yield hub
    hub.close()
    assert hub.wrong == []


def fast(repo: Repository, hub: Hub) -> GitLab:
    """The adapter, waiting for nothing."""
    place = place_of(repo.remote)
    assert place is not None
    client = Client(place, lambda: TOKEN, Pacer(sleep=lambda seconds: None, patience=1000))
    repo.held.callback(client.close)
    return GitLab(repo, client)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with standing(tmp_path / "hub", monkeypatch) as hub:
        yield hub


@pytest.fixture
def team(tmp_path: Path, hub: Hub) -> Team:
    return Team(tmp_path, hub)


@pytest.fixture
def forge(team: Team) -> Iterator[tuple[GitLab, Opened]]:
    with adapted(team, fast) as found:
        yield found
