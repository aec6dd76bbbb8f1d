"""Auto-merge keeps the message that it got; whatever becomes of a branch, GitHub merges it with its own lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from shop import GROCER, cooc

from github.hub import Hub
from github.team import BY_ITSELF, Team, outcomes
from pointsman.errors import MovedFirst, Unreachable
from pointsman.forge.base import Opened
from pointsman.forge.github.pulls import GitHub
from pointsman.shipping.pulls import open_pulls
from pointsman.state.message import parse
from pointsman.verbs import audit, hold
from pointsman.workspace import Workspace

Forge = tuple[GitHub, Opened]


def pushed(hub: Hub, opened: Opened, message: str) -> Opened:
    """The branch of a pull request with another commit in the place of its own."""
    new = hub.git("commit-tree", f"{opened.head}^{{tree}}", "-p", "main", given=message)
    hub.git("update-ref", f"refs/heads/{opened.branch}", new)
    return Opened(opened.branch, type(opened.head)(new), opened.number, opened.url)


# the adapter


@pytest.mark.slow
def test_another_message_takes_the_place_of_the_one_that_github_keeps(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    assert adapter.auto_merge(opened, "title\n\nold lines\n") is None
    opened = pushed(hub, opened, "title\n\nnew lines\n")
    adapter.repo.refresh()
    for _ in range(2):
        assert adapter.auto_merge(opened, "title\n\nnew lines\n") is None
    assert len(hub.queries) == 3, "on, off and on again; then nothing"
    hub.approve(1)
    assert hub.git("log", "-1", "--format=%B", "main") == "title (#1)\n\nnew lines"


@pytest.mark.slow
def test_a_merge_by_another_method_is_taken_back_too(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    told = {"commit_title": "title (#1)", "commit_message": "lines", "merge_method": "merge"}
    hub.pulls[1]["auto_merge"] = told
    adapter.auto_merge(opened, "title\n\nlines\n")
    assert hub.pulls[1]["auto_merge"]["merge_method"] == "squash"


@pytest.mark.slow
def test_it_is_stopped_once_and_then_not_on_any_more(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    adapter.auto_merge(opened, "title\n\nlines\n")
    assert adapter.find([opened.branch])[0].merges_with == "title (#1)\n\nlines"
    assert [adapter.stop_auto_merge(opened) for _ in range(2)] == [True, False]
    assert adapter.find([opened.branch])[0].merges_with is None
    hub.approve(1)
    assert hub.pulls[1]["state"] == "open"


@pytest.mark.slow
@pytest.mark.parametrize("required", [True, False])
def test_where_nothing_is_left_to_wait_for_it_is_merged_at_once(forge: Forge, hub: Hub, required: bool) -> None:
    adapter, opened = forge
    hub.approve(1)
    hub.check_required = required
    hub.checks = {} if required else {opened.head: "failure"}  # clean, and unstable
    assert adapter.auto_merge(opened, "title\n\nlines\n") == hub.head("main")
    assert hub.git("log", "-1", "--format=%B", "main") == "title (#1)\n\nlines"


@pytest.mark.slow
def test_a_required_check_is_waited_for(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    hub.needs_review = False
    hub.checks = {opened.head: "pending"}
    assert adapter.auto_merge(opened, "title\n\nlines\n") is None
    assert not hub.pulls[1]["merged"]
    hub.checks = {}
    hub.look()
    assert hub.pulls[1]["merged"]


@pytest.mark.slow
def test_a_push_that_github_has_not_seen_yet_is_waited_for(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    hub.lag = 3
    opened = pushed(hub, opened, "title\n\nnew lines\n")
    adapter.repo.refresh()
    assert adapter.auto_merge(opened, "title\n\nnew lines\n") is None
    assert not hub.lag
    hub.approve(1)
    assert "new lines" in hub.git("log", "-1", "--format=%B", "main")


@pytest.mark.slow
def test_a_push_that_github_never_sees_ends_with_what_to_do(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    hub.lag = 1000
    opened = pushed(hub, opened, "title\n\nnew lines\n")
    adapter.repo.refresh()
    with pytest.raises(Unreachable, match=r"has not seen yet what was pushed .* run the command again"):
        adapter.auto_merge(opened, "title\n\nnew lines\n")
    assert hub.queries == []


@pytest.mark.slow
def test_a_branch_that_someone_else_moved_does_not_merge_by_itself(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    pushed(hub, opened, "a human's\n")
    with pytest.raises(MovedFirst, match="someone pushed to"):
        adapter.auto_merge(opened, "title\n\nlines\n")
    assert hub.pulls[1]["auto_merge"] is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting, remedy", [("allow_auto_merge", "Allow auto-merge"), ("allow_squash_merge", "Allow squash merging")]
)
def test_a_setting_that_forbids_it_is_named(forge: Forge, hub: Hub, setting: str, remedy: str) -> None:
    hub.settings[setting] = False
    with pytest.raises(Unreachable, match=remedy):
        forge[0].auto_merge(forge[1], "title\n\nlines\n")


# all the way


def auto_merging(root: Path, hub: Hub) -> tuple[Team, int, int]:
    """Two ships of one target, both to be merged by GitHub as soon as they are approved."""
    team = Team(root, hub, BY_ITSELF)
    team.publish(team.day(1))
    team.publish(cooc(team.root / "cooc.json", 30))
    popular, together = hub.numbers("ship/", "open")
    assert all(hub.pulls[number]["auto_merge"] for number in (popular, together))
    return team, popular, together


def sound(team: Team, hub: Hub) -> None:
    """What GitHub merged is served, and no commit of main breaks a rule."""
    assert team.sync() == f"{hub.git('show', f'main:{GROCER.manifest_path}')}\n".encode()
    with team.open() as repo:
        assert audit.audit(Workspace(repo)).exit_code == 0


@pytest.mark.slow
def test_what_refresh_rebuilt_is_merged_with_its_new_lines(tmp_path: Path, hub: Hub) -> None:
    team, popular, together = auto_merging(tmp_path, hub)
    hub.approve(popular)
    assert hub.pulls[popular]["merged"]
    assert [each["outcome"] for each in team.refresh()] == ["rebuilt"]
    hub.approve(together)
    assert hub.pulls[together]["merged"]
    sound(team, hub)


@pytest.mark.slow
def test_what_publish_rebuilt_is_merged_with_its_new_lines(tmp_path: Path, hub: Hub) -> None:
    team, popular, together = auto_merging(tmp_path, hub)
    hub.approve(popular)
    assert outcomes(team.publish(team.root / "cooc.json")) == ["updated"]
    hub.approve(together)
    assert hub.pulls[together]["merged"]
    sound(team, hub)


@pytest.mark.slow
def test_at_no_moment_of_a_rebuild_would_github_merge_the_new_commit_with_the_old_lines(
    tmp_path: Path, hub: Hub
) -> None:
    """Every approval stays valid here, so GitHub merges at its first chance, at any call."""
    team, popular, together = auto_merging(tmp_path, hub)
    hub.approve(popular)
    hub.keeps_approvals = True
    hub.reviews[together] = [{"state": "APPROVED", "user": {"login": "ann"}}]
    hub.checks[hub.pulls[together]["sha"]] = "pending"
    team.refresh()
    hub.look()
    assert hub.pulls[together]["merged"]
    sound(team, hub)


@pytest.mark.slow
def test_a_person_s_auto_merge_is_taken_back_by_a_rebuild_and_the_page_says_so(team: Team, hub: Hub) -> None:
    team.publish(team.day(1))
    team.publish(cooc(team.root / "cooc.json", 30))
    popular, together = hub.numbers("ship/", "open")
    title = f"{hub.pulls[together]['title']} (#{together})"
    on = {"merge_method": "squash", "commit_title": title, "commit_message": hub._proposed(hub.pulls[together])}
    hub.pulls[together]["auto_merge"] = on
    assert [each["outcome"] for each in team.refresh()] == ["fresh", "fresh"]
    assert hub.pulls[together]["auto_merge"] == on, "its message is right, so it stays"
    hub.approve(popular)
    hub.button(popular)
    (told,) = team.refresh()
    assert told["outcome"] == "rebuilt"
    assert "does not merge by itself any more" in told["says"]
    assert "turn it on again" in hub.comments[together][0]["body"]
    hub.approve(together)
    assert hub.pulls[together]["state"] == "open"
    hub.button(together)
    sound(team, hub)


@pytest.mark.slow
def test_a_message_that_somebody_spoiled_is_taken_back(team: Team, hub: Hub) -> None:
    team.publish(team.day(1))
    (number,) = hub.numbers("ship/", "open")
    hub.pulls[number]["auto_merge"] = {"merge_method": "squash", "commit_title": "mine", "commit_message": ""}
    (told,) = team.refresh()
    assert told["outcome"] == "fresh"
    hub.approve(number)
    assert hub.pulls[number]["state"] == "open"


@pytest.mark.slow
def test_under_a_hold_github_merges_nothing_and_after_it_again(tmp_path: Path, hub: Hub) -> None:
    team = Team(tmp_path, hub, BY_ITSELF)
    team.publish(team.day(1))
    (number,) = hub.numbers("ship/", "open")

    def change(until: str | None) -> None:
        with team.open() as repo:
            hold.change_hold(Workspace(repo), hold.Request(str(GROCER), until, "half of it is gone", now=True))

    change("1d")
    (told,) = team.refresh()
    assert told["outcome"] == "fresh"
    assert [fault["rule"] for fault in told["faults"]] == ["on-hold"]
    assert "on-hold" in hub.comments[number][-1]["body"]
    hub.approve(number)
    assert hub.pulls[number]["state"] == "open"
    change(None)
    assert [each["outcome"] for each in team.refresh()] == ["merged"], "it is approved, so nothing is left to wait for"
    sound(team, hub)


@pytest.mark.slow
def test_what_is_superseded_is_not_merged_by_an_approval_that_comes_late(tmp_path: Path, hub: Hub) -> None:
    team = Team(tmp_path, hub, BY_ITSELF)
    team.publish(team.day(1))
    (older,) = hub.numbers("ship/", "open")
    team.publish(team.day(2))
    (newer,) = hub.numbers("ship/", "open")
    hub.approve(older)
    assert (hub.pulls[older]["merged"], hub.pulls[older]["auto_merge"]) == (False, None)
    with team.open() as repo:
        repo.refresh()
        (pull,) = open_pulls(Workspace(repo))
        assert parse(str(pull.opened.merges_with)).said == pull.message.said
    hub.approve(newer)
    sound(team, hub)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["500", "500 after", "cut", "cut after"])
def test_a_lost_answer_at_any_call_of_a_refresh_leaves_no_old_message(tmp_path: Path, hub: Hub, fault: str) -> None:
    team, popular, together = auto_merging(tmp_path, hub)
    hub.approve(popular)
    left = [fault, fault]
    graphql: Callable[[str, str], str | None] = lambda method, path: (  # noqa: E731 - a rule of the hub
        left.pop() if left and path == "/api/graphql" else None
    )
    hub.rule = graphql
    assert [each["outcome"] for each in team.refresh()] == ["rebuilt"]
    assert not left
    hub.approve(together)
    sound(team, hub)
