"""Whatever button is pressed: main is a good state that audit can read, or sync keeps serving where it is."""

from __future__ import annotations

import pytest
from approving import approved_ship
from shop import GROCER

from gitea.hub import Hub
from gitea.team import Team, outcomes
from pointsman.verbs import audit, check, rollback, sync
from pointsman.workspace import Workspace


def judged(team: Team, base: str) -> set[str]:
    """The rules that what main became since `base` breaks, by check and by audit."""
    with team.open() as repo:
        repo.refresh()
        seen = {fault["rule"] for fault in check.check(Workspace(repo), base=base, head=repo.main).document["faults"]}
        return seen | {fault["rule"] for fault in audit.audit(Workspace(repo)).document["faults"]}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["squash", "merge", "rebase", "fast-forward-only"])
@pytest.mark.parametrize("commits", [1, 2])
def test_each_button_makes_a_ship_that_is_served_and_audited_and_that_can_be_undone(
    team: Team, hub: Hub, how: str, commits: int
) -> None:
    team.shipped(1)
    before = team.sync()
    team.publish(team.day(2))
    base = hub.head("main")
    (number,) = hub.numbers("ship/", "open")
    if commits == 2:
        pull = hub.pulls[number]
        word = hub.git("commit-tree", f"{pull['sha']}^{{tree}}", "-p", pull["sha"], given="a word\n")
        hub.git("update-ref", f"refs/heads/{pull['ref']}", word)
        hub.look()
    hub.approve(number)
    hub.button(number, how)
    assert judged(team, base) == set()
    assert team.sync() != before
    assert outcomes(team.publish(team.day(2))) == ["unchanged"]
    if how == "squash":
        hub.button(hub.revert(number))
    else:
        with team.open() as repo:
            rollback.roll_back(Workspace(repo), rollback.Request((GROCER,)))
        (back,) = hub.numbers("rollback/", "open")
        hub.approve(back)
        hub.button(back)
    assert team.sync() == before


@pytest.mark.slow
def test_a_squash_that_lost_the_lines_is_not_served_until_a_rollback_and_a_ship_make_up_for_it(
    team: Team, hub: Hub
) -> None:
    team.shipped(1)
    before = team.sync()
    team.publish(team.day(2))
    base = hub.head("main")
    (number,) = hub.numbers("ship/", "open")
    hub.approve(number)
    hub.pulls[number]["body"] = ""  # somebody emptied the box
    hub.button(number)
    assert judged(team, base) == {"unvouched-manifest"}
    with team.open() as repo:
        outcome = sync.sync(Workspace(repo))
    assert outcome.exit_code == 5
    assert team.served == before
    with team.open() as repo:
        rollback.roll_back(Workspace(repo), rollback.Request((GROCER,)))
    (back,) = hub.numbers("rollback/", "open")
    hub.approve(back)
    hub.button(back)
    assert team.sync() == before
    assert outcomes(team.publish(team.day(2), reship=True, reason="only its message was lost")) == ["opened"]
    (again,) = hub.numbers("ship/", "open")
    hub.approve(again)
    hub.button(again)
    assert team.sync() != before


@pytest.mark.slow
@pytest.mark.parametrize("how", ["squash", "merge", "rebase"])
def test_what_two_approved_is_the_same_to_sync_and_audit_whatever_button_merged_it(
    team: Team, hub: Hub, how: str
) -> None:
    def button(number: int) -> None:
        hub.approve(number)
        hub.button(number, how)

    approved_ship(team, lambda number: None, button)
