"""The hub that a test talks to; whatever GitHub's description has against a call or an answer fails the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from github.hub import TOKEN, Hub
from github.team import Team
from pointsman.forge.base import Opened, Page
from pointsman.forge.github.client import Client
from pointsman.forge.github.pulls import GitHub, open_github
from pointsman.forge.http import Pacer


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub(tmp_path / "hub")
    monkeypatch.setenv("GITHUB_SERVER_URL", hub.url)
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("GITHUB_API_URL", "GITHUB_GRAPHQL_URL", "GH_TOKEN", "POINTSMAN_APP_ID"):
        monkeypatch.delenv(name, raising=False)
    yield hub
    hub.close()
    assert hub.wrong == []


@pytest.fixture
def team(tmp_path: Path, hub: Hub) -> Team:
    return Team(tmp_path, hub)


@pytest.fixture
def forge(
    team: Team, hub: Hub, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[GitHub, Opened]]:
    """The adapter, waiting for nothing, and pull request 1 of a branch that touches no file of another."""
    if "hang" in request.node.name:
        monkeypatch.setenv("POINTSMAN_REMOTE_TIMEOUT", "2")
    tree = hub.git("rev-parse", "main^{tree}")
    for name in ("one", "new"):
        blob = hub.git("hash-object", "-w", "--stdin", given=name)
        new = hub.git("mktree", given=f"{hub.git('ls-tree', tree)}\n100644 blob {blob}\t{name}\n")
        commit = hub.git("commit-tree", new, "-p", "main", given="title\n\nbody\n")
        hub.git("update-ref", f"refs/heads/ship/grocer/home/{name}", commit)
    with team.open() as repo:
        repo.refresh()
        adapter = open_github(repo)
        pace = Pacer(sleep=lambda seconds: None, patience=1000)
        fast = Client(adapter.place, lambda: TOKEN, pace)
        repo.held.callback(fast.close)
        adapter = GitHub(repo, fast)
        head = repo.heads["refs/heads/ship/grocer/home/one"]
        yield adapter, adapter.open("ship/grocer/home/one", head, Page("title", lambda: "body"))
