"""Many open pull requests: each keeps its own targets, and costs the same however many the others are."""

from __future__ import annotations

import cProfile
from pathlib import Path

import pytest
from shop import GROCER, Shop, git, popularity

from pointsman.shipping import pulls
from pointsman.shipping.merge import merge_pull
from pointsman.verbs import pr
from pointsman.workspace import Workspace


def opened(root: Path, count: int, settings: str = "") -> tuple[Shop, list[str]]:
    """A shop with an open pull request for each of so many targets, or one for all with `group = "run"`."""
    shop = Shop(root, settings)
    names = [f"surface-{place}" for place in range(count)]
    shop.publish(*(popularity(root / f"{name}.json", 3, surface=name) for name in names), run="https://ci.example/1")
    return shop, [f"grocer/{name}" for name in names]


@pytest.mark.slow
def test_a_pull_request_has_no_target_of_another_where_all_of_main_was_read_at_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    for name in ("home", "search"):
        shop.publish(popularity(tmp_path / f"{name}.json", 3, surface=name), merge=True)
    shop.publish(popularity(tmp_path / "next.json", 4))
    with shop.open() as repo:
        repo.refresh()
        repo.read_history()
        assert [pull.targets for pull in pulls.open_pulls(Workspace(repo))] == [(GROCER,)]


def merging(root: Path, count: int) -> int:
    """How often a pull request is read where so many are merged by one command."""
    shop, names = opened(root, count)
    profile = cProfile.Profile()
    with shop.open() as repo:
        told = profile.runcall(pr.merge_many, Workspace(repo), names).value.pull_requests
    assert {each.outcome for each in told} == {"merged"}
    return sum(entry.callcount for entry in profile.getstats() if entry.code is pulls._pull.__code__)


@pytest.mark.slow
def test_to_merge_twice_as_many_reads_twice_as_many(tmp_path: Path) -> None:
    few, many = (merging(tmp_path / f"{count}", count) for count in (5, 10))
    assert many <= 2.2 * few


@pytest.mark.slow
def test_the_second_name_of_a_joint_one_finds_it_merged(tmp_path: Path) -> None:
    shop, names = opened(tmp_path, 2, '[forge]\ngroup = "run"\n')
    with shop.open() as repo:
        told = pr.merge_many(Workspace(repo), names).value.pull_requests
    assert [each.outcome for each in told] == ["merged", "unchanged"]
    assert {each.commit for each in told} == {shop.main}


@pytest.mark.slow
def test_one_that_is_built_anew_meanwhile_is_merged_as_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, names = opened(tmp_path, 2)
    branch = git(shop.origin, "for-each-ref", "--format=%(refname:short)", "refs/heads/ship/grocer/surface-1")

    def and_amends(workspace: Workspace, pull: pulls.Pull, *, dry_run: bool = False) -> object:
        done = merge_pull(workspace, pull, dry_run=dry_run)
        if pull.branch != branch:
            git(shop.desk, "fetch", "-q", "origin")
            git(shop.desk, "checkout", "-q", "-B", "theirs", f"origin/{branch}")
            git(shop.desk, "commit", "-q", "--amend", "--no-edit", "--reset-author")
            git(shop.desk, "push", "-q", "--force", "origin", f"HEAD:{branch}")
        return done

    monkeypatch.setattr("pointsman.verbs.pr.merge_pull", and_amends)
    with shop.open() as repo:
        told = pr.merge_many(Workspace(repo), names).value.pull_requests
    assert [each.outcome for each in told] == ["merged", "merged"]
    assert git(shop.origin, "log", "-1", "--format=%an", "main") == "Ann Ops"
