"""Ship merge requests on GitLab, from publish to the Revert button; a lost answer leaves nothing behind twice."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from approving import approved_ship
from github.team import outcomes
from shop import GROCER, cooc, git, popularity
from world import how_many

from gitlab.hub import TOKEN, Hub
from gitlab.team import SETTINGS, Team
from pointsman.errors import MovedFirst, Problem, Unreachable
from pointsman.forge.base import Opened, Page
from pointsman.forge.gitlab.pulls import GitLab
from pointsman.verbs import audit, check, doctor, log, pr, rollback, sync
from pointsman.workspace import Workspace

pytestmark = pytest.mark.slow
Forge = tuple[GitLab, Opened]
BY_ITSELF = SETTINGS.replace('"gitlab"\n', '"gitlab"\nauto_merge = true\n')


def judged(team: Team, base: str) -> set[str]:
    """The rules that what main became since `base` breaks, by check and by audit."""
    with team.open() as repo:
        repo.refresh()
        seen = {fault["rule"] for fault in check.check(Workspace(repo), base=base, head=repo.main).document["faults"]}
        return seen | {fault["rule"] for fault in audit.audit(Workspace(repo)).document["faults"]}


def test_the_whole_loop_and_back_to_the_same_bytes(team: Team, hub: Hub) -> None:
    team.shipped(1)
    before = team.sync()
    (told,) = team.publish(team.day(2), run="https://ci.example/7").document["targets"]
    number = int(told["pull_request"]["id"])
    assert told["outcome"] == "opened"
    assert told["pull_request"]["url"] == f"{hub.url}/shop/data/manifests/-/merge_requests/{number}"
    pull = hub.pulls[number]
    assert pull["title"].startswith("ship: grocer/home popularity ")
    assert pull["labels"] == ["ship", "grocer/home"]
    assert "| target | type |" in pull["description"], "the review"
    assert "Record: grocer/home popularity@" in pull["description"]
    assert [hub.pulls[each]["state"] for each in hub.numbers("records/")] == ["merged", "merged"]

    with team.open() as repo, pytest.raises(Unreachable, match=r"not_approved .*it needs an approval first"):
        pr.merge(Workspace(repo), str(number))
    assert outcomes(team.publish(team.day(2))) == ["unchanged"]
    hub.approve(number)
    with team.open(team.url) as repo:  # as a bot that has nothing but the URL
        merged = pr.merge(Workspace(repo), "grocer/home").document["commit"]
    assert hub.head("main") == merged
    message = hub.git("log", "-1", "--format=%B", "main")
    assert message.partition("\n")[0].endswith(f"(!{number})")
    assert re.search(r"^Manifest: grocer/home sha256:[0-9a-f]{64}$", message, re.MULTILINE)
    assert hub.head(pull["source_branch"]) == ""
    assert outcomes(team.publish(team.day(2))) == ["unchanged"]
    assert team.sync() != before

    with team.open() as repo:
        (event, *_) = log.log(Workspace(repo), log.Query(approvals=True)).value.events
        assert event.approved_by == ("ann",)
        again = pr.merge(Workspace(repo), str(number))
        assert (again.exit_code, again.document["outcome"]) == (0, "unchanged")

    revert = hub.revert(number)
    (looked_at,) = team.refresh(hub.pulls[revert]["source_branch"])
    assert looked_at["outcome"] == "fresh"
    assert hub.pulls[revert]["labels"] == ["rollback", "grocer/home"]
    (said,) = hub.comments[revert]
    assert "undoes" in said["body"]
    hub.approve(revert)
    hub.button(revert)
    assert team.sync() == before
    assert judged(team, f"{merged}^") == set()


@pytest.mark.parametrize("how", ["squash", "as it is"])
@pytest.mark.parametrize("method", ["ff", "merge", "rebase_merge"])
@pytest.mark.parametrize("commits", [1, 2])
def test_each_button_makes_a_ship_that_is_served_and_audited(
    team: Team, hub: Hub, how: str, method: str, commits: int
) -> None:
    team.shipped(1)
    before = team.sync()
    team.publish(team.day(2))
    base = hub.head("main")
    (number,) = hub.numbers("ship/", "open")
    hub.settings |= {"merge_method": method, "squash_option": "default_off"}
    if commits == 2:
        pull = hub.pulls[number]
        commit = hub.git("commit-tree", f"{pull['sha']}^{{tree}}", "-p", pull["sha"], given="a word\n")
        hub.git("update-ref", f"refs/heads/{pull['source_branch']}", commit)
        hub.look()
    hub.approve(number)
    hub.button(number, how)
    assert judged(team, base) == set()
    assert team.sync() != before
    with team.open() as repo:
        rollback.roll_back(Workspace(repo), rollback.Request((GROCER,)))
    (back,) = hub.numbers("rollback/", "open")
    hub.approve(back)
    with team.open() as repo:
        pr.merge(Workspace(repo), str(back))
    assert team.sync() == before


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


def test_a_squash_that_lost_the_lines_is_not_served_until_a_rollback_and_a_ship_make_up_for_it(
    team: Team, hub: Hub
) -> None:
    team.shipped(1)
    before = team.sync()
    hub.settings["squash_commit_template"] = "%{title}"
    team.publish(team.day(2))
    base = hub.head("main")
    (number,) = hub.numbers("ship/", "open")
    hub.approve(number)
    hub.button(number)
    assert judged(team, base) == {"unvouched-manifest"}
    with team.open() as repo:
        assert sync.sync(Workspace(repo)).exit_code == 5
        checks = {check["name"]: check["says"] for check in doctor.doctor(Workspace(repo)).document["checks"]}
        assert "loses the commit's message" in next(
            says for name, says in checks.items() if name.endswith("squash message")
        )
        rollback.roll_back(Workspace(repo), rollback.Request((GROCER,)))
    assert team.served == before
    (back,) = hub.numbers("rollback/", "open")
    hub.approve(back)
    with team.open() as repo:
        pr.merge(Workspace(repo), str(back))
    assert team.sync() == before
    assert outcomes(team.publish(team.day(2), reship=True, reason="only its message was lost")) == ["opened"]
    (again,) = hub.numbers("ship/", "open")
    hub.approve(again)
    with team.open() as repo:
        pr.merge(Workspace(repo), str(again))
    assert team.sync() != before


def test_a_newer_window_closes_the_older_one_and_says_so(team: Team, hub: Hub) -> None:
    team.publish(team.day(1))
    (older,) = hub.numbers("ship/")
    team.publish(team.day(2))
    (newer,) = hub.numbers("ship/", "open")
    assert newer != older
    assert hub.pulls[newer]["source_branch"] in hub.comments[older][0]["body"]
    hub.calls.clear()
    superseded = team.publish(team.day(1))
    assert (superseded.exit_code, outcomes(superseded)) == (4, ["superseded"])
    assert {method for method, _ in hub.calls} == {"GET"}, "nothing is opened, told or closed"


def test_what_main_has_overtaken_is_built_anew_and_says_which_approval_that_costs(team: Team, hub: Hub) -> None:
    team.publish(team.day(1))
    team.publish(cooc(team.root / "cooc.json", 30))
    popular, together = hub.numbers("ship/", "open")
    hub.approve(together, "bea")
    hub.approve(popular)
    hub.button(popular)
    (told,) = team.refresh()
    assert told["outcome"] == "rebuilt"
    assert "bea" in hub.comments[together][0]["body"]
    assert [each["outcome"] for each in team.refresh()] == ["fresh"]
    assert len(hub.comments[together]) == 1
    hub.button(together)
    assert b"cooc" in team.sync()


def test_withdrawn_and_closed_by_hand(team: Team, hub: Hub) -> None:
    team.publish(team.day(1))
    (number,) = hub.numbers("ship/")
    hub.pulls[number]["state"] = "closed"
    with team.open() as repo:
        assert pr.list_pulls(Workspace(repo)).document["pull_requests"] == []
    team.publish(team.day(1))
    (again,) = hub.numbers("ship/", "open")
    with team.open() as repo:
        pr.close(Workspace(repo), str(again))
    assert hub.numbers("ship/", "open") == []
    assert hub.head(hub.pulls[again]["source_branch"]) == ""


def test_without_a_token_it_is_said_which_one_and_that_a_job_s_is_not_enough(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITLAB_TOKEN")
    with team.open() as repo, pytest.raises(Problem, match=r"set GITLAB_TOKEN \(the token of a job is enough for git"):
        pr.list_pulls(Workspace(repo))


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
    hub.needs_approval, hub.first = False, "success"
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


# lost answers

CALLS: dict[str, tuple[str, Callable[[GitLab, Opened], object]]] = {
    "POST /merge_requests": (
        "new", lambda forge, opened: forge.open("ship/grocer/home/new", opened.head, Page("new", lambda: "b", ("x",)))
    ),
    "PUT /merge_requests/1": ("", lambda forge, opened: forge.update(opened, Page("another", lambda: "body"))),
    "POST /merge_requests/1/notes": ("", lambda forge, opened: forge.comment(opened, "refresh", "said")),
    "PUT /merge_requests/1/merge": (
        "", lambda forge, opened: forge.merge(opened, forge.repo.main, "title\n\nbody\n", "")
    ),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["cut", "cut after", "500", "500 after", "malformed after", "slowly", "hang after"])
def test_a_call_whose_answer_is_lost_takes_place_once(forge: Forge, hub: Hub, call: str, kind: str) -> None:
    adapter, opened = forge
    method, path = call.split(" ")[:2]
    left = [kind]
    hub.rule = lambda asked, where: left.pop() if left and (asked, where) == (method, path) else None
    hub.needs_approval = "merge" not in path.rpartition("/")[2]
    if CALLS[call][0]:
        opened = Opened(opened.branch, adapter.repo.heads["refs/heads/ship/grocer/home/new"], opened.number)
    CALLS[call][1](adapter, opened)
    assert not left, "the fault was met"
    hub.calls.clear()
    if path.endswith("/merge"):
        assert hub.pulls[1]["state"] == "merged"
        assert len(hub.git("log", "--format=%H", "main").splitlines()) == 2
    else:
        CALLS[call][1](adapter, opened)  # again: it looks, and finds it done
        assert all(asked == "GET" for asked, _ in hub.calls)
    assert len(hub.numbers("ship/")) == 1 + bool(CALLS[call][0])
    assert all(len(said) <= 1 for said in hub.comments.values())


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["500", "cut", "401"])
def test_a_call_that_never_succeeds_ends_with_3_and_shows_no_token(
    forge: Forge, hub: Hub, call: str, kind: str
) -> None:
    adapter, opened = forge
    adapter.client.pacer.left = 60
    method, path = call.split(" ")[:2]
    hub.rule = lambda asked, where: kind if (asked, where) == (method, path) else None
    hub.needs_approval = False
    with pytest.raises(Unreachable) as caught:
        CALLS[call][1](adapter, opened)
    assert caught.value.exit_code == 3
    assert TOKEN not in str(caught.value)


def test_a_run_with_a_fault_at_any_call_converges_when_it_is_run_again(team: Team, hub: Hub) -> None:
    hub.calls.clear()
    team.publish(team.day(1))
    kinds = ("500 after", "cut", "401")
    for place in range(len(hub.calls)):
        for kind in kinds if how_many(1) > 1 else kinds[place % 3 :][:1]:
            salt = popularity(team.root / f"{place}-{kind[:3]}.json", 30, day=1, salt=f"{place}{kind[:3]}")
            seen = [0]

            def rule(
                method: str, path: str, place: int = place, kind: str = kind, seen: list[int] = seen
            ) -> str | None:
                seen[0] += 1
                return kind if seen[0] == place + 1 else None

            hub.rule = rule
            with contextlib.suppress(Unreachable, MovedFirst):
                team.publish(salt)
            hub.rule = lambda method, path: None
            team.publish(salt)
            assert len(hub.numbers("ship/", "open")) == 1
            assert hub.numbers("records/", "open") == []


# races

MANY = 8


def publishing(team: Team, *files: Path) -> subprocess.Popen[bytes]:
    """A bot of its own: a process with a clone that knows nothing of the others."""
    clone = team.root / f"bot-{files[0].stem}-{len(list(team.root.glob('bot-*')))}"
    git(team.root, "clone", "-q", str(team.hub.repo), str(clone))
    git(clone, "remote", "set-url", "origin", team.url)
    git(clone, "config", f"url.{team.hub.root}/shop/.insteadOf", f"{team.hub.url}/shop/")
    command = [sys.executable, "-m", "pointsman", "publish", "--json", *map(str, files)]
    return subprocess.Popen(command, cwd=clone, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(bots: Sequence[subprocess.Popen[bytes]]) -> list[int]:
    told = [(*bot.communicate(), bot.returncode) for bot in bots]
    assert [(out, said) for out, said, code in told if code not in (0, 4)] == []
    return [code for _, _, code in told]


def test_of_many_bots_that_publish_the_same_artifact_one_opens_its_merge_request(team: Team, hub: Hub) -> None:
    file = team.day(1)
    for code in ended([publishing(team, file) for _ in range(MANY)]):
        if code == 4:
            assert team.publish(file).exit_code == 0
    (number,) = hub.numbers("ship/")
    assert hub.numbers("records/", "open") == []
    hub.approve(number)
    hub.button(number)
    team.sync()


def test_many_bots_that_publish_different_targets_get_past_each_other_where_only_a_fast_forward_is_merged(
    team: Team, hub: Hub
) -> None:
    files = [popularity(team.root / f"s{place}.json", 20, surface=f"s{place}") for place in range(MANY)]
    for file, code in zip(files, ended([publishing(team, file) for file in files]), strict=True):
        if code == 4:
            assert team.publish(file).exit_code == 0
    assert len(hub.numbers("ship/", "open")) == MANY
    for number in hub.numbers("ship/", "open"):
        hub.approve(number)
        with team.open() as repo:
            pr.merge(Workspace(repo), str(number))
    shipped = hub.git("ls-tree", "-r", "--name-only", "main", "manifests/").splitlines()
    assert shipped == [f"manifests/grocer/s{place}/manifest.json" for place in range(MANY)]
    assert json.dumps(hub.wrong) == "[]"


def test_where_main_is_protected_the_bot_goes_by_merge_requests_and_now_is_refused(team: Team, hub: Hub) -> None:
    hub.protect()
    team.shipped(1)
    team.shipped(2)
    main = hub.head("main")
    request: Any = rollback.Request((GROCER,), now=True, reason="half of it is gone")
    with team.open() as repo, pytest.raises(Unreachable, match="not allowed to push code to protected branches"):
        rollback.roll_back(Workspace(repo), request)
    assert hub.head("main") == main
