"""Whatever button is pressed: main is a good state that audit can read, or sync keeps serving where it is."""

from __future__ import annotations

import pytest
from approving import approved_ship
from shop import GROCER, git

from github.hub import Hub
from github.team import Team, outcomes
from pointsman.verbs import audit, check, rollback, sync
from pointsman.workspace import Workspace


def with_a_word(hub: Hub, number: int) -> None:
    """A commit of a human on a ship branch, which changes no file."""
    pull = hub.pulls[number]
    commit = hub.git("commit-tree", f"{pull['sha']}^{{tree}}", "-p", pull["sha"], given="a word\n")
    hub.git("update-ref", f"refs/heads/{pull['ref']}", commit)
    hub.look()


def judged(team: Team, base: str) -> set[str]:
    """The rules that what main became since `base` breaks, by check and by audit."""
    with team.open() as repo:
        repo.refresh()
        seen = {fault["rule"] for fault in check.check(Workspace(repo), base=base, head=repo.main).document["faults"]}
        return seen | {fault["rule"] for fault in audit.audit(Workspace(repo)).document["faults"]}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["squash", "merge", "rebase"])
@pytest.mark.parametrize("commits", [1, 2])
def test_each_button_makes_a_ship_that_is_served_and_audited_and_that_the_revert_button_undoes(
    team: Team, hub: Hub, how: str, commits: int
) -> None:
    team.shipped(1)
    before = team.sync()
    team.publish(team.day(2))
    base = hub.head("main")
    (number,) = hub.numbers("ship/", "open")
    if commits == 2:
        with_a_word(hub, number)
    hub.approve(number)
    hub.button(number, how)
    message = hub.git("log", "-1", "--format=%B", "main")
    assert ("---------" in message) == (how == "squash" and commits == 2), "what GitHub makes of two commits"
    assert judged(team, base) == set()
    shipped = team.sync()
    assert shipped != before
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
    hub.settings["squash_merge_commit_message"] = "BLANK"
    team.publish(team.day(2))
    base = hub.head("main")
    (number,) = hub.numbers("ship/", "open")
    hub.approve(number)
    hub.button(number)
    assert judged(team, base) == {"unvouched-manifest"}
    with team.open() as repo:
        outcome = sync.sync(Workspace(repo))
    assert outcome.exit_code == 5
    assert [fault["rule"] for each in outcome.document["targets"] for fault in each["faults"]] == ["unvouched-manifest"]
    assert team.served == before
    with team.open() as repo:
        rollback.roll_back(Workspace(repo), rollback.Request((GROCER,)))
    hub.settings["squash_merge_commit_message"] = "COMMIT_MESSAGES"
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
@pytest.mark.parametrize("how", ["squash", "merge", "rebase", "queue"])
def test_what_two_approved_is_the_same_to_sync_and_audit_whatever_button_merged_it(
    team: Team, hub: Hub, how: str
) -> None:
    def button(number: int) -> None:
        hub.approve(number)
        if how != "queue":
            hub.button(number, how)
            return
        head = hub.pulls[number]["sha"]  # a merge queue makes the squash first, and has it checked
        tree, text = hub.git("merge-tree", "--write-tree", "main", head), hub.git("log", "-1", "--format=%B", head)
        commit = hub.git("commit-tree", tree, "-p", "main", given=text.replace("\n", f" (#{number})\n", 1))
        hub.git("update-ref", f"refs/heads/gh-readonly-queue/main/pr-{number}", commit)
        git(team.desk, "fetch", "-q", str(hub.repo), f"gh-readonly-queue/main/pr-{number}")
        with team.open() as repo:
            assert check.check(Workspace(repo), base="main", head=commit).document["faults"] == []
        hub.git("update-ref", "refs/heads/main", commit)

    approved_ship(team, lambda number: None, button)
