"""Refresh on GitHub: what GitHub says of one pull request stops no other."""

from __future__ import annotations

import pytest
from shop import cooc, git, popularity

from github.hub import Hub
from github.team import Team
from pointsman.forge import http
from pointsman.verbs import refresh
from pointsman.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def stale(team: Team, hub: Hub) -> list[int]:
    """The numbers of two pull requests, each of a target that main moved."""
    surfaces = ("a", "b")
    team.publish(*(popularity(team.root / f"{surface}.json", 30, surface=surface) for surface in surfaces))
    first = hub.numbers("ship/", "open")
    team.publish(*(cooc(team.root / f"{surface}2.json", 30, surface=surface) for surface in surfaces))
    numbers = [number for number in hub.numbers("ship/", "open") if number not in first]
    for number in first:
        hub.button(number)
    return numbers


def refreshed(team: Team) -> tuple[int, list[tuple[str, str]]]:
    with team.open() as repo:
        outcome = refresh.refresh(Workspace(repo))
    return outcome.exit_code, [(each.outcome, each.says) for each in outcome.value.pull_requests]


@pytest.mark.parametrize("fault", ["gone", "forbidden"])
def test_one_that_github_does_not_show_is_told_and_the_others_are_rebuilt(
    team: Team, hub: Hub, stale: list[int], fault: str
) -> None:
    hub.rule = lambda method, path: fault if f"/{stale[0]}" in path else None
    code, told = refreshed(team)
    assert code == 5
    assert [outcome for outcome, _ in told] == ["failed", "rebuilt"]
    assert {"gone": "that this token may see", "forbidden": "the token does not allow"}[fault] in told[0][1]
    hub.rule = lambda method, path: None
    code, told = refreshed(team)
    assert (code, {outcome for outcome, _ in told}) <= (0, {"fresh", "rebuilt"})


def test_a_branch_that_is_gone_meanwhile_is_left(team: Team, hub: Hub, stale: list[int]) -> None:
    gone = hub.pulls[stale[0]]["ref"]

    def delete(method: str, path: str) -> None:
        if path.endswith(f"/pulls/{stale[0]}/reviews") and hub.head(gone):
            hub.git("update-ref", "-d", f"refs/heads/{gone}")

    hub.rule = delete
    code, told = refreshed(team)
    assert (code, [outcome for outcome, _ in told]) == (0, ["left", "rebuilt"])
    assert told[0][1] == "it was merged or closed meanwhile"


def test_a_github_that_gives_no_answer_is_not_asked_for_each(
    team: Team, hub: Hub, stale: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "REQUEST_TRIES", 2)
    hub.calls.clear()
    hub.rule = lambda method, path: "500 after" if path != "/pulls" else None
    code, told = refreshed(team)
    assert (code, {outcome for outcome, _ in told}) == (3, {"failed"})
    assert [says.startswith("not tried") for _, says in told] == [False, True]


def test_one_that_the_gate_does_not_pass_any_more_is_told_there_but_not_by_a_dry_run(
    team: Team, hub: Hub, stale: list[int]
) -> None:
    git(team.desk, "pull", "-q", "--rebase", "origin", "main")
    settings = team.desk / "pointsman.toml"
    settings.write_text(settings.read_text().replace("[policy]\n", '[policy]\ntype_missing = ["session_seq"]\n'))
    team.push("a new limit")
    assert [each["outcome"] for each in team.refresh()] == ["refused", "refused"]  # with a dry run before
    for number in stale:
        assert "Main moved, and the gate does not pass this" in str(hub.comments[number])
