"""The hub that a test talks to; whatever GitHub's description has against a call or an answer fails the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from github.hub import TOKEN, Hub
from github.team import Team


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
