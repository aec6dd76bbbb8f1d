"""What GitLab says to a merge, one after the other, and what Pointsman makes of it."""

from __future__ import annotations

import pytest

from gitlab.hub import Hub
from pointsman.errors import MovedFirst, Unreachable
from pointsman.forge.base import Opened
from pointsman.forge.gitlab.pulls import GitLab
from pointsman.forge.http import Denied

pytestmark = pytest.mark.slow
Forge = tuple[GitLab, Opened]
MESSAGE = "title\n\nlines\n"


def merge(forge: Forge, message: str = MESSAGE) -> str:
    adapter, opened = forge
    return adapter.merge(opened, adapter.repo.main, message, "")


def elsewhere(hub: Hub, file: str = "other") -> None:
    """Somebody's commit on main, which touches another file."""
    blob = hub.git("hash-object", "-w", "--stdin", given=f"another {file}")
    tree = hub.git("mktree", given=f"{hub.git('ls-tree', 'main')}\n100644 blob {blob}\t{file}\n")
    hub.git("update-ref", "refs/heads/main", hub.git("commit-tree", tree, "-p", "main", "-m", file))


def test_where_merge_commits_are_made_main_still_shows_the_message(forge: Forge, hub: Hub) -> None:
    hub.needs_review = False
    hub.settings["merge_method"] = "merge"
    assert merge(forge) == hub.head("main")
    assert hub.git("log", "-1", "--format=%B", "main") == "title (!1)\n\nlines"
    assert len(hub.git("log", "-1", "--format=%P", "main").split()) == 2


@pytest.mark.parametrize(
    "missing, says",
    [
        ("approval", "405 Method Not Allowed, not_approved .*it needs an approval first"),
        ("pipeline", "405 Method Not Allowed, ci_must_pass .*its pipeline has to pass first"),
        ("conflict", "cannot be merged, conflict .*run pointsman pr refresh"),
        ("right", "may not merge into main .*Protected branches → main, Allowed to merge"),
    ],
)
def test_a_merge_that_gitlab_does_not_make_names_its_own_remedy(
    forge: Forge, hub: Hub, missing: str, says: str
) -> None:
    hub.needs_review = missing == "approval"
    hub.pipelines = {forge[1].head: "failed"} if missing == "pipeline" else {}
    hub.may_merge = missing != "right"
    if missing == "conflict":
        elsewhere(hub, "one")
    with pytest.raises(Unreachable, match=says):
        merge(forge)
    assert hub.pulls[1]["state"] == "opened"


@pytest.mark.parametrize("status", ["406", "moved-write"])
def test_other_words_of_refusal_are_told_too(forge: Forge, hub: Hub, status: str) -> None:
    hub.rule = lambda method, path: status if path.endswith("/merge") else None
    says = {"406": "Branch cannot be merged", "moved-write": "has moved on GitLab: give origin its new URL"}
    with pytest.raises(Unreachable, match=says[status]):
        merge(forge)


def test_a_status_that_gitlab_still_works_out_is_waited_for(forge: Forge, hub: Hub) -> None:
    hub.needs_review = False
    hub.undecided = 3
    assert merge(forge) == hub.head("main")
    assert not hub.undecided


def test_where_only_a_fast_forward_is_merged_it_is_rebased_and_merged_as_it_was_judged(forge: Forge, hub: Hub) -> None:
    hub.approve(1)
    elsewhere(hub)
    main = hub.head("main")
    assert merge(forge) == hub.head("main")
    assert hub.git("rev-parse", "main^") == main
    assert hub.git("log", "-1", "--format=%B", "main") == "title (!1)\n\nlines"
    assert hub.head(forge[1].branch) == ""


def test_what_has_to_be_rebased_waits_for_its_pipeline_again_and_says_so(forge: Forge, hub: Hub) -> None:
    hub.needs_review = False
    elsewhere(hub)
    real = hub.rebase

    def rebase(number: int) -> None:
        real(number)
        hub.pipelines[hub.pulls[1]["sha"]] = "running"

    hub.rebase = rebase  # type: ignore[method-assign]
    with pytest.raises(Unreachable, match=r"ci_still_running .*run the command again when it is green"):
        merge(forge)
    assert hub.pulls[1]["state"] == "opened"


