"""Refresh: what main has overtaken is built anew from what it says, the rest is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from shop import GROCER, Kept, Shop, cooc, git, popularity

from pointsman.errors import MovedFirst, Problem
from pointsman.repo import retry
from pointsman.shipping import pulls
from pointsman.state.documents import read_manifest
from pointsman.verbs import refresh
from pointsman.workspace import Workspace


def two_open(root: Path) -> Shop:
    """A target shipped once, with one pull request for its popularity and one for its cooc."""
    shop = Shop(root)
    shop.publish(popularity(root / "first.json", 30), merge=True)
    shop.publish(popularity(root / "popularity.json", 30, day=2, salt="x"))
    shop.publish(cooc(root / "cooc.json", 20, day=2), run="https://ci.example/7")
    return shop


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("kept"), two_open)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def of_cooc(shop: Shop, target: str = "grocer/home") -> dict[str, Any]:
    (pull,) = [pull for pull in shop.pulls() if pull["title"].startswith(f"ship: {target} cooc ")]
    return pull


def merged_popularity(shop: Shop) -> None:
    (pull,) = [pull for pull in shop.pulls() if " popularity " in pull["title"]]
    shop.merge(pull["id"])


def refreshed(shop: Shop, named: str | None = None) -> dict[str, tuple[str, str]]:
    """Branch → what became of it, and what is said of that. A dry run told it before, and wrote nothing."""
    before = shop.everything()
    with shop.open() as repo:
        dry = refresh.refresh(Workspace(repo), named, dry_run=True).document
    assert shop.everything() == before
    with shop.open() as repo:
        told = refresh.refresh(Workspace(repo), named).document["pull_requests"]
    assert dry["dry_run"]
    assert [(each["branch"], each["outcome"], each["faults"]) for each in dry["pull_requests"]] == [
        (each["branch"], each["outcome"], each["faults"]) for each in told
    ]
    return {each["branch"]: (each["outcome"], each["says"]) for each in told}


@pytest.mark.slow
def test_nothing_is_rebuilt_that_main_has_not_overtaken(shop: Shop) -> None:
    before = shop.everything()
    assert {outcome for outcome, _ in refreshed(shop).values()} == {"fresh"}
    assert shop.everything() == before


def test_a_stale_one_is_built_on_what_main_has_now_with_the_same_lines(shop: Shop) -> None:
    pull = of_cooc(shop)
    lines = git(shop.origin, "log", "-1", "--format=%B", pull["branch"]).splitlines()
    merged_popularity(shop)
    assert of_cooc(shop)["stale"]
    ((branch, (outcome, says)),) = refreshed(shop).items()
    assert (branch, outcome) == (pull["branch"], "rebuilt")
    assert says == f"built anew on main at {shop.main[:12]}"
    again = git(shop.origin, "log", "-1", "--format=%B", branch).splitlines()
    assert [line for line in again if line.startswith(("Record:", "Run:"))] == [
        line for line in lines if line.startswith(("Record:", "Run:"))
    ]
    shop.merge(pull["id"])
    manifest = read_manifest(shop.manifest, GROCER.manifest_path)
    assert not isinstance(manifest, list)
    assert {*manifest.current} == {"cooc", "popularity"}
    assert f"{manifest.versions['popularity']}" in git(shop.origin, "show", "main~1")


@pytest.mark.slow
def test_one_alone_is_refreshed_where_it_is_named(shop: Shop) -> None:
    merged_popularity(shop)
    assert refreshed(shop, "grocer/home").keys() == {of_cooc(shop)["branch"]}


@pytest.mark.slow
def test_a_commit_of_somebody_else_stops_it(shop: Shop) -> None:
    pull = of_cooc(shop)
    git(shop.desk, "fetch", "-q", "origin")
    git(shop.desk, "checkout", "-q", "-B", "theirs", f"origin/{pull['branch']}")
    git(shop.desk, "commit", "-q", "--allow-empty", "-m", "a note")
    git(shop.desk, "push", "-q", "origin", f"HEAD:{pull['branch']}")
    merged_popularity(shop)
    head = git(shop.origin, "rev-parse", pull["branch"])
    with shop.open() as repo:
        repo.refresh()
        assert pulls.others_work(repo, pulls.find(Workspace(repo), pull["id"])).endswith("by Ann Ops <ann@example.org>")
    assert git(shop.origin, "rev-parse", pull["branch"]) == head
    (told,) = shop.publish(shop.root / "cooc.json").document["targets"]
    assert "a commit that no publish made" in told["says"]
    assert git(shop.origin, "rev-parse", pull["branch"]) == head


@pytest.mark.slow
def test_a_version_that_a_rollback_took_out_meanwhile_is_left_out(shop: Shop) -> None:
    popular, together = shop.root / "popularity.json", shop.root / "cooc.json"
    shop.publish(popular, together)
    (both,) = shop.pulls()
    shop.publish(popular, merge=True)
    shop.roll_back(now=True, reason="the day is broken")
    ((branch, (outcome, says)),) = refreshed(shop).items()
    assert (branch, outcome) == (both["branch"], "rebuilt")
    assert "left out, as a rollback took them out: grocer/home popularity@" in says
    message = git(shop.origin, "log", "-1", "--format=%B", branch)
    assert "Left out, as a rollback took them out: grocer/home popularity@" in message
    assert "Record: grocer/home cooc@" in message
    assert "Record: grocer/home popularity@" not in message
    shop.merge(both["id"])


@pytest.mark.slow
def test_one_whose_every_version_was_taken_out_or_is_on_main_is_closed(shop: Shop) -> None:
    popular, together = shop.root / "popularity.json", shop.root / "cooc.json"
    shop.publish(popular, together)
    (both,) = shop.pulls()
    shop.publish(together)
    alone = next(each for each in shop.pulls() if each["id"] != both["id"])
    shop.merge(both["id"])
    assert refreshed(shop) == {alone["branch"]: ("closed", "main has what it ships")}
    assert shop.pulls() == []


@pytest.mark.slow
def test_what_the_gate_does_not_pass_any_more_stays_as_it_is(shop: Shop) -> None:
    pull = of_cooc(shop)
    merged_popularity(shop)
    settings = shop.desk / "pointsman.toml"
    shop.pull()
    settings.write_text(settings.read_text().replace("[policy]\n", '[policy]\ntype_missing = ["session_seq"]\n'))
    shop.push("a new limit")
    head = git(shop.origin, "rev-parse", pull["branch"])
    with shop.open() as repo:
        outcome = refresh.refresh(Workspace(repo))
    (told,) = outcome.document["pull_requests"]
    assert (outcome.exit_code, told["outcome"]) == (1, "refused")
    assert [fault["rule"] for fault in told["faults"]] == ["type-missing"]
    assert git(shop.origin, "rev-parse", pull["branch"]) == head


@pytest.mark.slow
def test_a_rollback_is_left_to_whoever_asked_for_it(shop: Shop) -> None:
    merged_popularity(shop)
    shop.roll_back()
    shop.publish(popularity(shop.root / "third.json", 30, day=3, salt="x"), merge=True)
    told = refreshed(shop)
    (left,) = [says for branch, (outcome, says) in told.items() if branch.startswith("rollback/") and outcome == "left"]
    assert "run pointsman rollback again" in left


@pytest.mark.slow
def test_whoever_comes_second_finds_it_rebuilt(shop: Shop) -> None:
    merged_popularity(shop)
    with shop.open() as one, shop.open() as other:
        first = refresh.refresh(Workspace(one)).document["pull_requests"]
        second = refresh.refresh(Workspace(other)).document["pull_requests"]
    assert [each["outcome"] for each in (*first, *second)] == ["rebuilt", "fresh"]


def without_record(shop: Shop) -> str:
    """A branch that ships a version which nobody recorded, as anyone may push it; it is the first in any list."""
    said = f"Manifest: baker/home sha256:{'0' * 64}\nSupersedes: baker/home {'0' * 40}\n"
    said += f"Record: baker/home popularity@{'0' * 64}\n"
    commit = git(shop.origin, "commit-tree", "main^{tree}", "-p", "main", given=f"ship: baker/home\n\n{said}")
    git(shop.origin, "update-ref", "refs/heads/ship/baker/home/0", commit)
    return "ship/baker/home/0"


@pytest.mark.slow
def test_one_that_cannot_be_rebuilt_stops_no_other(shop: Shop) -> None:
    pull = of_cooc(shop)
    merged_popularity(shop)
    odd = without_record(shop)
    with shop.open() as repo:
        outcome = refresh.refresh(Workspace(repo))
    told = {each["branch"]: each for each in outcome.document["pull_requests"]}
    assert outcome.exit_code == 5
    assert told[pull["branch"]]["outcome"] == "rebuilt"
    assert told[odd]["outcome"] == "failed"
    assert "has no record on main: close it" in told[odd]["says"]
    with shop.open() as repo, pytest.raises(Problem, match="has no record on main"):
        refresh.refresh(Workspace(repo), odd)


@pytest.mark.slow
def test_a_branch_that_takes_no_push_stops_no_other(shop: Shop) -> None:
    files = [popularity(shop.root / f"{name}.json", 20, surface=name) for name in ("cart", "top")]
    shop.publish(*files, merge=True)
    shop.publish(*(popularity(shop.root / f"{name}2.json", 20, day=2, surface=name) for name in ("cart", "top")))
    shop.publish(*(cooc(shop.root / f"{name}3.json", 20, surface=name) for name in ("cart", "top")))
    shop.merge(of_cooc(shop, "grocer/cart")["id"])
    shop.merge(of_cooc(shop, "grocer/top")["id"])
    stuck = next(each["branch"] for each in shop.pulls() if each["targets"] == ["grocer/cart"])
    hook = shop.origin / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\ntest "$1" != refs/heads/{stuck}\n')
    hook.chmod(0o755)
    with shop.open() as repo:
        outcome = refresh.refresh(Workspace(repo))
    told = {each["branch"]: each for each in outcome.document["pull_requests"]}
    assert outcome.exit_code == 5
    assert sorted(each["outcome"] for each in told.values()) == ["failed", "fresh", "fresh", "rebuilt"]
    assert told[stuck]["outcome"] == "failed"
    assert "does not allow the push" in told[stuck]["says"]


@pytest.mark.slow
def test_a_bug_that_one_brings_out_stops_no_other(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    pull = of_cooc(shop)
    merged_popularity(shop)
    without_record(shop)
    real = refresh._wants

    def wants(repo: Any, gate: Any, one: Any) -> Any:
        if one.branch != pull["branch"]:
            raise RecursionError("\x1b[31m")
        return real(repo, gate, one)

    monkeypatch.setattr(refresh, "_wants", wants)
    with shop.open() as repo:
        outcome = refresh.refresh(Workspace(repo))
    failed, rebuilt = outcome.document["pull_requests"]
    assert (outcome.exit_code, rebuilt["outcome"]) == (5, "rebuilt")
    assert failed["says"] == "this is a bug in pointsman (RecursionError: \\u001b[31m)"


@pytest.mark.slow
def test_a_main_that_moves_more_often_than_any_count_is_followed_until_the_clock_says_no(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull = of_cooc(shop)
    merged_popularity(shop)
    real, moves = refresh._one, list(range(30))

    def overtaken(workspace: Workspace, one: Any, dry_run: bool) -> Any:
        if moves and not dry_run:
            git(shop.origin, "update-ref", f"refs/heads/ship/other/{moves.pop()}", shop.main)
            raise MovedFirst("main moved")
        return real(workspace, one, dry_run)

    monkeypatch.setattr(refresh, "_one", overtaken)
    monkeypatch.setattr(retry, "pause", lambda _: None)
    assert refreshed(shop, pull["branch"])[pull["branch"]][0] == "rebuilt"
    moves += range(30)
    monkeypatch.setenv("POINTSMAN_LANDING_TIMEOUT", "0.01")
    with pytest.raises(MovedFirst, match="main moved at every try to rebuild"):
        refreshed(shop, pull["branch"])
    assert moves


def test_a_target_that_only_the_diff_names_is_named(shop: Shop) -> None:
    pull = of_cooc(shop)
    with shop.open(shop.origin) as repo:
        repo.refresh()
        head = repo.resolve(pull["branch"])
        manifest = repo.git.blob(repo.git.tree(repo.tree_of(head))["pointsman.toml"].oid)
        tree = repo.tree_with(repo.tree_of(head), {"manifests/grocer/cart/manifest.json": manifest})
        rider = repo.commit(tree, [repo.main], git(shop.origin, "log", "-1", "--format=%B", head))
    git(shop.origin, "update-ref", f"refs/heads/{pull['branch']}", rider)
    assert of_cooc(shop)["targets"] == ["grocer/home", "grocer/cart"]
