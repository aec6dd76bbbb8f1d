"""The hub that a test talks to; whatever GitHub's description has against a call or an answer fails the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from forge_team import adapted

from github.hub import TOKEN, Hub
from github.team import Team
from pointsman.forge.base import Opened
from pointsman.forge.github.client import Client
from pointsman.forge.github.pulls import GitHub, open_github
from pointsman.forge.http import Pacer
from pointsman.repo.repository import Repository


@contextmanager
def standing(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A stand-in, and the environment that names it."""
    hub = Hub(root)
    monkeypatch.setenv("GITHUB_SERVER_URL", hub.url)
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("GITHUB_API_URL", "GITHUB_GRAPHQL_URL", "GH_TOKEN", "POINTSMAN_APP_ID"):
        monkeypatch.delenv(name, raising=False)
    yield hub
    hub.close()
    assert hub.wrong == []


def fast(repo: Repository, hub: Hub) -> GitHub:
    """The adapter, waiting for nothing."""
    client = Client(open_github(repo).place, lambda: TOKEN, Pacer(sleep=lambda seconds: None, patience=1000))
    repo.held.callback(client.close)
    return GitHub(repo, client)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with standing(tmp_path / "hub", monkeypatch) as hub:
        yield hub


@pytest.fixture
def team(tmp_path: Path, hub: Hub) -> Team:
    return Team(tmp_path, hub)


@pytest.fixture
def forge(team: Team) -> Iterator[tuple[GitHub, Opened]]:
    with adapted(team, fast) as found:
        yield found
