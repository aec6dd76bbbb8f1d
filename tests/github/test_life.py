"""Ship pull requests on GitHub, from publish to the Revert button; a lost answer leaves nothing behind twice."""

from __future__ import annotations

import base64
import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from shop import cooc, git, popularity

from github.hub import TOKEN, Hub
from github.team import BY_ITSELF, SETTINGS, Team, outcomes
from pointsman.cli import log as log_command
from pointsman.errors import MovedFirst, Problem, Unreachable
from pointsman.forge.base import BODY_LIMIT, Opened, Page
from pointsman.forge.github.pulls import GitHub, open_github
from pointsman.forge.open import credentials
from pointsman.repo.open import open_repository
from pointsman.shipping import pulls
from pointsman.verbs import audit, check, doctor, explain, log, publish, refresh, sync
from pointsman.workspace import Workspace


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
def test_auto_merge_waits_for_the_approval_and_merges_at_once_where_none_is_needed(tmp_path: Path, hub: Hub) -> None:
    team = Team(tmp_path, hub, BY_ITSELF)
    (told,) = team.publish(team.day(1)).document["targets"]
    assert told["outcome"] == "opened"
    assert hub.pulls[int(told["pull_request"]["id"])]["state"] == "open"
    hub.approve(int(told["pull_request"]["id"]))
    assert hub.pulls[int(told["pull_request"]["id"])]["merged"]
    hub.needs_review = False
    assert outcomes(team.publish(team.day(2))) == ["merged"]
    team.sync()


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
        with team.open() as repo:
            (told,) = refresh.refresh(Workspace(repo)).document["pull_requests"]
    assert (told["outcome"], told["says"]) == ("left", "it was merged or closed meanwhile")
    assert hub.head(branch) == ""
    assert len(hub.numbers("ship/")) == 2


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
        (row,) = csv.DictReader(log_command.render_csv(told).splitlines())
        assert row["approved_by"] == "ann, bea"
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_head_that_moved_is_not_merged(forge: tuple[GitHub, Opened], hub: Hub) -> None:
    adapter, opened = forge
    hub.needs_review = False
    commit = hub.git("commit-tree", f"{opened.head}^{{tree}}", "-p", opened.head, given="a human's\n")
    hub.git("update-ref", f"refs/heads/{opened.branch}", commit)
    with pytest.raises(MovedFirst, match="#1 moved while it was merged"):
        adapter.merge(opened, adapter.repo.main, "title\n", "")
    assert not hub.pulls[1]["merged"]


@pytest.mark.slow
def test_a_long_review_is_cut_to_what_github_takes(forge: tuple[GitHub, Opened], hub: Hub) -> None:
    adapter, opened = forge
    adapter.update(opened, Page("t" * 300, lambda: "b" * 70_000))
    assert len(hub.pulls[1]["body"]) == BODY_LIMIT
    assert len(hub.pulls[1]["title"]) == 256


@pytest.mark.slow
def test_auto_merge_that_is_off_is_said_with_where_to_turn_it_on(forge: tuple[GitHub, Opened], hub: Hub) -> None:
    adapter, opened = forge
    hub.settings["allow_auto_merge"] = False
    with pytest.raises(Unreachable, match=r"Auto merge is not allowed .*Allow auto-merge"):
        adapter.auto_merge(opened, "title\n")
