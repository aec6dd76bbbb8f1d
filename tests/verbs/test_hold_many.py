"""Holds and merges of many: patterns, what a run's rollback held, and the trouble of one that stops no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from shop import DAYS, STAGING, Kept, Shop, git

from pointsman.cli.main import main
from pointsman.errors import Problem
from pointsman.state.names import Pattern, Target
from pointsman.verbs import hold, rollback
from pointsman.verbs.holds import change_holds, undoes, undoing
from pointsman.workspace import Workspace

RUN = "https://ci.example/runs/7"
ALL = ["bookshop/detail", "bookshop/home", "grocer/home"]
BOOKS = ALL[:2]


def two_days(root: Path) -> Shop:
    shop = Shop(root)
    staged = (STAGING / "bookshop", STAGING / "grocer")
    shop.publish(*staged, windows=(DAYS[1],), merge=True)
    shop.publish(*staged, windows=(DAYS[2],), merge=True, run=RUN)
    return shop


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("many"), two_days)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def change(shop: Shop, *targets: Any, run: str | None = None, **more: Any) -> tuple[dict[str, str], int]:
    request = hold.Request("", **{"reason": "a bad feed", "now": True, **more})
    with shop.open() as repo:
        found = change_holds(Workspace(repo), targets, request, run)
    return {each.target: each.outcome for each in found.value.targets}, found.exit_code


def held(shop: Shop) -> list[str]:
    paths = git(shop.origin, "ls-tree", "-r", "--name-only", "main", "holds/").split()
    return [path.removeprefix("holds/").removesuffix(".json") for path in paths if path.endswith(".json")]


@pytest.mark.slow
def test_a_pattern_holds_each_target_and_one_that_is_unknown_stops_no_other(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (
        "-C",
        str(shop.desk),
        "--json",
        "hold",
        "bookshop/*",
        "bookshop/home",
        "nobody/home",
        "--until",
        "2999-01-01",
    )
    before = shop.everything()
    assert main([*words, "--reason", "a sale", "--now", "--dry-run"]) == 5
    assert shop.everything() == before
    capsys.readouterr()
    assert main([*words, "--reason", "a sale", "--now"]) == 5
    told = json.loads(capsys.readouterr().out)["targets"]
    assert [(each["target"], each["outcome"]) for each in told] == [
        *((target, "merged") for target in BOOKS), ("nobody/home", "failed")
    ]  # fmt: skip
    assert "nobody/home was never shipped here" in told[2]["says"]
    assert held(shop) == BOOKS
    assert main(["-C", str(shop.desk), "release", "book*/*", "--now", "--reason", "over"]) == 0
    assert "bookshop/home: released on main as " in capsys.readouterr().out
    assert held(shop) == []


@pytest.mark.slow
def test_a_release_by_pattern_means_the_targets_that_have_a_hold(shop: Shop) -> None:
    change(shop, *map(Target.parse, ("bookshop/home", "grocer/home")), until="2999-01-01")
    assert change(shop, Pattern.parse("*/*")) == ({"bookshop/home": "merged", "grocer/home": "merged"}, 0)
    with pytest.raises(Problem, match=r"no target on main that \*/\* matches has a hold$"):
        change(shop, Pattern.parse("*/*"))
    with pytest.raises(Problem, match=r"no target on main matches nobody/\*"):
        change(shop, Pattern.parse("nobody/*"), until="2999-01-01")


@pytest.mark.slow
def test_what_a_rollback_of_a_run_held_is_released_by_the_run_and_nothing_else(shop: Shop) -> None:
    """grocer had a longer hold, bookshop/detail got another one since: these are not the run's."""
    change(shop, Target.parse("grocer/home"), until="2999-01-01")
    with pytest.raises(Problem, match=f"no rollback of the run {RUN} set a hold on main"):
        change(shop, run=RUN)
    with shop.open() as repo:
        asked = rollback.Request(run=RUN, now=True, hold=True, reason="half of it is gone")
        assert rollback.roll_back(Workspace(repo), asked).exit_code == 0
    assert held(shop) == ALL
    change(shop, Target.parse("bookshop/detail"), until="2999-01-01")
    for other in (RUN[:-1], f"{RUN}1", "https://ci.example/runs/8"):
        with pytest.raises(Problem, match="set a hold on main"):
            change(shop, run=other)
    with pytest.raises(Problem, match="set a hold on these targets that nobody changed since"):
        change(shop, Pattern.parse("grocer/*"), run=RUN)
    assert change(shop, run=RUN) == ({"bookshop/home": "merged"}, 0)
    assert held(shop) == ["bookshop/detail", "grocer/home"]


