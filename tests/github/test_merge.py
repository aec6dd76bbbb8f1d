"""What GitHub says to a merge, one after the other, and what Pointsman makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from approving import approved_ship
from shop import git

from github.hub import API, TOKEN, Hub
from github.team import Team
from pointsman.errors import MovedFirst, Unreachable
from pointsman.forge.base import Opened
from pointsman.forge.github.pulls import GitHub
from pointsman.verbs import check, pr
from pointsman.workspace import Workspace

Forge = tuple[GitHub, Opened]


def merge(forge: Forge) -> str:
    adapter, opened = forge
    return adapter.merge(opened, adapter.repo.main, "title\n\nlines\n", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "missing, says",
    [
        ("review", "At least 1 approving review is required .* needs an approval first"),
        ("check", 'Required status check "check" is expected.* needs its checks first'),
        ("squash", "Squash merges are not allowed .*Allow squash merging"),
        ("conflict", "not mergeable .*run pointsman pr refresh"),
    ],
)
def test_a_merge_that_github_does_not_make_names_its_own_remedy(
    forge: Forge, hub: Hub, missing: str, says: str
) -> None:
    hub.needs_review = missing == "review"
    hub.checks = {forge[1].head: "pending"} if missing == "check" else {}
    hub.settings["allow_squash_merge"] = missing != "squash"
    if missing == "conflict":
        blob = hub.git("hash-object", "-w", "--stdin", given="another")
        tree = hub.git("mktree", given=f"{hub.git('ls-tree', 'main')}\n100644 blob {blob}\tone\n")
        hub.git("update-ref", "refs/heads/main", hub.git("commit-tree", tree, "-p", "main", "-m", "one"))
    with pytest.raises(Unreachable, match=says):
        merge(forge)
    assert not hub.pulls[1]["merged"]


@pytest.mark.slow
def test_a_token_that_may_bypass_the_rules_merges_and_still_squashes(forge: Forge, hub: Hub) -> None:
    hub.bypasses = True
    assert merge(forge) == hub.head("main")
    assert hub.git("log", "-1", "--format=%B%P", "main").splitlines()[:1] == ["title (#1)"]


def test_a_base_that_github_says_was_modified_is_no_refusal(forge: Forge, hub: Hub) -> None:
    hub.needs_review = False
    hub.rule = lambda method, path: "modified" if path.endswith("/merge") else None
    with pytest.raises(MovedFirst, match="Base branch was modified"):
        merge(forge)


@pytest.mark.slow
def test_a_push_that_github_has_not_seen_yet_is_waited_for(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    hub.needs_review = False
    new = hub.git("commit-tree", f"{opened.head}^{{tree}}", "-p", "main", given="title\n\nnew\n")
    hub.lag = 3
    hub.git("update-ref", f"refs/heads/{opened.branch}", new)
    adapter.repo.refresh()
    later = Opened(opened.branch, adapter.repo.heads[opened.ref], opened.number, opened.url)
    assert adapter.merge(later, adapter.repo.main, "title\n\nnew\n", "") == hub.head("main")
    assert not hub.lag


@pytest.mark.slow
def test_a_pull_request_into_another_branch_is_none_of_ours(forge: Forge, hub: Hub) -> None:
    adapter, _ = forge
    hub.git("update-ref", "refs/heads/release", "main")
    wanted = {"title": "mine", "head": "ship/grocer/home/new", "base": "release", "body": ""}
    hub.answer("POST", f"{API}/pulls", {}, wanted, TOKEN)
    assert [each.number for each in adapter.find()] == ["1"]
    assert adapter.find(["ship/grocer/home/new"]) == []


@pytest.mark.slow
def test_approvals_and_comments_beyond_the_first_page_are_read(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    hub.reviews[1] = [{"state": "COMMENTED", "user": {"login": "bea"}}] * 130
    hub.reviews[1] += [{"state": "APPROVED", "user": {"login": "ann"}}]
    assert adapter.approvals(opened) == ("ann",)
    hub.comments[1] = [{"id": place, "body": "a word"} for place in range(120)]
    adapter.comment(opened, "refresh", "said")
    adapter.comment(opened, "refresh", "said again")
    assert len(hub.comments[1]) == 121
    assert hub.comments[1][-1]["body"].endswith("said again")


@pytest.mark.slow
def test_pr_merge_goes_on_where_the_base_was_modified(tmp_path: Path, team: Team, hub: Hub) -> None:
    number = int(team.publish(team.day(1)).document["targets"][0]["pull_request"]["id"])
    hub.approve(number)
    left = ["modified", "modified"]
    hub.rule = lambda method, path: left.pop() if left and path.endswith("/merge") else None
    with team.open() as repo:
        assert pr.merge(Workspace(repo), str(number)).value.commit == hub.head("main")
    assert not left


@pytest.mark.slow
def test_what_two_approved_is_the_same_to_sync_and_audit_if_a_merge_queue_merged_it(team: Team, hub: Hub) -> None:
    def button(number: int) -> None:
        """A merge queue makes the squash first, and has it checked."""
        hub.approve(number)
        head = hub.pulls[number]["sha"]
        tree, text = hub.git("merge-tree", "--write-tree", "main", head), hub.git("log", "-1", "--format=%B", head)
        commit = hub.git("commit-tree", tree, "-p", "main", given=text.replace("\n", f" (#{number})\n", 1))
        hub.git("update-ref", f"refs/heads/gh-readonly-queue/main/pr-{number}", commit)
        git(team.desk, "fetch", "-q", str(hub.repo), f"gh-readonly-queue/main/pr-{number}")
        with team.open() as repo:
            assert check.check(Workspace(repo), base="main", head=commit).document["faults"] == []
        hub.git("update-ref", "refs/heads/main", commit)

    approved_ship(team, lambda number: None, button)
