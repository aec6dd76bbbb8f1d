"""A server that offers to leave out contents and then refuses to, as Gitea before 1.16.1, ends no command."""

from __future__ import annotations

import pytest

from gitea.hub import Hub
from gitea.team import Team
from pointsman.repo.snapshot import Snapshot
from pointsman.verbs import log, publish
from pointsman.workspace import Workspace


@pytest.mark.parametrize("protocol", ["2", pytest.param("0", marks=pytest.mark.slow)])
def test_a_url_is_fetched_whole_where_the_server_refuses_what_it_offers(
    team: Team, hub: Hub, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    hub.refuses_filter = True
    home = team.root / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f"[protocol]\nversion = {protocol}\n")
    monkeypatch.setenv("HOME", str(home))
    with team.open(team.url) as repo:
        assert Snapshot(repo, repo.refresh()).settings().forge == hub.brand.lower()


@pytest.mark.slow
def test_a_ship_goes_all_the_way_from_such_a_url(team: Team, hub: Hub) -> None:
    hub.refuses_filter, hub.needs_review = True, False
    with team.open(team.url) as repo:
        request = publish.Request((str(team.day(1)),), merge=True)
        assert publish.publish(Workspace(repo), request).exit_code == 0
    with team.open(team.url) as repo:
        assert [event.kind for event in log.log(Workspace(repo), log.Query()).value.events] == ["ship"]