@pytest.mark.slow
def test_a_hold_without_anything_to_roll_back_is_the_runs_too_also_when_it_was_merged(shop: Shop) -> None:
    for now in (True, False):
        with shop.open() as repo:
            asked = rollback.Request(run=RUN, now=now, hold=not now, reason="half of it is gone")
            rollback.roll_back(Workspace(repo), asked)
    shop.merge(shop.pulls()[0]["id"])
    assert held(shop) == ALL
    assert change(shop, Pattern.parse("bookshop/*"), run=RUN) == (dict.fromkeys(BOOKS, "merged"), 0)


def test_the_words_of_a_run_are_found_where_a_forge_has_wrapped_them() -> None:
    assert undoes(f"rollback: it\n\nBack to what stood before the\nrun {RUN}\n", RUN)
    assert not undoes(f"{undoing(RUN)}8", RUN)
    assert not undoes(f"not{undoing(RUN)}", RUN)


@pytest.mark.slow
def test_a_main_that_takes_no_push_is_told_of_each_and_ends_with_three(shop: Shop) -> None:
    hook = shop.origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no >&2\nexit 1\n")
    hook.chmod(0o755)
    outcomes, code = change(shop, Pattern.parse("*/*"), until="2999-01-01")
    assert (set(outcomes.values()), code) == ({"failed"}, 3)
    assert held(shop) == []


@pytest.mark.slow
def test_a_pattern_merges_what_is_open_and_what_is_refused_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(STAGING / "bookshop", STAGING / "grocer", windows=(DAYS[1],))
    capsys.readouterr()
    words = ("-C", str(shop.desk), "--json", "pr", "merge", "*/*")
    change(shop, Target.parse("bookshop/detail"), until="2999-01-01")
    before = shop.everything()
    assert main([*words, "--dry-run"]) == 5
    assert shop.everything() == before
    capsys.readouterr()
    assert main([*words, "nobody/home"]) == 5
    told = json.loads(capsys.readouterr().out)["pull_requests"]
    assert [(each["id"], each["outcome"]) for each in told] == [
        ("bookshop/detail", "refused"),
        ("bookshop/home", "merged"),
        ("grocer/home", "merged"),
        ("nobody/home", "failed"),
    ]
    assert told[0]["faults"][0]["rule"] == "on-hold"
    assert main(words) == 1, "none went on"
    change(shop, Target.parse("bookshop/detail"), now=False)
    assert main(["-C", str(shop.desk), "pr", "merge", shop.pulls()[0]["branch"], "ship/nowhere/at/all"]) == 5


@pytest.mark.slow
def test_a_joint_pull_request_is_merged_once_and_only_by_a_pattern_that_means_all_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop(tmp_path / "shop", settings='[forge]\ngroup = "run"\n')
    shop.publish(STAGING / "bookshop", STAGING / "grocer", windows=(DAYS[1],))
    words = ("-C", str(shop.desk), "pr", "merge")
    capsys.readouterr()
    assert main([*words, "bookshop/*"]) == 2
    assert "changes grocer/home, too, which bookshop/* does not match: name it by its id" in capsys.readouterr().out
    assert main([*words, "*/*"]) == 0
    assert capsys.readouterr().out.startswith("merged bookshop/detail, bookshop/home, grocer/home as ")
