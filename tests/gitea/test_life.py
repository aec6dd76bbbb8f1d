"""Ship pull requests on Gitea and Forgejo, from publish to Revert; a lost answer leaves nothing behind twice."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from shop import GROCER, cooc, git, popularity
from world import how_many

from gitea.conftest import Forge
from gitea.hub import TOKEN, Hub
from gitea.team import SETTINGS, Team, outcomes
from pointsman.errors import MovedFirst, Problem, Unreachable
from pointsman.forge.base import Opened, Page
from pointsman.forge.gitea.pulls import Gitea
from pointsman.forge.open import credentials
from pointsman.repo.open import open_repository
from pointsman.verbs import hold, log, pr, publish, rollback, status
from pointsman.workspace import Workspace

PUSHED = SETTINGS.replace('KIND"\n', 'KIND"\nrecords = "push"\n')


@pytest.mark.slow
@pytest.mark.parametrize("records", ["pull-request", "push"])
def test_the_whole_loop_and_back_to_the_same_bytes(tmp_path: Path, hub: Hub, records: str) -> None:
    hub.protect()
    team = Team(tmp_path, hub, PUSHED if records == "push" else SETTINGS)
    first = team.shipped(1)
    before = team.sync()
    (told,) = team.publish(team.day(2), run="https://ci.example/7").document["targets"]
    number = int(told["pull_request"]["id"])
    assert told["outcome"] == "opened"
    assert told["pull_request"]["url"] == f"{hub.url}/o/r/pulls/{number}"
    pull = hub.pulls[number]
    assert pull["title"].startswith("ship: grocer/home popularity ")
    assert [each["name"] for each in pull["labels"]] == ["ship", "grocer/home"]
    assert "| target | type |" in pull["body"], "the review"
    assert "Record: grocer/home popularity@" in pull["body"]
    landed = [hub.pulls[each]["state"] for each in hub.numbers("records/")]
    assert landed == ([] if records == "push" else ["closed", "closed"])

    with team.open() as repo, pytest.raises(Unreachable, match="Does not have enough approvals"):
        pr.merge(Workspace(repo), str(number))
    assert outcomes(team.publish(team.day(2))) == ["unchanged"]
    hub.approve(number)
    hub.button(number)
    assert outcomes(team.publish(team.day(2))) == ["unchanged"]
    assert team.sync() != before

    revert = hub.revert(number)
    for _ in range(2):
        (looked_at,) = team.refresh(hub.pulls[revert]["ref"])
        assert looked_at["outcome"] == "fresh"
    assert [each["name"] for each in hub.pulls[revert]["labels"]] == ["rollback", "grocer/home"]
    (said,) = hub.comments[revert]
    assert "undoes" in said["body"]
    hub.approve(revert)
    hub.button(revert)
    assert team.sync() == before
    assert len(hub.numbers("ship/")) == 2
    assert first != number


@pytest.mark.slow
def test_merge_squashes_what_was_judged_and_main_keeps_its_lines(team: Team, hub: Hub) -> None:
    number = int(team.publish(team.day(1)).document["targets"][0]["pull_request"]["id"])
    hub.approve(number)
    with team.open(team.url) as repo:  # as a bot that has nothing but the URL
        merged = pr.merge(Workspace(repo), "grocer/home").document["commit"]
    assert hub.head("main") == merged
    message = hub.git("log", "-1", "--format=%B", "main")
    assert message.partition("\n")[0].endswith(f"(#{number})")
    assert re.search(r"^Manifest: grocer/home sha256:[0-9a-f]{64}$", message, re.MULTILINE)
    assert hub.head(hub.pulls[number]["ref"]) == ""
    for name in (str(number), hub.pulls[number]["ref"], "grocer/home"):
        with team.open() as repo:
            again = pr.merge(Workspace(repo), name)
        assert (again.exit_code, again.document["outcome"], again.document["commit"]) == (0, "unchanged", merged)


@pytest.mark.slow
def test_records_that_wait_for_someone_end_publish_with_what_to_do_next(
    team: Team, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.records_need_review = True
    monkeypatch.setenv("POINTSMAN_RECORDS_TIMEOUT", "0")
    with pytest.raises(MovedFirst, match=rf"the records wait in {hub.url}/o/r/pulls/1, .* run the same command again"):
        team.publish(team.day(1))
    assert not hub.numbers("ship/")
    hub.approve(1)
    assert hub.pulls[1]["merged"], "by itself, with the approval that came after the check"
    assert outcomes(team.publish(team.day(1))) == ["opened"]
    assert hub.numbers("records/") == [1]


@pytest.mark.slow
def test_a_push_to_a_protected_main_is_records_alone(tmp_path: Path, hub: Hub) -> None:
    hub.protect()
    team = Team(tmp_path, hub, PUSHED)
    team.shipped(1)
    team.shipped(2)
    main = hub.head("main")
    with team.open() as repo, pytest.raises(Unreachable, match="Not allowed to push to protected branch main"):
        rollback.roll_back(Workspace(repo), rollback.Request((GROCER,), now=True, reason="half of it is gone"))
    assert hub.head("main") == main
    for outcome in ("opened", "unchanged"):
        with team.open() as repo:
            (told,) = rollback.roll_back(Workspace(repo), rollback.Request((GROCER,))).document["targets"]
        assert told["outcome"] == outcome
    assert [told["pull_request"]["id"]] == [str(number) for number in hub.numbers("rollback/")]


@pytest.mark.slow
def test_a_newer_window_closes_the_older_one_and_says_so(team: Team, hub: Hub) -> None:
    team.publish(team.day(1))
    (older,) = hub.numbers("ship/")
    team.publish(team.day(2))
    (newer,) = hub.numbers("ship/", "open")
    assert newer != older
    assert hub.head(hub.pulls[older]["ref"]) == ""
    assert hub.pulls[newer]["ref"] in hub.comments[older][0]["body"]
    hub.calls.clear()
    superseded = team.publish(team.day(1))
    assert (superseded.exit_code, outcomes(superseded)) == (4, ["superseded"])
    assert {method for method, _ in hub.calls} == {"GET"}, "nothing is opened, told or closed"


@pytest.mark.slow
def test_what_main_has_overtaken_is_built_anew_and_says_which_approval_that_costs(team: Team, hub: Hub) -> None:
    team.publish(team.day(1))
    team.publish(cooc(team.root / "cooc.json", 30))
    popular, together = hub.numbers("ship/", "open")
    hub.approve(together, "bea")
    assert [each["outcome"] for each in team.refresh()] == ["fresh", "fresh"]
    hub.approve(popular)
    hub.button(popular)
    (told,) = team.refresh()
    assert told["outcome"] == "rebuilt"
    assert "bea" in hub.comments[together][0]["body"]
    assert [each["outcome"] for each in team.refresh()] == ["fresh"]
    assert len(hub.comments[together]) == 1
    assert [review["stale"] for review in hub.reviews[together]] == [True]
    hub.approve(together)
    hub.button(together)
    assert b"popularity" in team.sync()
    assert b"cooc" in team.sync()


@pytest.mark.slow
def test_closed_by_hand_it_is_opened_anew_and_withdrawn_it_is_gone(team: Team, hub: Hub) -> None:
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
    assert hub.head(hub.pulls[again]["ref"]) == ""
    with team.open() as repo, pytest.raises(Problem, match="no open pull request 77"):
        pr.merge(Workspace(repo), "77")


@pytest.mark.slow
def test_a_hold_is_a_pull_request_with_a_label_of_its_own_and_is_found_again(team: Team, hub: Hub) -> None:
    team.shipped(1)
    for reason, outcome in (("broken", "opened"), ("broken", "unchanged"), ("still broken", "updated")):
        with team.open() as repo:
            request = hold.Request("grocer/home", until="2999-01-01", reason=reason)
            told = hold.change_hold(Workspace(repo), request).document
        assert (told["outcome"], told["pull_request"]["id"]) == (outcome, str(hub.numbers("hold/")[0]))
    assert [each["name"] for each in hub.pulls[hub.numbers("hold/")[0]]["labels"]] == ["hold"]


@pytest.mark.slow
def test_log_tells_who_approved_and_status_what_it_can(team: Team, hub: Hub) -> None:
    number = team.shipped(1)
    hub.reviews[number].append({"state": "APPROVED", "user": {"login": "bea"}, "stale": False, "dismissed": False})
    team.publish(team.day(2))
    with team.open() as repo:
        (event,) = log.log(Workspace(repo), log.Query(approvals=True)).value.events
        assert event.approved_by == ("ann", "bea")
        hub.calls.clear()
        assert "approved_by" not in log.log(Workspace(repo), log.Query()).document["events"][0]
        assert hub.calls == [], "git alone"
    hub.rule = lambda method, path: "401"
    with team.open() as repo:
        (told,) = status.status(Workspace(repo), []).document["targets"]
        assert any("branches alone" in note for note in repo.notes)
    assert [each["url"] for each in told["pull_requests"]] == [None]


@pytest.mark.slow
def test_the_token_is_in_no_argument_no_configuration_and_no_message(
    team: Team, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    arguments, bin_ = tmp_path / "arguments", tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "git").write_text(f'#!/bin/sh\necho "$@" >> "{arguments}"\nexec "{shutil.which("git")}" "$@"\n')
    (bin_ / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}{os.pathsep}{os.environ['PATH']}")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(hub.repo), str(clone))
    git(clone, "remote", "set-url", "origin", team.url)
    with open_repository(str(clone), credentials) as repo:
        publish.publish(Workspace(repo), publish.Request((str(team.day(1)),)))
        hub.token = "another"
        with pytest.raises(Unreachable) as caught:
            repo.refresh()
    secrets = (TOKEN, base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode())
    said = [str(caught.value), arguments.read_text(), (clone / ".git" / "config").read_text()]
    assert "push" in said[1]
    assert not [text for text in said for secret in secrets if secret in text]


# each call, spoiled before and after it takes place

PAGE = Page("title", lambda: "body", ("ship",))
MESSAGE = "title\n\nbody\n"
CALLS: dict[str, tuple[str, Callable[[Gitea, Opened], object]]] = {
    "POST /pulls": ("new", lambda forge, opened: forge.open("ship/grocer/home/new", opened.head, PAGE)),
    "PATCH /pulls/1": ("", lambda forge, opened: forge.update(opened, Page("another", lambda: "body"))),
    "POST /labels": ("", lambda forge, opened: forge.label(opened, ["a", "b"])),
    "POST /issues/1/labels": ("", lambda forge, opened: forge.label(opened, ["a", "b"])),
    "POST /issues/1/comments": ("", lambda forge, opened: forge.comment(opened, "refresh", "said")),
    "POST /pulls/1/merge": ("", lambda forge, opened: forge.merge(opened, forge.repo.main, MESSAGE, "")),
    "POST /pulls/1/merge by itself": ("", lambda forge, opened: forge.auto_merge(opened, MESSAGE)),
    "DELETE /pulls/1/merge": ("", lambda forge, opened: forge.stop_auto_merge(opened)),
}
# Forgejo answers as Gitea does here, so its faults are played at full length alone.
BRANDS_WITH_FAULTS = pytest.mark.parametrize(
    "brand", ["Gitea", "Forgejo"] if "POINTSMAN_ROUNDS" in os.environ else ["Gitea"], indirect=True
)
KINDS = ("500", "500 after", "cut", "cut after", "malformed after", "limited", "hang", "hang after")


@pytest.mark.slow
@BRANDS_WITH_FAULTS
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_call_whose_answer_is_lost_takes_place_once(forge: Forge, hub: Hub, call: str, kind: str) -> None:
    adapter, opened = forge
    method, path = call.split(" ")[:2]
    hub.needs_review = call != "POST /pulls/1/merge"
    if method == "DELETE":
        adapter.auto_merge(opened, MESSAGE)
    left = [kind]
    hub.rule = lambda asked, where: left.pop() if left and (asked, where) == (method, path) else None
    CALLS[call][1](adapter, opened)
    assert not left, "the fault was met"
    hub.calls.clear()
    if call == "POST /pulls/1/merge":
        assert hub.pulls[1]["merged"]
        assert len(hub.git("log", "--format=%H", "main").splitlines()) == 2
    elif "itself" not in call:
        CALLS[call][1](adapter, opened)  # again: it looks, and finds it done
        assert all(asked == "GET" for asked, _ in hub.calls)
    schedules = [each["type"] for each in hub.events.get(1, []) if "schedule" in each["type"]]
    ends = {"POST /pulls/1/merge by itself": ["pull_scheduled_merge"]}
    both = ["pull_scheduled_merge", "pull_cancel_scheduled_merge"]
    assert schedules == (both if method == "DELETE" else ends.get(call, []))
    assert len(hub.numbers("ship/")) == 1 + bool(CALLS[call][0])
    assert all(len(said) == 1 for said in hub.comments.values())
    assert len({each["name"] for each in hub.labels}) == len(hub.labels)


@pytest.mark.slow
@BRANDS_WITH_FAULTS
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["502", "cut", "malformed", "limited", "401"])
def test_a_call_that_never_succeeds_ends_with_3_and_names_what_to_do(
    forge: Forge, hub: Hub, call: str, kind: str
) -> None:
    adapter, opened = forge
    method, path = call.split(" ")[:2]
    hub.needs_review = call != "POST /pulls/1/merge"
    if method == "DELETE":
        adapter.auto_merge(opened, MESSAGE)
    adapter.client.pacer.left = 60
    hub.rule = lambda asked, where: kind if (asked, where) == (method, path) else None
    with pytest.raises(Unreachable) as caught:
        CALLS[call][1](adapter, opened)
    assert caught.value.exit_code == 3
    says = {"limited": "run it again after", "401": "does not accept the token"}.get(kind, "answer")
    assert says in str(caught.value)
    assert TOKEN not in str(caught.value)
    hub.rule = lambda asked, where: None
    adapter.client.pacer.left = 60
    CALLS[call][1](adapter, opened)
    assert len(hub.numbers("ship/")) == 1 + bool(CALLS[call][0])


@pytest.mark.slow
@pytest.mark.parametrize("settings", [SETTINGS, PUSHED], ids=["pull-request", "push"])
def test_a_run_with_a_fault_at_any_call_converges_when_it_is_run_again(tmp_path: Path, hub: Hub, settings: str) -> None:
    team = Team(tmp_path, hub, settings)
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
