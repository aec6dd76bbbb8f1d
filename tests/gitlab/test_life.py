"""Auto-merge and merge trains on GitLab, which keep a message or make it of the template."""

from __future__ import annotations

from pathlib import Path

import pytest
from approving import approved_ship
from shop import cooc

from gitlab.hub import Hub
from gitlab.team import BY_ITSELF, Team, outcomes
from pointsman.errors import Problem, Unreachable
from pointsman.forge.base import Opened
from pointsman.forge.gitlab.pulls import GitLab
from pointsman.verbs import audit, pr
from pointsman.workspace import Workspace

pytestmark = pytest.mark.slow
Forge = tuple[GitLab, Opened]


def test_without_a_token_it_is_said_which_one_and_that_a_job_s_is_not_enough(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITLAB_TOKEN")
    with team.open() as repo, pytest.raises(Problem, match=r"set GITLAB_TOKEN \(the token of a job is enough for git"):
        pr.list_pulls(Workspace(repo))


@pytest.mark.parametrize(
    "method,how", [("ff", "squash"), ("merge", "as it is"), ("rebase_merge", "as it is"), ("merge", "train")]
)
def test_what_two_approved_is_the_same_to_sync_and_audit_whatever_merged_it_once_its_pipeline_ran_again(
    team: Team, hub: Hub, method: str, how: str
) -> None:
    def merged(number: int) -> None:
        again = f"/merge_requests/{number}/pipelines"
        assert hub.calls.count(("POST", again)) == 1, "GitLab runs none for a page that changed"
        team.refresh()
        assert hub.calls.count(("POST", again)) == 1, "nothing is new"
        hub.pipeline(number, "success")
        hub.approve(number)
        if how != "train":
            hub.button(number, how)
        else:
            hub.settings["merge_trains_enabled"] = True
            with team.open() as repo:
                repo.refresh()
                forge = Workspace(repo).forge
                (opened,) = forge.find()
                forge.auto_merge(opened, hub.git("log", "-1", "--format=%B", opened.head))

    def failed(number: int) -> None:
        hub.settings |= {"merge_method": method, "squash_option": "default_off"}
        hub.pipeline(number, "failed")

    approved_ship(team, failed, merged)


# auto-merge


def test_auto_merge_waits_for_what_is_missing_and_merges_at_once_where_nothing_is(tmp_path: Path, hub: Hub) -> None:
    team = Team(tmp_path, hub, BY_ITSELF)
    hub.first = "running"
    (told,) = team.publish(team.day(1)).document["targets"]
    number = int(told["pull_request"]["id"])
    assert (told["outcome"], hub.pulls[number]["state"]) == ("opened", "opened")
    hub.pipeline(number, "success")
    hub.approve(number)
    assert hub.pulls[number]["state"] == "merged"
    hub.needs_review, hub.first = False, "success"
    assert outcomes(team.publish(team.day(2))) == ["merged"]
    team.sync()


def test_an_approval_that_comes_after_the_pipeline_is_seen_by_the_next_refresh(tmp_path: Path, hub: Hub) -> None:
    """Before 17.0, GitLab takes no auto-merge of what is not approved, and looks at approvals when a pipeline ends."""
    team = Team(tmp_path, hub, BY_ITSELF)
    hub.waits_for_checks = False
    (told,) = team.publish(team.day(1)).document["targets"]
    number = int(told["pull_request"]["id"])
    assert (told["outcome"], hub.pulls[number]["auto"]) == ("opened", None)
    hub.pulls[number]["auto"] = {"squash": True, "squash_commit_message": None, "merge_commit_message": None}
    hub.approve(number)
    assert hub.pulls[number]["state"] == "opened", "nothing happens by itself"
    assert [each["outcome"] for each in team.refresh()] == ["merged"]
    team.sync()


def test_what_main_moved_past_is_rebased_or_rebuilt_by_a_refresh_and_merged_with_its_own_lines(
    tmp_path: Path, hub: Hub
) -> None:
    team = Team(tmp_path, hub, BY_ITSELF)
    team.publish(team.day(1))
    team.publish(cooc(team.root / "cooc.json", 30))
    popular, together = hub.numbers("ship/", "open")
    hub.approve(popular)
    assert hub.pulls[popular]["state"] == "opened", "the records of the other moved main: GitLab turned it off"
    assert "merged" in [each["outcome"] for each in team.refresh()]
    team.refresh()
    hub.approve(together)
    team.refresh()
    assert [hub.pulls[number]["state"] for number in (popular, together)] == ["merged", "merged"]
    assert b"cooc" in team.sync()
    with team.open() as repo:
        assert audit.audit(Workspace(repo)).exit_code == 0


def test_somebody_s_auto_merge_stays_only_where_the_template_keeps_the_lines(team: Team, hub: Hub) -> None:
    team.publish(team.day(1))
    (number,) = hub.numbers("ship/", "open")
    on = {"squash": True, "squash_commit_message": None, "merge_commit_message": None}
    hub.pulls[number] |= {"auto": on, "by": "ann"}
    assert [each["outcome"] for each in team.refresh()] == ["fresh"]
    assert hub.pulls[number]["auto"] == on
    hub.settings["squash_commit_template"] = "%{title}"
    (told,) = team.refresh()
    assert "does not merge by itself any more" in told["says"]
    assert hub.pulls[number]["auto"] is None


def test_a_merge_train_is_boarded_where_its_template_keeps_the_lines(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    hub.settings |= {"merge_trains_enabled": True, "squash_commit_template": "%{title}"}
    with pytest.raises(Unreachable, match=r"not added to the merge train: .*would lose the commit's lines: set it to"):
        adapter.auto_merge(opened, "title\n\nbody\n")
    assert hub.bodies == []
    hub.settings["squash_commit_template"] = "%{first_multiline_commit}"
    adapter = type(adapter)(adapter.repo, adapter.client)
    for _ in range(2):
        assert adapter.auto_merge(opened, "title\n\nbody\n") is None
    assert [body["sha"] for body in hub.bodies] == [opened.head]
    hub.approve(1)
    assert hub.git("log", "-1", "--format=%B", "main") == "title\n\nbody"


def test_what_has_a_pipeline_that_passed_gitlab_merges_at_once_or_not_at_all(forge: Forge, hub: Hub) -> None:
    """It answers 422 to auto-merge of what only an approval is missing of. The next refresh asks again."""
    adapter, opened = forge
    assert adapter.auto_merge(opened, "title\n\nbody\n") is None
    assert [body["auto_merge"] for body in hub.bodies] == [True]
    assert hub.pulls[1]["auto"] is None
    hub.approve(1)
    assert adapter.auto_merge(opened, "title\n\nbody\n") == hub.head("main")


def test_an_auto_merge_that_the_token_may_not_stop_is_told(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    hub.pulls[1]["auto"] = {"squash": True, "squash_commit_message": None, "merge_commit_message": None}
    hub.may_merge = False
    with pytest.raises(Unreachable, match="!1 merges by itself, and the token's user may not stop that"):
        adapter.stop_auto_merge(opened)


def test_it_is_stopped_once_and_then_not_on_any_more(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    hub.first = "running"
    adapter.auto_merge(opened, "title\n\nbody\n")
    assert adapter.find([opened.branch])[0].merges_with == "title\n\nbody\n"
    assert [adapter.stop_auto_merge(opened) for _ in range(2)] == [True, False]
    assert adapter.find([opened.branch])[0].merges_with is None
