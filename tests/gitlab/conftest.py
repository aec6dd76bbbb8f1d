"""The hub that a test talks to; whatever GitLab's description has against a call or an answer fails the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitlab.hub import TOKEN, Hub
from gitlab.team import Team
from pointsman.forge.base import Opened, Page
from pointsman.forge.gitlab.client import Client
from pointsman.forge.gitlab.place import place_of
from pointsman.forge.gitlab.pulls import GitLab
from pointsman.forge.http import Pacer
from pointsman.repo.repository import Repository


def environment(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITLAB_HOST", hub.url)
    monkeypatch.setenv("GITLAB_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("CI_SERVER_URL", "CI_JOB_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub(tmp_path / "hub")
    environment(hub, monkeypatch)
    yield hub
    hub.close()
    assert hub.wrong == []


@pytest.fixture
def team(tmp_path: Path, hub: Hub) -> Team:
    return Team(tmp_path, hub)


def fast(repo: Repository) -> GitLab:
    """The adapter, waiting for nothing."""
    place = place_of(repo.remote)
    assert place is not None
    client = Client(place, lambda: TOKEN, Pacer(sleep=lambda seconds: None, patience=1000))
    repo.held.callback(client.close)
    return GitLab(repo, client)


@pytest.fixture
def forge(
    team: Team, hub: Hub, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[GitLab, Opened]]:
    """The adapter, waiting for nothing, and merge request 1 of a branch that touches no file of another."""
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
        adapter = fast(repo)
        head = repo.heads["refs/heads/ship/grocer/home/one"]
        yield adapter, adapter.open("ship/grocer/home/one", head, Page("title", lambda: "body"))
