"""What publish tells that stops nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from shop import Shop, popularity

from pointsman.cli.main import main


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
