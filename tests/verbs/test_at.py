"""At: which manifest was in force at a time or a commit, and since and until when."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from auditing import NOW, dated_shop, looked_at, said_of
from clocks import clock_at
from planted import spoil
from shop import GROCER, Shop, git, popularity

from pointsman.cli import at as at_command
from pointsman.cli.main import main
from pointsman.errors import Problem
from pointsman.history.times import CommitTimes
from pointsman.state.names import Target
from pointsman.verbs import at
from pointsman.workspace import Workspace


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop")


@pytest.fixture(scope="module")
def dated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, list[str]]:
    return dated_shop(tmp_path_factory.mktemp("dated"))


@pytest.mark.slow
def test_at_a_moment_counts_what_came_in_that_very_second_and_nothing_later(dated: tuple[Shop, list[str]]) -> None:
    shop, commits = dated
    assert looked_at(shop, "2050-01-01T10:00:00Z")["commit"] == commits[0]
    assert looked_at(shop, "2050-01-01T09:59:59Z")["until"]["commit"] == commits[0]
    assert looked_at(shop, "2050-01-01T12:00:00+02:00")["commit"] == commits[0]
    assert looked_at(shop, "2050-01-01 11:00:00+01:00")["commit"] == commits[0]
    assert looked_at(shop, "2050-01-01T10:00:00.5Z")["commit"] == commits[0]


def test_of_several_commits_in_one_second_and_by_a_clock_that_ran_backwards_ancestry_decides(
    dated: tuple[Shop, list[str]],
) -> None:
    shop, commits = dated
    found = looked_at(shop, "2051-01-01")
    assert (found["commit"], found["at"]) == (commits[3], "2051-01-01T00:00:00Z")
    assert found["until"]["commit"] == commits[4]
    assert looked_at(shop, "2050-12-31")["commit"] == commits[0]
    assert looked_at(shop, "2099-01-01")["until"] is None


def test_at_answers_with_the_manifest_of_that_commit_and_for_any_commit_of_main(dated: tuple[Shop, list[str]]) -> None:
    shop, commits = dated
    for commit in commits:
        found = looked_at(shop, commit)
        assert (found["commit"], found["main"]) == (commit, commit)
        assert found["manifest"] == json.loads(git(shop.origin, "show", f"{commit}:{GROCER.manifest_path}"))


@pytest.mark.slow
def test_a_commit_of_another_target_is_answered_by_what_this_one_had_then(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10), merge=True)
    mine = shop.main
    shop.publish(popularity(tmp_path / "b.json", 10, tenant="baker"), merge=True)
    found = looked_at(shop, shop.main)
    assert (found["main"], found["commit"], found["until"]) == (shop.main, mine, None)


@pytest.mark.slow
def test_what_was_taken_out_by_then_has_no_manifest(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10), merge=True)
    shop.pull()
    git(shop.desk, "rm", "-q", GROCER.manifest_path)
    gone = shop.push("gone")
    found = looked_at(shop, "main")
    assert (found["manifest"], found["commit"]) == (None, gone)
    with shop.open() as repo:
        assert "took it out" in at_command.render(at.at(Workspace(repo), "main", GROCER).value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "when, target, says",
    [
        ("1999-12-31", "grocer/home", r"before the first commit of main \(20"),
        ("main~1", "grocer/home", "not shipped yet at main~1: [0-9a-f]{12} shipped it first, 20"),
        ("main", "grocer/hom", "did you mean grocer/home"),
        ("2026-02-30", "grocer/home", "2026-02-30 is not a date or time: day is out of range"),
        ("2026-02-03T25:00", "grocer/home", "is not a date or time: hour must be in"),
        ("yesterday", "grocer/home", "no such revision: yesterday .* a time is written 30m, 2h or 3d .ago."),
    ],
)
def test_at_says_what_is_wrong_and_what_is_near(shop: Shop, tmp_path: Path, when: str, target: str, says: str) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10), merge=True)
    shop.pull()
    with pytest.raises(Problem, match=says):
        looked_at(shop, when, Target.parse(target))


@pytest.mark.slow
def test_a_commit_that_a_merge_brought_in_was_never_current(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10), merge=True)
    shop.pull()
    git(shop.desk, "checkout", "-q", "-b", "side")
    git(shop.desk, "commit", "-q", "--allow-empty", "-m", "side")
    side = git(shop.desk, "rev-parse", "HEAD")
    git(shop.desk, "push", "-q", "origin", "side")
    with pytest.raises(Problem, match="not a commit of main"):
        looked_at(shop, side)
    git(shop.desk, "checkout", "-q", "main")
    git(shop.desk, "merge", "-q", "--no-ff", "-m", "merge", "side")
    git(shop.desk, "push", "-q", "origin", "main")
    merge = git(shop.desk, "rev-parse", "HEAD")
    for look in (looked_at, said_of):
        with pytest.raises(Problem, match=f"{side} was never the tip of main: the merge {merge[:12]} brought it in"):
            look(shop, side)


@pytest.mark.slow
def test_a_moment_to_come_is_answered_and_said_to_be_so(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10), merge=True)
    with shop.open() as repo:
        assert "still to come" in at.at(Workspace(repo, clock=clock_at(0)), "2099-01-01", GROCER).notes[0]
        assert at.at(Workspace(repo, clock=clock_at(NOW)), "2099-01-01", GROCER).notes == ()


def test_at_answers_from_a_shallow_clone_too(dated: tuple[Shop, list[str]], tmp_path: Path) -> None:
    shop, commits = dated
    git(tmp_path, "clone", "-q", "--depth", "1", shop.origin.as_uri(), "shallow")
    from pointsman.repo.open import open_repository

    with open_repository(str(tmp_path / "shallow")) as repo:
        assert (
            at.at(Workspace(repo, clock=clock_at(NOW)), "2050-01-01T10:00:00Z", GROCER).document["commit"] == commits[0]
        )


def test_moments_never_run_backwards(dated: tuple[Shop, list[str]]) -> None:
    shop, commits = dated
    with shop.open() as repo:
        moments = CommitTimes(repo, repo.refresh())
        clocks = [moments.of(each) for each in map(type(repo.main), commits)]
    assert clocks == sorted(clocks)
    assert len(set(clocks)) == 3


@pytest.mark.slow
@pytest.mark.parametrize("depth", [950, 100_000])
def test_a_manifest_of_brackets_is_told_as_its_text(
    shop: Shop, tmp_path: Path, depth: int, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10), merge=True)
    shop.pull()
    (shop.desk / GROCER.manifest_path).write_text(text := "[" * depth + "]" * depth)
    shop.push("by hand")
    capsys.readouterr()
    assert main(["-C", str(shop.desk), "at", shop.main, str(GROCER), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["manifest"] == text


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cut off", "executable", "a symlink"])
def test_a_manifest_that_cannot_be_read_is_not_called_taken_out(shop: Shop, how: str) -> None:
    shop.publish(day=1, merge=True)
    shop.pull()
    spoil(shop.desk / GROCER.manifest_path, how)
    shop.push("trick")
    with shop.open() as repo:
        found = at.at(Workspace(repo), "main", GROCER)
    assert found.document["manifest"] == ("{" if how == "cut off" else "no plain file")
    assert "took it out" not in at_command.render(found.value)
    assert found.notes == (
        "that is no manifest that can be read: sync refuses it, and serving keeps what it had before",
    )
