"""Auto-merge keeps the message that it got, and does not tell it; whatever becomes of a branch, its own lines count."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from shop import GROCER, cooc

from gitea.conftest import Forge
from gitea.hub import Hub
from gitea.team import BY_ITSELF, Team, outcomes
from pointsman.errors import MovedFirst, Unreachable
from pointsman.forge.base import Opened
from pointsman.shipping.pulls import open_pulls
from pointsman.state.message import parse
from pointsman.verbs import audit, hold
from pointsman.workspace import Workspace

# Where a test takes many seconds: Forgejo answers as Gitea does.
DEAR = ("Gitea", "Forgejo") if "POINTSMAN_ROUNDS" in os.environ else ("Gitea",)


def pushed(hub: Hub, opened: Opened, message: str) -> Opened:
    """The branch of a pull request with another commit in the place of its own."""
    new = hub.git("commit-tree", f"{opened.head}^{{tree}}", "-p", "main", given=message)
    hub.git("update-ref", f"refs/heads/{opened.branch}", new)
    return Opened(opened.branch, type(opened.head)(new), opened.number, opened.url)


# the adapter


@pytest.mark.slow
def test_another_message_takes_the_place_of_the_one_that_is_kept(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    assert adapter.auto_merge(opened, "title\n\nold lines\n") is None
    opened = pushed(hub, opened, "title\n\nnew lines\n\n    and a block\n")
    adapter.repo.refresh()
    for _ in range(2):
        assert adapter.auto_merge(opened, "title\n\nnew lines\n\n    and a block\n") is None
    kinds = [each["type"] for each in hub.events[1] if "schedule" in each["type"]]
    assert kinds == ["pull_scheduled_merge", "pull_cancel_scheduled_merge", "pull_scheduled_merge"]
    hub.approve(1)
    assert hub.git("log", "-1", "--format=%B", "main") == "title (#1)\n\nnew lines\n\n    and a block"
    assert hub.head(opened.branch) == ""


@pytest.mark.slow
def test_it_is_stopped_once_and_then_not_on_any_more(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    adapter.auto_merge(opened, "title\n\nlines\n\n    block\n")
    assert adapter.find([opened.branch])[0].merges_with == "title (#1)\n\nlines\n\n    block"
    assert [adapter.stop_auto_merge(opened) for _ in range(2)] == [True, False]
    assert adapter.find([opened.branch])[0].merges_with is None
    hub.approve(1)
    assert hub.pulls[1]["state"] == "open"


@pytest.mark.slow
def test_a_schedule_is_found_in_a_timeline_of_many_short_pages(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    hub.most_items = 7
    for _ in range(20):
        hub._event(1, "pull_push", "ann")
    adapter.auto_merge(opened, "title\n\nlines\n")
    assert adapter.find([opened.branch])[0].merges_with == "title (#1)\n\nlines"


@pytest.mark.slow
def test_a_stop_that_someone_else_was_faster_with_is_a_stop(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    adapter.auto_merge(opened, "title\n\nlines\n")

    def cancel(method: str, path: str) -> None:
        if method == "DELETE":
            hub.pulls[1]["scheduled"] = None

    hub.rule = cancel
    assert adapter.stop_auto_merge(opened)


@pytest.mark.slow
@pytest.mark.parametrize("required", [True, False])
def test_where_nothing_is_left_to_wait_for_it_is_merged_at_once(forge: Forge, hub: Hub, required: bool) -> None:
    adapter, opened = forge
    hub.approve(1)
    if not required:
        hub.protection = None
    assert adapter.auto_merge(opened, "title\n\nlines\n") == hub.head("main")
    assert hub.git("log", "-1", "--format=%B", "main") == "title (#1)\n\nlines"
    assert hub.events[1][-1]["type"] == "merge_pull"
    assert len(hub.events[1]) == 1, "nothing was scheduled"


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
def test_what_comes_between_the_refusal_and_the_schedule_is_not_missed(forge: Forge, hub: Hub) -> None:
    """Forgejo looks at what is scheduled when a status comes, and the status came before."""
    adapter, opened = forge
    hub.needs_review = False
    hub.checks = {opened.head: "pending"}

    def succeed(method: str, path: str) -> None:
        if (method, path) == ("POST", "/issues/1/comments"):
            hub.checks, hub.looks_by_itself = {}, False

    hub.rule = succeed
    assert adapter.auto_merge(opened, "title\n\nlines\n") == hub.head("main")


@pytest.mark.slow
def test_where_main_requires_no_check_nothing_is_scheduled_as_it_would_be_merged_at_once(
    forge: Forge, hub: Hub
) -> None:
    adapter, opened = forge
    hub.protection = {"enable_status_check": False, "status_check_contexts": []}
    assert adapter.auto_merge(opened, "title\n\nlines\n") is None
    assert not hub.events
    assert any("main requires no check" in note for note in adapter.repo.notes)


@pytest.mark.slow
def test_an_older_gitea_that_cannot_schedule_says_who_has_to_merge(forge: Forge, hub: Hub) -> None:
    hub.schedules = False
    with pytest.raises(Unreachable, match="cannot merge #1 by itself, and it is not ready yet: someone has to merge"):
        forge[0].auto_merge(forge[1], "title\n\nlines\n")
    assert not hub.pulls[1]["merged"]


@pytest.mark.slow
def test_an_older_gitea_rebuilds_what_main_has_overtaken(team: Team, hub: Hub) -> None:
    hub.schedules = hub.finds_by_commit = False
    team.publish(team.day(1))
    team.publish(cooc(team.root / "cooc.json", 30))
    popular, together = hub.numbers("ship/", "open")
    hub.approve(popular)
    hub.button(popular)
    assert [each["outcome"] for each in team.refresh()] == ["rebuilt"]
    hub.approve(together)
    hub.button(together)
    sound(team, hub)


@pytest.mark.slow
def test_a_branch_that_someone_else_moved_does_not_merge_by_itself(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    pushed(hub, opened, "a human's\n")
    with pytest.raises(MovedFirst, match="someone pushed to"):
        adapter.auto_merge(opened, "title\n\nlines\n")
    assert hub.pulls[1]["scheduled"] is None


@pytest.mark.slow
def test_a_push_that_is_never_seen_ends_with_what_to_do(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    hub.lag = 1000
    opened = pushed(hub, opened, "title\n\nnew lines\n")
    adapter.repo.refresh()
    with pytest.raises(Unreachable, match=r"has not seen yet what was pushed .* run the command again"):
        adapter.auto_merge(opened, "title\n\nnew lines\n")
    assert not [each for each in hub.events.get(1, []) if "schedule" in each["type"]]


@pytest.mark.slow
def test_what_a_person_scheduled_has_the_message_that_the_page_offers(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    adapter.auto_merge(opened, "title\n\nours\n")
    adapter.stop_auto_merge(opened)
    hub.schedule(1, "ann", "whatever")
    assert adapter.find([opened.branch])[0].merges_with == "title (#1)\n\nbody"
    says = "ann has .* merge #1 by itself, and this token may not stop that: ann or an administrator"
    with pytest.raises(Unreachable, match=says):
        adapter.auto_merge(opened, "title\n\nlines\n")
    hub.owns = True
    assert adapter.auto_merge(opened, "title\n\nlines\n") is None
    hub.approve(1)
    assert hub.git("log", "-1", "--format=%B", "main") == "title (#1)\n\nlines"


# all the way


def auto_merging(root: Path, hub: Hub) -> tuple[Team, int, int]:
    """Two ships of one target, both to be merged by the forge as soon as they are approved."""
    team = Team(root, hub, BY_ITSELF)
    team.publish(team.day(1))
    team.publish(cooc(team.root / "cooc.json", 30))
    popular, together = hub.numbers("ship/", "open")
    assert all(hub.pulls[number]["scheduled"] for number in (popular, together))
    return team, popular, together


def sound(team: Team, hub: Hub) -> None:
    """What was merged is served, and no commit of main breaks a rule."""
    assert team.sync() == f"{hub.git('show', f'main:{GROCER.manifest_path}')}\n".encode()
    with team.open() as repo:
        assert audit.audit(Workspace(repo)).exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize("brand", DEAR, indirect=True)
@pytest.mark.parametrize("by", ["refresh", "publish"])
def test_what_was_rebuilt_is_merged_with_its_new_lines(tmp_path: Path, hub: Hub, by: str) -> None:
    team, popular, together = auto_merging(tmp_path, hub)
    hub.approve(popular)
    assert hub.pulls[popular]["merged"]
    if by == "refresh":
        assert [each["outcome"] for each in team.refresh()] == ["rebuilt"]
        assert [each["outcome"] for each in team.refresh()] == ["fresh"]
    else:
        assert outcomes(team.publish(team.root / "cooc.json")) == ["updated"]
    hub.approve(together)
    assert hub.pulls[together]["merged"]
    sound(team, hub)


@pytest.mark.slow
def test_at_no_moment_of_a_rebuild_would_the_new_commit_be_merged_with_the_old_lines(tmp_path: Path, hub: Hub) -> None:
    """Every approval stays valid here, so the forge merges at its first chance, at any call."""
    team, popular, together = auto_merging(tmp_path, hub)
    hub.approve(popular)
    hub.keeps_approvals = True
    valid = {"state": "APPROVED", "user": {"login": "ann"}, "stale": False, "dismissed": False}
    hub.reviews[together] = [valid]
    hub.checks[hub.pulls[together]["sha"]] = "pending"
    team.refresh()
    hub.look()
    assert hub.pulls[together]["merged"]
    sound(team, hub)


@pytest.mark.slow
def test_a_person_s_auto_merge_stays_while_it_is_right_and_is_taken_back_by_a_rebuild(team: Team, hub: Hub) -> None:
    team.publish(team.day(1))
    team.publish(cooc(team.root / "cooc.json", 30))
    popular, together = hub.numbers("ship/", "open")
    pull = hub.pulls[together]
    hub.schedule(together, "ann", f"{pull['title']} (#{together})\n\n{pull['body']}")
    assert [each["outcome"] for each in team.refresh()] == ["fresh", "fresh"]
    assert pull["scheduled"]
    hub.approve(popular)
    hub.button(popular)
    (told,) = team.refresh()
    assert (told["outcome"], pull["scheduled"] is None) == ("failed", False)
    assert "ann or an administrator of the repository can" in told["says"]
    hub.owns = True
    (told,) = team.refresh()
    assert told["outcome"] == "rebuilt"
    assert "does not merge by itself any more" in told["says"]
    assert pull["scheduled"] is None
    hub.approve(together)
    assert pull["state"] == "open"
    hub.button(together)
    sound(team, hub)


@pytest.mark.slow
def test_under_a_hold_nothing_is_merged_and_after_it_again(tmp_path: Path, hub: Hub) -> None:
    team = Team(tmp_path, hub, BY_ITSELF)
    team.publish(team.day(1))
    (number,) = hub.numbers("ship/", "open")

    def change(until: str | None) -> None:
        with team.open() as repo:
            hold.change_hold(Workspace(repo), hold.Request(str(GROCER), until, "half of it is gone", now=True))

    change("1d")
    (told,) = team.refresh()
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
    assert not hub.pulls[older]["merged"]
    with team.open() as repo:
        repo.refresh()
        (pull,) = open_pulls(Workspace(repo))
        assert parse(str(pull.opened.merges_with)).said == pull.message.said
    hub.approve(newer)
    sound(team, hub)


@pytest.mark.slow
@pytest.mark.parametrize("brand", DEAR, indirect=True)
@pytest.mark.parametrize("fault", ["500", "500 after", "cut", "cut after"])
def test_a_lost_answer_at_any_write_of_a_refresh_leaves_no_old_message(tmp_path: Path, hub: Hub, fault: str) -> None:
    team, popular, together = auto_merging(tmp_path, hub)
    hub.approve(popular)
    left = [fault, fault]
    hub.rule = lambda method, path: left.pop() if left and path.endswith("/merge") else None
    assert [each["outcome"] for each in team.refresh()] == ["rebuilt"]
    assert not left
    hub.approve(together)
    sound(team, hub)
