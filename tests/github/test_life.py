"""Ship pull requests on GitHub, from publish to the Revert button; a lost answer leaves nothing behind twice."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clocks import clock_at
from shop import GROCER, cooc, git, popularity
from world import how_many

from github.hub import TOKEN, Hub
from github.team import SETTINGS, Team, outcomes
from pointsman.cli import log as log_command
from pointsman.errors import MovedFirst, Problem, Unreachable
from pointsman.forge.base import BODY_LIMIT, Opened, Page
from pointsman.forge.github.pulls import GitHub, open_github
from pointsman.forge.open import credentials
from pointsman.repo.open import open_repository
from pointsman.shipping import pulls
from pointsman.verbs import audit, check, doctor, explain, log, pr, publish, rollback, status, sync
from pointsman.workspace import Workspace


@pytest.mark.slow
def test_the_whole_loop_and_back_to_the_same_bytes(team: Team, hub: Hub) -> None:
    first = team.shipped(1)
    before = team.sync()
    opened = team.publish(team.day(2), run="https://ci.example/7")
    (told,) = opened.document["targets"]
    number = int(told["pull_request"]["id"])
    assert told["outcome"] == "opened"
    assert told["pull_request"]["url"] == f"{hub.url}/o/r/pull/{number}"
    pull = hub.pulls[number]
    assert pull["title"].startswith("ship: grocer/home popularity ")
    assert pull["labels"] == ["ship", "grocer/home"]
    assert "| target | type |" in pull["body"], "the review"
    assert "Record: grocer/home popularity@" in pull["body"]
    assert [hub.pulls[each]["state"] for each in hub.numbers("records/")] == ["closed", "closed"], (
        "landed by themselves"
    )

    with team.open() as repo, pytest.raises(Unreachable, match="At least 1 approving review"):
        pr.merge(Workspace(repo), str(number))
    assert outcomes(team.publish(team.day(2))) == ["unchanged"]
    hub.approve(number)
    hub.button(number)
    assert outcomes(team.publish(team.day(2))) == ["unchanged"]
    assert team.sync() != before

    revert = hub.revert(number)
    (looked_at,) = team.refresh(hub.pulls[revert]["ref"])
    assert looked_at["outcome"] == "fresh"
    team.refresh(hub.pulls[revert]["ref"])
    assert hub.pulls[revert]["labels"] == ["rollback", "grocer/home"]
    (said,) = hub.comments[revert]
    assert "undoes" in said["body"]
    assert str(hub.head(hub.pulls[revert]["ref"])) in said["body"].partition("\n")[0]
    hub.approve(revert)
    hub.button(revert)
    assert team.sync() == before
    assert len(hub.numbers("ship/")) == 2
    assert first != number


@pytest.mark.slow
def test_a_joint_ship_of_twenty_targets_goes_all_the_way_and_back(tmp_path: Path, hub: Hub) -> None:
    team = Team(tmp_path, hub, SETTINGS.replace("[forge]\n", '[forge]\ngroup = "run"\n'))

    def ship(day: int) -> int:
        paths = [popularity(tmp_path / f"{n}.json", 20 + day, tenant=f"t{n:02}", day=day) for n in range(20)]
        told = team.publish(*paths, run=f"https://ci.example/{day}").document["targets"]
        assert {each["outcome"] for each in told} == {"opened"}
        (number,) = {int(each["pull_request"]["id"]) for each in told}
        git(team.desk, "fetch", "-q", "origin")
        assert checked(number) == [], "in a checkout, as the workflow does"
        hub.approve(number)
        hub.button(number)
        return number

    def checked(number: int) -> list[str]:
        git(team.desk, "fetch", "-q", "origin")
        with team.open() as repo:
            outcome = check.check(Workspace(repo), base="origin/main", head=f"origin/{hub.pulls[number]['ref']}")
        return [fault["rule"] for fault in outcome.document["faults"]]

    def served() -> dict[str, bytes]:
        with team.open() as repo:
            assert sync.sync(Workspace(repo)).exit_code == 0
        root = team.store / "registry" / "current"
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("manifest.json")}

    ship(1)
    before = served()
    second = ship(2)
    pull = hub.pulls[second]
    assert len(pull["body"]) <= BODY_LIMIT
    assert pull["labels"][:2] == ["ship", "t00/home"]
    assert not (before.items() & served().items())
    revert = hub.revert(second)
    team.refresh(hub.pulls[revert]["ref"])
    assert checked(revert) == []
    hub.approve(revert)
    hub.button(revert)
    assert served() == before
    with team.open() as repo:
        assert audit.audit(Workspace(repo)).exit_code == 0


@pytest.mark.slow
def test_merge_squashes_what_was_judged_and_main_keeps_its_lines(team: Team, hub: Hub) -> None:
    number = int(team.publish(team.day(1)).document["targets"][0]["pull_request"]["id"])
    hub.approve(number)
    with team.open(team.url) as repo:  # as a bot that has nothing but the URL
        merged = pr.merge(Workspace(repo), "grocer/home").document["commit"]
    assert hub.head("main") == merged
    message = hub.git("log", "-1", "--format=%B", "main")
    assert message.startswith("ship: grocer/home popularity")
    assert message.partition("\n")[0].endswith(f"(#{number})")
    assert re.search(r"^Manifest: grocer/home sha256:[0-9a-f]{64}$", message, re.MULTILINE)
    assert hub.head(hub.pulls[number]["ref"]) == ""


@pytest.mark.slow
def test_auto_merge_waits_for_the_approval_and_merges_at_once_where_none_is_needed(tmp_path: Path, hub: Hub) -> None:
    team = Team(tmp_path, hub, SETTINGS.replace('"github"\n', '"github"\nauto_merge = true\n'))
    (told,) = team.publish(team.day(1)).document["targets"]
    assert told["outcome"] == "opened"
    assert hub.pulls[int(told["pull_request"]["id"])]["state"] == "open"
    hub.approve(int(told["pull_request"]["id"]))
    assert hub.pulls[int(told["pull_request"]["id"])]["merged"]
    hub.needs_review = False
    assert outcomes(team.publish(team.day(2))) == ["merged"]
    team.sync()


@pytest.mark.slow
def test_records_that_wait_for_someone_end_publish_with_what_to_do_next(
    team: Team, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.records_need_review = True
    monkeypatch.setenv("POINTSMAN_RECORDS_TIMEOUT", "0")
    with pytest.raises(MovedFirst, match=rf"the records wait in {hub.url}/o/r/pull/1, .* run the same command again"):
        team.publish(team.day(1))
    assert not hub.numbers("ship/")
    hub.approve(1)
    assert outcomes(team.publish(team.day(1))) == ["opened"]
    assert hub.numbers("records/") == [1]


@pytest.mark.slow
def test_a_branch_of_records_that_holds_something_else_is_not_merged(team: Team, hub: Hub) -> None:
    hub.records_need_review = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POINTSMAN_RECORDS_TIMEOUT", "0")
        with pytest.raises(MovedFirst):
            team.publish(team.day(1))
    branch = hub.pulls[1]["ref"]
    hub.pulls[1]["auto_merge"] = None
    (team.desk / "CODEOWNERS").write_text("* @me\n")
    git(team.desk, "add", "-A")
    git(team.desk, "commit", "-q", "-m", "mine")
    git(team.desk, "push", "-q", "--force", "origin", f"HEAD:refs/heads/{branch}")
    with pytest.raises(Problem, match="was not pushed by a publish"):
        team.publish(team.day(1))


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
    heads = git(hub.repo, "for-each-ref")
    superseded = team.publish(team.day(1))
    assert (superseded.exit_code, outcomes(superseded)) == (4, ["superseded"])
    assert {method for method, _ in hub.calls} == {"GET"}, "nothing is opened, told or closed"
    assert git(hub.repo, "for-each-ref") == heads
    assert hub.numbers("ship/", "open") == [newer]


@pytest.mark.slow
def test_merging_again_what_people_merged_is_unchanged(team: Team, hub: Hub) -> None:
    number = team.shipped(1)
    branch = hub.pulls[number]["ref"]
    for name in (str(number), branch, "grocer/home"):
        with team.open() as repo:
            again = pr.merge(Workspace(repo), name)
        assert (again.exit_code, again.document["outcome"]) == (0, "unchanged")
        assert again.document["commit"] == git(hub.repo, "rev-parse", "main")
    with team.open() as repo, pytest.raises(Problem, match="no open pull request 77"):
        pr.merge(Workspace(repo), "77")


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
    assert [review["state"] for review in hub.reviews[together]] == ["DISMISSED"]
    hub.approve(together)
    hub.button(together)
    assert b"popularity" in team.sync()
    assert b"cooc" in team.sync()


@pytest.mark.slow
def test_a_merge_while_a_refresh_runs_wins_and_leaves_no_branch(team: Team, hub: Hub) -> None:
    team.publish(team.day(1))
    team.publish(cooc(team.root / "cooc.json", 30))
    popular, together = hub.numbers("ship/", "open")
    hub.button(popular)
    hub.settings["delete_branch_on_merge"] = False
    branch = hub.pulls[together]["ref"]
    with pytest.MonkeyPatch.context() as patch:
        real = GitHub._pull

        def closed(self: GitHub, opened: Opened) -> Any:
            if int(opened.number) == together:
                hub.pulls[together].update(state="closed", merged=True)
            return real(self, opened)

        patch.setattr(GitHub, "_pull", closed)
        (told,) = team.refresh()
    assert (told["outcome"], told["says"]) == ("left", "it was merged or closed meanwhile")
    assert hub.head(branch) == ""
    assert len(hub.numbers("ship/")) == 2


@pytest.mark.slow
def test_closed_by_hand_it_is_opened_anew_and_without_its_branch_it_is_closed(team: Team, hub: Hub) -> None:
    team.publish(team.day(1))
    (number,) = hub.numbers("ship/")
    hub.pulls[number]["state"] = "closed"
    with team.open() as repo:
        assert pr.list_pulls(Workspace(repo)).document["pull_requests"] == []
    team.publish(team.day(1))
    (again,) = hub.numbers("ship/", "open")
    hub.git("update-ref", "-d", f"refs/heads/{hub.pulls[again]['ref']}")
    team.publish(team.day(1))
    (third,) = hub.numbers("ship/", "open")
    with team.open() as repo:
        pr.close(Workspace(repo), str(third))
    assert hub.numbers("ship/", "open") == []
    assert hub.head(hub.pulls[third]["ref"]) == ""


@pytest.mark.slow
def test_rollback_opens_a_pull_request_and_finds_it_again(team: Team, hub: Hub) -> None:
    team.shipped(1)
    team.shipped(2)
    for outcome in ("opened", "unchanged"):
        with team.open() as repo:
            (told,) = rollback.roll_back(Workspace(repo), rollback.Request((GROCER,))).document["targets"]
        assert told["outcome"] == outcome
        assert [told["pull_request"]["id"]] == [str(number) for number in hub.numbers("rollback/")]
    assert hub.pulls[int(told["pull_request"]["id"])]["labels"] == ["rollback", "grocer/home"]


@pytest.mark.slow
def test_a_hold_is_a_pull_request_with_a_label_of_its_own_and_is_found_again(team: Team, hub: Hub) -> None:
    from pointsman.verbs import hold

    team.shipped(1)
    for reason, outcome in (("broken", "opened"), ("broken", "unchanged"), ("still broken", "updated")):
        with team.open() as repo:
            request = hold.Request("grocer/home", until="2999-01-01", reason=reason)
            told = hold.change_hold(Workspace(repo, clock=clock_at(0)), request).document
        assert (told["outcome"], told["pull_request"]["id"]) == (outcome, str(hub.numbers("hold/")[0]))
    assert len(hub.numbers("hold/")) == 1
    assert hub.pulls[int(told["pull_request"]["id"])]["labels"] == ["hold"]
    hub.approve(int(told["pull_request"]["id"]))
    with team.open() as repo:
        pr.merge(Workspace(repo), told["pull_request"]["id"])
        assert hold.change_hold(Workspace(repo, clock=clock_at(0)), request).document["outcome"] == "unchanged"


@pytest.mark.slow
def test_status_shows_what_it_can_where_github_does_not_answer(team: Team, hub: Hub) -> None:
    team.publish(team.day(1))
    with team.open() as repo:
        (told,) = status.status(Workspace(repo), []).document["targets"]
    assert [each["id"] for each in told["pull_requests"]] == [str(hub.numbers("ship/")[0])]
    hub.rule = lambda method, path: "401"
    with team.open() as repo:
        (told,) = status.status(Workspace(repo), []).document["targets"]
        assert any("branches alone" in note for note in repo.notes)
    assert [each["url"] for each in told["pull_requests"]] == [None]


@pytest.mark.slow
def test_log_tells_who_approved_where_it_is_asked_to(team: Team, hub: Hub) -> None:
    number = team.shipped(1)
    hub.reviews[number].append({"state": "APPROVED", "user": {"login": "bea"}})
    hub.reviews[number].append({"state": "CHANGES_REQUESTED", "user": {"login": "cem"}})
    ship = hub.head("main")
    with team.open() as repo:
        told = log.log(Workspace(repo), log.Query(approvals=True)).value
        (event,) = told.events
        assert event.approved_by == ("ann", "bea")
        assert "    approved by: ann, bea" in log_command.render(told).splitlines()
        assert log_command.render_csv(told).splitlines()[1].endswith('"ann, bea"')
        assert "It was approved by ann, bea." in log_command.render_explained(
            explain.explain(Workspace(repo), ship, approvals=True).value
        )
        hub.calls.clear()
        assert "approved_by" not in log.log(Workspace(repo), log.Query()).document["events"][0]
        assert hub.calls == [], "git alone"
    with team.open() as repo, pytest.MonkeyPatch.context() as patch:
        patch.delenv("GITHUB_TOKEN")
        with pytest.raises(Problem, match="set GH_TOKEN or GITHUB_TOKEN"):
            log.log(Workspace(repo), log.Query(approvals=True))


def test_doctor_says_what_is_not_set_up(team: Team, hub: Hub) -> None:
    hub.settings |= {"squash_merge_commit_message": "BLANK", "allow_merge_commit": True, "allow_auto_merge": False}

    def wrong() -> dict[str, str]:
        with team.open() as repo:
            checks = doctor.doctor(Workspace(repo)).document["checks"]
        return {
            check["name"]: check["says"] for check in checks if check["name"].startswith("forge") and not check["ok"]
        }

    found = wrong()
    assert {*found} == {"forge squash merges", "forge squash message", "forge auto-merge", "forge ruleset"}
    assert "BLANK" in found["forge squash message"]
    hub.settings |= {
        "squash_merge_commit_message": "COMMIT_MESSAGES", "allow_merge_commit": False, "allow_auto_merge": True,
    }  # fmt: skip
    root = Path(__file__).parents[2]
    hub.rules = json.loads((root / ".github" / "ruleset.json").read_text())["rules"]
    assert wrong() == {}


def test_without_a_token_or_on_another_host_it_says_what_to_set(
    team: Team, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with team.open() as repo:
        repo.refresh()
        monkeypatch.delenv("GITHUB_TOKEN")
        with pytest.raises(Problem, match="set GH_TOKEN or GITHUB_TOKEN"):
            pulls.open_pulls(Workspace(repo))
    git(team.desk, "remote", "set-url", "origin", str(hub.repo))
    with team.open() as repo, pytest.raises(Problem, match="origin is not a repository on"):
        open_github(repo)


def test_the_token_is_in_no_argument_no_configuration_and_no_message(
    team: Team, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log, bin_ = tmp_path / "arguments", tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "git").write_text(f'#!/bin/sh\necho "$@" >> "{log}"\nexec "{shutil.which("git")}" "$@"\n')
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
    said = [str(caught.value), log.read_text(), (clone / ".git" / "config").read_text()]
    assert "push" in said[1]
    assert not [text for text in said for secret in secrets if secret in text]


# each call, spoiled before and after it takes place

PAGE = Page("title", lambda: "body", ("ship",))
CALLS: dict[str, tuple[str, Callable[[GitHub, Opened], object]]] = {
    "POST /pulls": ("new", lambda forge, opened: forge.open("ship/grocer/home/new", opened.head, PAGE)),
    "PATCH /pulls/1": ("", lambda forge, opened: forge.update(opened, Page("another", lambda: "body"))),
    "POST /issues/1/labels": ("", lambda forge, opened: forge.label(opened, ["a", "b"])),
    "POST /issues/1/comments": ("", lambda forge, opened: forge.comment(opened, "refresh", "said")),
    "PUT /pulls/1/merge": ("", lambda forge, opened: forge.merge(opened, forge.repo.main, "title\n\nbody\n", "")),
    "POST /api/graphql": ("", lambda forge, opened: forge.auto_merge(opened, "title\n\nbody\n")),
}
KINDS = ("500", "500 after", "cut", "malformed after", "limited", "hang", "hang after")


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["cut after", *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS)])
def test_a_call_whose_answer_is_lost_takes_place_once(
    forge: tuple[GitHub, Opened], hub: Hub, call: str, kind: str
) -> None:
    adapter, opened = forge
    method, path = call.split(" ")[:2]
    left = [kind]
    hub.rule = lambda asked, where: left.pop() if left and (asked, where) == (method, path) else None
    hub.needs_review = "merge" not in path
    CALLS[call][1](adapter, opened)
    assert not left, "the fault was met"
    done = dict(hub.pulls[1])
    hub.calls.clear()
    if "merge" in path:
        assert done["merged"]
        assert len(hub.git("log", "--format=%H", "main").splitlines()) == 2
    else:
        CALLS[call][1](adapter, opened)  # again: it looks, and finds it done
        assert all(asked == "GET" for asked, _ in hub.calls)
    assert len(hub.numbers("ship/")) == 1 + bool(CALLS[call][0])
    assert all(len(said) == 1 for said in hub.comments.values())


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["500", "cut", "malformed", "limited", "401"])
def test_a_call_that_never_succeeds_ends_with_3_and_names_what_to_do(
    forge: tuple[GitHub, Opened], hub: Hub, call: str, kind: str
) -> None:
    adapter, _ = forge
    adapter.client.pacer.left = 60
    method, path = call.split(" ")[:2]
    hub.rule = lambda asked, where: kind if (asked, where) == (method, path) else None
    hub.needs_review = "merge" not in path
    with pytest.raises(Unreachable) as caught:
        CALLS[call][1](*forge)
    assert caught.value.exit_code == 3
    says = {"limited": "run it again after", "401": "does not accept the token"}.get(kind, "answer")
    assert says in str(caught.value)
    assert TOKEN not in str(caught.value)
    hub.rule = lambda asked, where: None
    CALLS[call][1](*forge)
    assert len(hub.numbers("ship/")) == 1 + bool(CALLS[call][0])


@pytest.mark.slow
def test_a_head_that_moved_is_not_merged(forge: tuple[GitHub, Opened], hub: Hub) -> None:
    adapter, opened = forge
    hub.needs_review = False
    commit = hub.git("commit-tree", f"{opened.head}^{{tree}}", "-p", opened.head, given="a human's\n")
    hub.git("update-ref", f"refs/heads/{opened.branch}", commit)
    with pytest.raises(MovedFirst, match="#1 moved while it was merged"):
        adapter.merge(opened, adapter.repo.main, "title\n", "")
    assert not hub.pulls[1]["merged"]


def test_a_long_review_is_cut_to_what_github_takes(forge: tuple[GitHub, Opened], hub: Hub) -> None:
    adapter, opened = forge
    adapter.update(opened, Page("t" * 300, lambda: "b" * 70_000))
    assert len(hub.pulls[1]["body"]) == BODY_LIMIT
    assert len(hub.pulls[1]["title"]) == 256


def test_auto_merge_that_is_off_is_said_with_where_to_turn_it_on(forge: tuple[GitHub, Opened], hub: Hub) -> None:
    adapter, opened = forge
    hub.settings["allow_auto_merge"] = False
    with pytest.raises(Unreachable, match=r"Auto merge is not allowed .*Allow auto-merge"):
        adapter.auto_merge(opened, "title\n")


@pytest.mark.slow
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
