"""The hub that a test talks to. What the description of its brand has against a call or an answer fails the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from forge_team import adapted

from gitea.hub import TOKEN, Hub
from gitea.team import Team
from pointsman.forge.base import Opened
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


@contextmanager
def standing(root: Path, monkeypatch: pytest.MonkeyPatch, brand: Brand) -> Iterator[Hub]:
    """A stand-in, and the environment with its token. A server on this machine needs no address."""
    for each in BRANDS.values():
        monkeypatch.delenv(each.address, raising=False)
        monkeypatch.delenv(each.tokens[0], raising=False)
    hub = Hub(root, brand.name)
    monkeypatch.setenv(brand.tokens[0], TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield hub
    hub.close()
    assert hub.wrong == []


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, brand: Brand) -> Iterator[Hub]:
    with standing(tmp_path / "hub", monkeypatch, brand) as hub:
        yield hub


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
def forge(team: Team) -> Iterator[Forge]:
    with adapted(team, fast) as found:
        yield found
