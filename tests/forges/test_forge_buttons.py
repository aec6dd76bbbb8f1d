"""Whatever button is pressed: main is a good state that audit can read, or sync keeps serving where it is."""

from __future__ import annotations

import pytest
from approving import approved_ship
from conftest import half
from forge_server import ForgeServer
from forge_team import Team, outcomes
from gitea.hub import Hub as GiteaHub
from github.hub import Hub as GitHubHub
from gitlab.hub import Hub as GitLabHub
from shop import GROCER

from pointsman.verbs import rollback, sync
from pointsman.workspace import Workspace

pytestmark = pytest.mark.slow
WAYS = [
    *(("github", how) for how in GitHubHub.ways),
    *(("gitlab", how) for how in GitLabHub.ways),
    *(("gitea", how) for how in GiteaHub.ways),
]


def back(team: Team[ForgeServer], hub: ForgeServer) -> None:
    """A rollback, by a pull request that people approve and the bot merges."""
    with team.open() as repo:
        rollback.roll_back(Workspace(repo), rollback.Request((GROCER,)))
    (number,) = hub.numbers("rollback/", "open")
    hub.approve(number)
    team.merge(number)


@pytest.mark.parametrize(
    "kind, how, commits", half([(*way, commits) for way in WAYS for commits in (1, 2)]), indirect=["kind"]
)
def test_each_button_makes_a_ship_that_is_served_and_audited_and_that_can_be_undone(
    team: Team[ForgeServer], hub: ForgeServer, how: str, commits: int
) -> None:
    team.shipped(1)
    before = team.sync()
    team.publish(team.day(2))
    base = hub.head("main")
    (number,) = hub.numbers("ship/", "open")
    if commits == 2:
        hub.push(hub.branch(number), "a word\n")
        hub.look()
    hub.approve(number)
    hub.button(number, how)
    message = hub.git("log", "-1", "--format=%B", "main")
    assert ("---------" in message) == (hub.kind == "github" and how == "squash" and commits == 2), "GitHub's own words"
    assert team.judged(base) == set()
    assert team.sync() != before
    assert outcomes(team.publish(team.day(2))) == ["unchanged"]
    if how == "squash":
        hub.button(hub.revert(number))
    else:
        back(team, hub)
    assert team.sync() == before


def test_a_squash_that_lost_the_lines_is_not_served_until_a_rollback_and_a_ship_make_up_for_it(
    team: Team[ForgeServer], hub: ForgeServer
) -> None:
    team.shipped(1)
    before = team.sync()
    team.publish(team.day(2))
    base = hub.head("main")
    (number,) = hub.numbers("ship/", "open")
    hub.approve(number)
    hub.lose_lines(number)
    hub.button(number)
    assert team.judged(base) == {"unvouched-manifest"}
    with team.open() as repo:
        outcome = sync.sync(Workspace(repo))
    assert outcome.exit_code == 5
    assert [fault["rule"] for each in outcome.document["targets"] for fault in each["faults"]] == ["unvouched-manifest"]
    assert team.served == before
    back(team, hub)
    assert team.sync() == before
    assert outcomes(team.publish(team.day(2), reship=True, reason="only its message was lost")) == ["opened"]
    (again,) = hub.numbers("ship/", "open")
    hub.approve(again)
    team.merge(again)
    assert team.sync() != before


@pytest.mark.parametrize("kind", ["github", "gitea"], indirect=True)
@pytest.mark.parametrize("how", ["squash", "merge", "rebase"])
def test_what_two_approved_is_the_same_to_sync_and_audit_whatever_button_merged_it(
    team: Team[ForgeServer], hub: ForgeServer, how: str
) -> None:
    def button(number: int) -> None:
        hub.approve(number)
        hub.button(number, how)

    approved_ship(team, lambda number: None, button)
