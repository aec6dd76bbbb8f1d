"""What publish tells that stops nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from shop import Shop, popularity

from pointsman.cli.main import main


@pytest.mark.slow
def test_a_new_target_that_resembles_one_that_is_there_is_told_once_and_shipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(popularity(tmp_path / "home.json", 5), merge=True)
    for tenant, surface, near in (
        ("grocer", "hmoe", "grocer/home"),
        ("grcoer", "home", "grocer/home"),
        ("grocer", "search", None),
        ("butcher", "home", None),
    ):
        path = popularity(tmp_path / f"{tenant}-{surface}.json", 5, tenant=tenant, surface=surface)
        for more in (["--dry-run"], []):
            assert main(["-C", str(shop.desk), "publish", str(path), *more]) == 0
            told = capsys.readouterr().err
            says = f"{tenant}/{surface} is new here and resembles {near}: did you mean that one?\n"
            assert told == (says if near else "")
    shop.publish(path, merge=True)
    assert main(["-C", str(shop.desk), "publish", str(tmp_path / "grocer-hmoe.json")]) == 0
    assert capsys.readouterr().err == "", "it has a record now"


def test_what_is_unchanged_names_the_commit_that_made_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    home, kids = popularity(tmp_path / "h.json", 5), popularity(tmp_path / "k.json", 5, surface="kids")
    merged = shop.publish(home, merge=True).document["targets"][0]["commit"]
    shop.publish(kids, merge=True)
    again = shop.publish(home).document["targets"][0]
    assert (again["outcome"], again["commit"]) == ("unchanged", merged)


def test_a_dry_run_says_which_blobs_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = Shop(tmp_path / "shop")
    old, new = popularity(tmp_path / "h.json", 5), popularity(tmp_path / "k.json", 5, surface="kids")
    shop.publish(old)
    dry = shop.publish(old, new, dry_run=True).document["artifacts"]
    assert [(each["blob"], each["stored"]) for each in dry] == [(None, True), (None, False)]
    assert "stored" not in shop.publish(new).document["artifacts"][0]
    assert main(["-C", str(shop.desk), "publish", str(old), str(new), "--dry-run"]) == 0
    assert [line.split("  ")[-1] for line in capsys.readouterr().out.splitlines()[:2]] == ["already stored"] * 2
