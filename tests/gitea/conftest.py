"""The hub that a test talks to. What the description of its brand has against a call or an answer fails the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitea.hub import TOKEN, Hub
from gitea.team import Team
from pointsman.forge.base import Opened, Page
from pointsman.forge.gitea.brand import FORGEJO, GITEA, Brand
from pointsman.forge.gitea.client import Client
from pointsman.forge.gitea.place import place_of
from pointsman.forge.gitea.pulls import Gitea
from pointsman.forge.http import Pacer
from pointsman.repo.repository import Repository

BRANDS = {brand.name: brand for brand in (GITEA, FORGEJO)}
Forge = tuple[Gitea, Opened]


@pytest.fixture(params=["Gitea", pytest.param("Forgejo", marks=pytest.mark.slow)])
def brand(request: pytest.FixtureRequest) -> Brand:
    return BRANDS[request.param]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, brand: Brand) -> Iterator[Hub]:
    for each in BRANDS.values():
        monkeypatch.delenv(each.address, raising=False)
        monkeypatch.delenv(each.tokens[0], raising=False)
    hub = Hub(tmp_path / "hub", brand.name)
    monkeypatch.setenv(brand.tokens[0], TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield hub
    hub.close()
    assert hub.wrong == []


@pytest.fixture
def team(tmp_path: Path, hub: Hub) -> Team:
    return Team(tmp_path, hub)


def fast(repo: Repository, hub: Hub) -> Gitea:
    """The adapter, waiting for nothing."""
    brand = BRANDS[hub.brand]
    place = place_of(brand, repo.remote)
    assert place is not None
    client = Client(brand, place, lambda: TOKEN, Pacer(sleep=lambda seconds: None, patience=1000))
    repo.held.callback(client.close)
    return Gitea(repo, client)


@pytest.fixture
def forge(team: Team, hub: Hub, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    """The adapter, and pull request 1 of a branch that touches no file of another."""
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
        adapter = fast(repo, hub)
        head = repo.heads["refs/heads/ship/grocer/home/one"]
        yield adapter, adapter.open("ship/grocer/home/one", head, Page("title", lambda: "body"))
