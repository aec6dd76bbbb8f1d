"""The stand-in of each kind in turn. A test that names some plays on these alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from forge_server import ForgeServer
from forge_team import Team

from forges.stand_ins import OWN, stand_in


@pytest.fixture(params=OWN)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def hub(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForgeServer]:
    with stand_in(kind, tmp_path / "hub", monkeypatch) as hub:
        yield hub


@pytest.fixture
def team(tmp_path: Path, hub: ForgeServer) -> Team[ForgeServer]:
    return Team(tmp_path, hub)
