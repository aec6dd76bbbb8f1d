"""What Gitea says to a merge, one after the other, and what Pointsman makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitea.conftest import BRANDS, Forge
from gitea.hub import TOKEN, Hub
from gitea.team import Team
from pointsman.errors import MovedFirst, Problem, Unreachable
from pointsman.forge.base import BODY_LIMIT, Opened, Page
from pointsman.forge.gitea.brand import GITEA
from pointsman.verbs import pr
from pointsman.workspace import Workspace


def merge(forge: Forge) -> str:
    adapter, opened = forge
    return adapter.merge(opened, adapter.repo.main, "title\n\nlines\n", "")


def conflict(hub: Hub) -> None:
    blob = hub.git("hash-object", "-w", "--stdin", given="another")
    tree = hub.git("mktree", given=f"{hub.git('ls-tree', 'main')}\n100644 blob {blob}\tone\n")
    hub.git("update-ref", "refs/heads/main", hub.git("commit-tree", tree, "-p", "main", "-m", "one"))


@pytest.mark.parametrize(
    "missing, says",
    [
        pytest.param("review", "Does not have enough approvals .*it needs an approval first", marks=pytest.mark.slow),
        pytest.param("check", "Not all required status checks .*it needs its checks first", marks=pytest.mark.slow),
        pytest.param("squash", "not allowed .*allow squash merges; pointsman doctor", marks=pytest.mark.slow),
        ("conflict", r"does not say why .*if it conflicts with main, run pointsman pr refresh"),
        pytest.param("told conflict", "Merge conflict in a .*run pointsman pr refresh", marks=pytest.mark.slow),
        pytest.param("busy", "Please try again later .*run pointsman pr refresh", marks=pytest.mark.slow),
    ],
)
def test_a_merge_that_is_not_made_names_its_own_remedy(forge: Forge, hub: Hub, missing: str, says: str) -> None:
    hub.needs_review = missing == "review"
    hub.checks = {forge[1].head: "pending"} if missing == "check" else {}
    hub.settings["allow_squash_merge"] = missing != "squash"
    hub.busy = 1000 if missing == "busy" else 0
    hub.tells_conflicts = missing == "told conflict"
    if "conflict" in missing:
        conflict(hub)
    with pytest.raises(Unreachable, match=says) as caught:
        merge(forge)
    assert caught.value.exit_code == 3
    assert not hub.pulls[1]["merged"]


@pytest.mark.slow
def test_an_approval_of_what_it_was_before_is_none(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    hub.approve(1)
    new = hub.git("commit-tree", f"{opened.head}^{{tree}}", "-p", "main", given="title\n\nnew\n")
    hub.git("update-ref", f"refs/heads/{opened.branch}", new)
    adapter.repo.refresh()
    later = Opened(opened.branch, adapter.repo.heads[opened.ref], opened.number, opened.url)
    with pytest.raises(Unreachable, match="an approval first, of what it is now"):
        merge((adapter, later))
    assert adapter.approvals(later) == ()


@pytest.mark.slow
def test_a_head_that_moved_is_not_merged(forge: Forge, hub: Hub) -> None:
    hub.needs_review = False
    opened = forge[1]
    commit = hub.git("commit-tree", f"{opened.head}^{{tree}}", "-p", opened.head, given="a human's\n")
    hub.git("update-ref", f"refs/heads/{opened.branch}", commit)
    with pytest.raises(MovedFirst, match="#1 moved while it was merged"):
        merge(forge)
    assert not hub.pulls[1]["merged"]


@pytest.mark.slow
def test_a_forge_that_still_looks_for_conflicts_and_one_that_has_not_seen_a_push_are_waited_for(
    forge: Forge, hub: Hub
) -> None:
    adapter, opened = forge
    hub.needs_review = False
    new = hub.git("commit-tree", f"{opened.head}^{{tree}}", "-p", "main", given="title\n\nnew\n")
    hub.lag, hub.busy = 3, 3
    hub.git("update-ref", f"refs/heads/{opened.branch}", new)
    adapter.repo.refresh()
    later = Opened(opened.branch, adapter.repo.heads[opened.ref], opened.number, opened.url)
    assert merge((adapter, later)) == hub.head("main")
    assert (hub.lag, hub.busy) == (0, 0)
    assert hub.git("log", "-1", "--format=%B%P", "main").splitlines()[:3] == ["title (#1)", "", "lines"]


@pytest.mark.slow
def test_a_pull_request_into_another_branch_is_none_of_ours(forge: Forge, hub: Hub) -> None:
    adapter, _ = forge
    hub.git("update-ref", "refs/heads/release", "main")
    wanted = {"title": "mine", "head": "ship/grocer/home/new", "base": "release", "body": ""}
    hub.answer("POST", f"{hub.api}/pulls", {}, wanted, f"token {TOKEN}")
    assert [each.number for each in adapter.find()] == ["1"]
    assert adapter.find(["ship/grocer/home/new"]) == []


@pytest.mark.slow
@pytest.mark.parametrize("most", [50, 7])
def test_lists_are_read_to_their_end_however_short_the_pages_of_a_server_are(forge: Forge, hub: Hub, most: int) -> None:
    adapter, opened = forge
    hub.most_items = most
    empty = {"stale": False, "dismissed": False}
    hub.reviews[1] = [{"state": "COMMENT", "user": {"login": "bea"}, **empty}] * 130
    hub.reviews[1] += [{"state": "APPROVED", "user": {"login": "ann"}, **empty}]
    assert adapter.approvals(opened) == ("ann",)


@pytest.mark.slow
def test_who_approved_is_whose_last_word_it_is_and_still_counts(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    for who, state, more in (
        ("ann", "APPROVED", {}),
        ("bea", "APPROVED", {"dismissed": True}),
        ("cem", "APPROVED", {}),
        ("cem", "REQUEST_CHANGES", {}),
        ("dan", "APPROVED", {"stale": True}),
        ("eve", "REQUEST_CHANGES", {}),
        ("eve", "APPROVED", {}),
        ("ann", "COMMENT", {}),
    ):
        review = {"state": state, "user": {"login": who}, "stale": False, "dismissed": False, **more}
        hub.reviews.setdefault(1, []).append(review)
    assert adapter.approvals(opened) == ("ann", "eve")


@pytest.mark.slow
def test_an_older_gitea_that_cannot_be_asked_for_a_commit_is_asked_for_the_number_in_its_title(
    forge: Forge, hub: Hub
) -> None:
    adapter, _ = forge
    hub.needs_review, hub.finds_by_commit = False, False
    commit = type(forge[1].head)(merge(forge))
    found = adapter.merged_as(commit)
    assert found is not None
    assert found.number == "1"
    said = hub.git("commit-tree", "main^{tree}", "-p", "main", given="mine (#1)\n")
    hub.git("update-ref", "refs/heads/main", said)
    adapter.repo.refresh()
    assert adapter.merged_as(type(commit)(said)) is None


@pytest.mark.slow
@pytest.mark.parametrize("tells", [True, False], ids=["known", "nameless"])
@pytest.mark.parametrize("writes", [True, False])
def test_whatever_the_token_may_our_comment_is_there_once(forge: Forge, hub: Hub, tells: bool, writes: bool) -> None:
    adapter, opened = forge
    hub.tells_who, hub.writes = tells, writes
    hub.say(1, "<!-- pointsman: review 1 -->\nnot ours")
    for text in ("first", "second"):
        adapter.comment(opened, "review", text)
    said = [each["body"].rpartition("\n")[2] for each in hub.comments[1]]
    assert said == (["second"] if writes and not tells else ["not ours", "second"])


@pytest.mark.slow
@pytest.mark.parametrize("code", [404, 405])
def test_a_merge_that_someone_was_faster_with_is_a_merge(forge: Forge, hub: Hub, code: int) -> None:
    hub.needs_review, hub.merged_is = False, code

    def merged(method: str, path: str) -> None:
        if path.endswith("/merge") and not hub.pulls[1]["merged"]:
            hub.button(1)

    hub.rule = merged
    assert merge(forge) == hub.head("main")


@pytest.mark.slow
def test_a_label_that_two_made_at_the_same_moment_is_one_label(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge

    def make(method: str, path: str) -> None:
        if (method, path) == ("POST", "/labels") and not hub.labels:
            hub.labels.append({"id": 7, "name": "Ship", "color": "70c24a"})

    hub.rule = make
    adapter.label(opened, ["ship", "x" * 51])
    assert [(each["id"], each["name"]) for each in hub.labels] == [(7, "Ship")]
    assert [each["id"] for each in hub.pulls[1]["labels"]] == [7]


@pytest.mark.slow
def test_a_long_review_is_cut_to_what_is_shown(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    adapter.update(opened, Page("t" * 300, lambda: "b" * 70_000))
    assert len(hub.pulls[1]["body"]) == BODY_LIMIT
    assert len(hub.pulls[1]["title"]) == 255


@pytest.mark.slow
@pytest.mark.parametrize(
    "trouble, says",
    [
        ("moved", r"o/r has moved on \w+: give origin its new URL"),
        ("forbidden", r"the token does not allow .*write:repository and write:issue"),
        ("401", r"does not accept the token \(\w+_TOKEN\): make a new one"),
        ("gone", "that this token may see"),
    ],
)
def test_a_name_a_token_or_a_right_that_is_not_there_any_more_is_one_sentence(
    forge: Forge, hub: Hub, trouble: str, says: str
) -> None:
    adapter, opened = forge
    if trouble == "moved":
        hub.moved = True
    else:
        hub.rule = lambda method, path: trouble
    with pytest.raises(Unreachable, match=says) as caught:
        adapter.update(opened, Page("another", lambda: "body"))
    assert TOKEN not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_an_instance_below_a_path_is_found_by_its_address_or_on_this_machine_by_the_remote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub(tmp_path / "hub", "Gitea", below="/git/hub")
    monkeypatch.setenv("GITEA_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    team = Team(tmp_path, hub)
    hub.needs_review = False
    for address in ("", f"{hub.url}/"):
        monkeypatch.setenv(GITEA.address, address)
        told = team.publish(team.day(1 + bool(address))).document["targets"][0]["pull_request"]
        assert told["url"].startswith(f"{hub.url}/o/r/pulls/")
        with team.open(team.url) as repo:
            assert pr.merge(Workspace(repo), told["id"]).document["commit"] == hub.head("main")
    hub.close()
    assert hub.wrong == []


def test_without_a_token_or_an_address_it_says_what_to_set(
    team: Team, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = BRANDS[hub.brand]
    with team.open() as repo:
        repo.refresh()
        monkeypatch.delenv(brand.tokens[0])
        with pytest.raises(Problem, match=f"no token for o/r on {brand.name}: set {brand.tokens[0]}"):
            _ = Workspace(repo).forge
    monkeypatch.setenv(brand.address, "https://git.example.com")
    with team.open() as repo:
        repo.refresh()
        with pytest.raises(Problem, match=f"on the server that {brand.address} names"):
            _ = Workspace(repo).forge
