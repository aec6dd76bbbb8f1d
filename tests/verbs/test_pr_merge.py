"""Merging once more what is merged is no mistake, and says what main has."""

from __future__ import annotations

from pathlib import Path

import pytest
from shop import DAYS, GROCER, STAGING, Shop, cooc, git, popularity

from pointsman.cli.main import main
from pointsman.errors import Problem
from pointsman.state.names import Target
from pointsman.verbs import hold, rollback
from pointsman.workspace import Workspace


def merge_twice(shop: Shop, pull: dict[str, str], *names: str) -> None:
    merged = shop.merge(pull["branch"]).document
    before = shop.everything()
    for name in (pull["id"], pull["branch"], *names):
        again = shop.merge(name)
        assert again.exit_code == 0
        assert again.document == {**merged, "outcome": "unchanged"}
    assert shop.everything() == before


def test_a_ship_is_merged_once_by_whatever_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(popularity(tmp_path / "p.json", 5))
    [pull] = shop.pulls()
    with pytest.raises(Problem, match=f"no open pull request 0123456789ab: open are {pull['branch']}$"):
        shop.merge("0123456789ab")
    merge_twice(shop, pull, "grocer/home")
    shop.publish(cooc(tmp_path / "c.json", 5), merge=True)
    assert main(["-C", str(shop.desk), "pr", "merge", pull["id"]]) == 0
    merged = git(shop.origin, "rev-parse", "main~2")[:12]
    assert capsys.readouterr().out == f"unchanged, nothing of grocer/home is open, and main has it as {merged}\n"
    for other in ("grocer/search", "ship/grocer/home/0123456789ab"):
        with pytest.raises(Problem, match=f"no open pull request {other}: none is open"):
            shop.merge(other)
    for verb in ("show", "merge", "close"):
        assert main(["-C", str(shop.desk), "pr", verb, "grocer/hom"]) == 2
        says = "none is open; grocer/hom was never shipped here: did you mean grocer/home?"
        assert says in capsys.readouterr().err
    assert main(["-C", str(shop.desk), "pr", "show", "wild/{name}"]) == 2
    assert "wild/{name} was never shipped here" in capsys.readouterr().err
    with pytest.raises(Problem, match=r"none is open$"):
        shop.merge("ship/grocer")


@pytest.mark.slow
def test_a_rollback_is_merged_once_by_whatever_name(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    for day in (1, 2):
        shop.publish(day=day, merge=True)
    shop.roll_back()
    merge_twice(shop, shop.pulls()[0], "grocer/home")
    shop.publish(day=2, merge=True, reship=True)
    with shop.open() as repo:
        first = git(shop.origin, "rev-list", "main", "--", GROCER.manifest_path).split()[-1]
        rollback.roll_back(Workspace(repo), rollback.Request((GROCER,), slot="cooc", to=first))
    merge_twice(shop, shop.pulls()[0])


@pytest.mark.slow
@pytest.mark.parametrize("target", ["grocer/home", "all"])
def test_a_hold_and_its_release_are_merged_once_by_whatever_name(tmp_path: Path, target: str) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(day=1, merge=True)
    for until in ("2999-01-01", None):
        with shop.open() as repo:
            hold.change_hold(Workspace(repo), hold.Request(target, until, "closed"))
        merge_twice(shop, shop.pulls()[0])


@pytest.mark.slow
def test_a_rollback_with_a_hold_is_merged_once_by_whatever_name(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    staged = (STAGING / "bookshop", STAGING / "grocer")
    for day in (1, 2):
        shop.publish(*staged, windows=(DAYS[day],), merge=True)
    targets = (GROCER, Target("bookshop", "home"))
    shop.roll_back(targets[0], hold=True, until="2999-01-01", reason="a bad feed")
    title = git(shop.origin, "log", "-1", "--format=%s", shop.pulls()[0]["branch"])
    assert title.startswith("rollback: grocer/home to ")
    assert title.endswith(", and hold it")
    merge_twice(shop, shop.pulls()[0], "grocer/home")
    shop.roll_back(*targets, hold=True, until="2999-01-02", reason="worse")
    merge_twice(shop, shop.pulls()[0])
    shop.roll_back(targets[0], hold=True, until="2999-01-03", reason="for long")
    assert [pull["title"] for pull in shop.pulls()] == ["hold: grocer/home"]
    merge_twice(shop, shop.pulls()[0])


@pytest.mark.slow
def test_the_pull_request_of_a_run_and_one_that_accepts_are_merged_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", '[forge]\ngroup = "run"\n[policy]\nkept_low = 1.0\n')
    shop.publish(STAGING / "bookshop", merge=True)
    files = [
        popularity(tmp_path / f"{name}.json", 5, tenant="bookshop", surface=name, day=9) for name in ("home", "detail")
    ]
    accept = [f"bookshop/*:{rule}" for rule in ("kept-low", "items-drop", "size-jump")]
    shop.publish(*files, accept=accept, reason="a sale")
    merge_twice(shop, shop.pulls()[0])
