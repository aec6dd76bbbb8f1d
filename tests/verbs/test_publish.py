"""What publish tells that stops nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from shop import Shop, cooc, git, popularity

from pointsman.cli.main import main
from pointsman.shipping import merge


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


@pytest.mark.slow
def test_what_is_unchanged_names_the_commit_that_made_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    home, kids = popularity(tmp_path / "h.json", 5), popularity(tmp_path / "k.json", 5, surface="kids")
    merged = shop.publish(home, merge=True).document["targets"][0]["commit"]
    shop.publish(kids, merge=True)
    again = shop.publish(home).document["targets"][0]
    assert (again["outcome"], again["commit"]) == ("unchanged", merged)


@pytest.mark.slow
def test_a_ship_that_somebody_else_made_too_and_merged_faster_does_not_stay_open(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    old, new, other = (
        popularity(tmp_path / "1.json", 5),
        popularity(tmp_path / "2.json", 6),
        cooc(tmp_path / "c.json", 5),
    )
    shop.publish(old, merge=True)
    shop.publish(new)
    [slow] = shop.pulls()
    head = git(shop.origin, "rev-parse", slow["branch"])
    git(shop.origin, "update-ref", "-d", f"refs/heads/{slow['branch']}")  # it comes late, as in a race
    shop.publish(new, merge=True)
    git(shop.origin, "update-ref", f"refs/heads/{slow['branch']}", head)
    shop.publish(other)
    assert len(shop.pulls()) == 2
    again = shop.publish(new, merge=True).document["targets"][0]
    assert again["outcome"] == "unchanged"
    assert [each["title"].split()[:3] for each in shop.pulls()] == [["ship:", "grocer/home", "cooc"]]


@pytest.mark.slow
def test_a_dry_run_says_which_blobs_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = Shop(tmp_path / "shop")
    old, new = popularity(tmp_path / "h.json", 5), popularity(tmp_path / "k.json", 5, surface="kids")
    shop.publish(old)
    dry = shop.publish(old, new, dry_run=True).document["artifacts"]
    assert [(each["blob"], each["stored"]) for each in dry] == [(None, True), (None, False)]
    assert "stored" not in shop.publish(new).document["artifacts"][0]
    assert main(["-C", str(shop.desk), "publish", str(old), str(new), "--dry-run"]) == 0
    assert [line.split("  ")[-1] for line in capsys.readouterr().out.splitlines()[:2]] == ["already stored"] * 2


def _sha256_at(shop: Shop, commit: str, target: str = "grocer/home") -> str:
    data = git(shop.origin, "show", f"{commit}:manifests/{target}/manifest.json") + "\n"
    return hashlib.sha256(data.encode()).hexdigest()


@pytest.mark.parametrize(
    "way",
    [
        "own",
        pytest.param("open before", marks=pytest.mark.slow),
        pytest.param("open and stale", marks=pytest.mark.slow),
        pytest.param("landed by another", marks=pytest.mark.slow),
        pytest.param("on main already", marks=pytest.mark.slow),
    ],
)
def test_the_manifest_that_a_merge_tells_is_the_one_that_main_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(popularity(tmp_path / "first.json", 5), merge=True)
    path = popularity(tmp_path / "next.json", 5, salt="n")
    if way.startswith("open"):
        shop.publish(path)
    if way == "open and stale":
        shop.publish(popularity(tmp_path / "other.json", 5, salt="o", day=2), merge=True)
    if way == "on main already":
        shop.publish(path, merge=True)
    if way == "landed by another":
        merge_pull = merge.merge_pull

        def late(*words: Any) -> Any:
            monkeypatch.undo()
            shop.merge()
            return merge_pull(*words)

        monkeypatch.setattr(merge, "merge_pull", late)
    (told,) = shop.publish(path, merge=True).document["targets"]
    assert told["outcome"] == ("unchanged" if way == "on main already" else "merged")
    assert told["manifest_sha256"] == _sha256_at(shop, "main") == _sha256_at(shop, told["commit"])


@pytest.mark.slow
def test_the_manifest_that_is_told_stands_in_the_commit_that_is_told_or_on_main(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(popularity(tmp_path / "first.json", 5), merge=True)
    path = popularity(tmp_path / "next.json", 5, salt="n")
    (dry,) = shop.publish(path, dry_run=True).document["targets"]
    assert (dry["commit"], dry["manifest_sha256"]) == (None, _sha256_at(shop, "main"))
    opened, again = (shop.publish(path).document["targets"][0] for _ in range(2))
    assert (opened["outcome"], again["outcome"]) == ("opened", "unchanged")
    for told in (opened, again):
        assert told["manifest_sha256"] == _sha256_at(shop, told["commit"]) == opened["manifest_sha256"]
    older = popularity(tmp_path / "older.json", 5, salt="m")
    shop.publish(popularity(tmp_path / "newer.json", 5, salt="q", day=3))
    (told,) = shop.publish(older).document["targets"]
    assert (told["outcome"], told["commit"]) == ("superseded", None)
    assert told["manifest_sha256"] == _sha256_at(shop, "main")
    new = popularity(tmp_path / "kids.json", 5, surface="kids")
    (dry,) = shop.publish(new, dry_run=True).document["targets"]
    assert dry["manifest_sha256"] is None
