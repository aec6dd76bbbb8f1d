"""Several windows at once: all are recorded, the newest is shipped, and rollbacks have a history to choose from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shop import DAYS, GROCER, STAGING, Shop, cooc, git, popularity

from pointsman.cli.main import main
from pointsman.verbs import ship
from pointsman.workspace import Workspace


def recorded(shop: Shop) -> set[str]:
    return {Path(path).stem for path in git(shop.origin, "ls-tree", "-r", "--name-only", "main", "registry").split()}


def staged(*days: str) -> set[str]:
    return {path.stem for day in days for path in (STAGING / "grocer").rglob(f"{day}/*.json")}


def current(shop: Shop) -> set[str]:
    return {uri.rpartition("/")[2].removesuffix(".json") for uri in json.loads(shop.manifest)["current"].values()}


@pytest.mark.parametrize("dry", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_all_windows_are_recorded_and_the_newest_is_shipped(shop: Shop, dry: bool) -> None:
    before = shop.everything()
    done = shop.publish(STAGING / "grocer", windows=("all",), merge=True, dry_run=dry)
    ships = {each["version"] for each in done.document["artifacts"] if each["ships"]}
    assert ships == staged(DAYS[3])
    assert {each["version"] for each in done.document["artifacts"]} == staged(*DAYS.values())
    if dry:
        assert shop.everything() == before
        return
    assert recorded(shop) == staged(*DAYS.values())
    assert current(shop) == staged(DAYS[3])
    [version] = (path.stem for path in (STAGING / "grocer").rglob(f"popularity/{DAYS[2]}/*.json"))
    with shop.open() as repo:
        ship.ship(Workspace(repo), ship.Request(GROCER, (("popularity", version),), merge=True))
    assert version in current(shop)


@pytest.mark.slow
def test_some_windows_can_be_chosen_and_publishing_them_again_is_unchanged(shop: Shop) -> None:
    for outcome in ("merged", "unchanged"):
        done = shop.publish(STAGING / "grocer", windows=(DAYS[1], DAYS[2]), merge=True)
        assert [each["outcome"] for each in done.document["targets"]] == [outcome]
        assert recorded(shop) == staged(DAYS[1], DAYS[2])
        assert current(shop) == staged(DAYS[2])


@pytest.mark.slow
def test_each_type_ships_its_newest_window_whatever_the_order_of_the_files(shop: Shop, tmp_path: Path) -> None:
    files = [popularity(tmp_path / f"p{day}.json", 10 + day, day=day) for day in (2, 3, 1)]
    files += [cooc(tmp_path / f"c{day}.json", 10 + day, day=day) for day in (2, 1)]
    done = shop.publish(*files, merge=True)
    ships = {each["path"] for each in done.document["artifacts"] if each["ships"]}
    assert ships == {str(tmp_path / "p3.json"), str(tmp_path / "c2.json")}
    assert len(recorded(shop)) == 5
    two = popularity(tmp_path / "twice.json", 30, day=1)
    waits = shop.publish(*files, two, cooc(tmp_path / "other.json", 9, tenant="toys"))
    assert {each["target"]: each["outcome"] for each in waits.document["targets"]} == {
        "grocer/home": "waits",
        "toys/home": "opened",
    }


@pytest.mark.slow
def test_record_only_ships_nothing_and_needs_no_guardrail(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.publish(popularity(tmp_path / "3.json", 40, day=3), merge=True)
    manifest = shop.manifest
    files = [str(popularity(tmp_path / f"{day}.json", day, day=day)) for day in (1, 2)]
    words = ["-C", str(shop.desk), "publish", *files, "--record-only"]
    for more, says in (
        (["--dry-run"], "would be recorded (dry run, nothing written)"),
        ([], "recorded, nothing is shipped"),
        ([], "unchanged, main has these records"),
    ):
        assert main([*words, *more]) == 0
        last, *lines = reversed(capsys.readouterr().out.splitlines())
        assert last == f"grocer/home: {says}"
        assert all(line.endswith(", record only") for line in lines)
    assert len(recorded(shop)) == 3
    assert shop.manifest == manifest
    assert shop.pulls() == []
    for more, says in (
        (["--merge"], "--merge"),
        (["--drop", "grocer/home:popularity"], "--drop"),
        (["--accept", "items-drop", "--reason", "x"], "--accept"),
        (["--reship"], "--reship"),
    ):
        assert main([*words, *more]) == 2
        assert f"--record-only ships nothing: leave out {says} " in capsys.readouterr().err


@pytest.mark.slow
def test_what_is_recorded_only_is_judged_and_stops_its_target_alone(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "1.json", 5, surface="Home"), merge=True)
    files = [popularity(tmp_path / f"{surface}.json", 5, surface=surface, day=2) for surface in ("home", "search")]
    done = shop.publish(*files, record_only=True)
    assert done.exit_code == 5
    assert {each["target"]: each["outcome"] for each in done.document["targets"]} == {
        "grocer/home": "waits",
        "grocer/search": "recorded",
    }


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(
        tmp_path / "shop", "[policy]\nkept_low = false\nsize_jump = false\nwindow_regressed = false\nitems_drop = 1.0\n"
    )