def test_what_was_pushed_while_it_was_rebased_is_not_merged(forge: Forge, hub: Hub) -> None:
    hub.needs_review = False
    elsewhere(hub)
    real = hub.rebase

    def rebase(number: int) -> None:
        real(number)
        tree = hub.git("rev-parse", "main^{tree}")
        moved = hub.git("commit-tree", tree, "-p", "main", given="somebody's\n")
        hub.git("update-ref", f"refs/heads/{forge[1].branch}", moved)

    hub.rebase = rebase  # type: ignore[method-assign]
    with pytest.raises(MovedFirst, match="someone pushed to"):
        merge(forge)
    assert hub.pulls[1]["state"] == "opened"


def test_a_rebase_that_the_token_may_not_make_is_told(forge: Forge, hub: Hub) -> None:
    elsewhere(hub)
    hub.rule = lambda method, path: "forbidden" if path.endswith("/rebase") else None
    with pytest.raises(Unreachable, match=r"has to be rebased onto main, and GitLab refuses that: 403 Forbidden"):
        merge(forge)


def test_a_project_that_was_renamed_is_told_with_what_to_do(forge: Forge, hub: Hub) -> None:
    hub.rule = lambda method, path: "moved"
    with pytest.raises(Denied, match=r"shop/data/manifests has moved on GitLab: give origin its new URL"):
        forge[0].find(["ship/grocer/home/one"])


@pytest.mark.parametrize(
    "kind, says",
    [
        ("scope", r"the token does not allow GET .* \(it needs the scope api\): needs more"),
        ("401", r"GitLab does not accept the token \(GITLAB_TOKEN\): make a new one"),
        ("gone", "that this token may see"),
    ],
)
def test_a_token_without_a_right_is_told_which(forge: Forge, hub: Hub, kind: str, says: str) -> None:
    hub.rule = lambda method, path: kind
    with pytest.raises(Denied, match=says):
        forge[0].approvals(forge[1])


def test_a_rate_limit_that_is_no_json_is_waited_for(forge: Forge, hub: Hub) -> None:
    left = ["slowly", "slowly"]
    hub.rule = lambda method, path: left.pop() if left else None
    assert [each.number for each in forge[0].find([forge[1].branch])] == ["1"]
    assert not left


def test_a_branch_of_a_fork_is_none_of_ours(forge: Forge, hub: Hub) -> None:
    hub.pulls[1]["fork"] = True
    assert forge[0].find() == []
    assert forge[0].find([forge[1].branch]) == []


def test_approvals_of_what_was_before_do_not_count_and_a_rebase_keeps_them(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    hub.approve(1, "bea")
    elsewhere(hub)
    hub.rebase(1)
    assert adapter.approvals(opened) == ("bea",)
    tree = hub.git("rev-parse", "main^{tree}")
    hub.git("update-ref", f"refs/heads/{opened.branch}", hub.git("commit-tree", tree, "-p", "main", given="new\n"))
    hub.look()
    assert adapter.approvals(opened) == ()
    hub.approve(1, "ann")
    assert adapter.approvals(opened) == ("ann",)


def test_doctor_is_told_what_is_not_set_up_and_what_this_gitlab_cannot_enforce(forge: Forge, hub: Hub) -> None:
    assert {name for name, says in forge[0].protection() if says} == set()
    hub.settings |= {"merge_method": "merge", "squash_option": "default_on", "squash_commit_template": None}
    hub.settings |= {"only_allow_merge_if_pipeline_succeeds": False, "remove_source_branch_after_merge": False}
    hub.main_protection = {**(hub.main_protection or {}), "allow_force_push": True}
    hub.main_protection |= {"push_access_levels": [{"access_level": 30}], "merge_access_levels": [{"access_level": 30}]}
    wrong = {name: says for name, says in forge[0].protection() if says}
    assert [*wrong] == [
        "merge method", "squash merges", "squash message", "gate", "merged branches", "main", "history", "approvals",
    ]  # fmt: skip
    assert "%{first_multiline_commit}" in wrong["squash message"]
    assert "no approval rules" in wrong["approvals"]
    hub.premium = True
    assert "no code owner has to approve" in dict(forge[0].protection())["approvals"]
    hub.main_protection = None
    assert "main is not protected" in dict(forge[0].protection())["main"]
