"""What recsys-pipelines stages without --segment: its directory of the segment is missing, too."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from shop import Shop, popularity

from pointsman.errors import Refused


def stage(root: Path, surface: str, day: int, *, under: str = "") -> None:
    """A staged artifact without a segment, below the directory of that type and window."""
    document = json.loads(popularity(root / "made.json", 5 + day, surface=surface, day=day).read_text())
    del document["segment"]
    bare = {**document, "build": {"built_at": "", "version": ""}}
    version = hashlib.sha256(json.dumps(bare, separators=(",", ":")).encode()).hexdigest()
    document["build"] |= {"version": version, "source_hash": version}
    place = root / "staging" / "grocer" / (under or surface) / "popularity" / f"2026-03-0{day}_2026-03-0{day + 1}"
    place.mkdir(parents=True)
    (place / f"{version}.json").write_text(json.dumps(document, indent=2))
    (place / "current.version").write_text(f"{version}\n")


@pytest.mark.slow
def test_each_surface_has_its_own_newest_window(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    for surface, day in (("home", 1), ("home", 2), ("cart", 1)):
        stage(tmp_path, surface, day)
    done = shop.publish(tmp_path / "staging", merge=True)
    assert done.exit_code == 0
    windows = {each["target"]: Path(each["path"]).parts[-2] for each in done.document["artifacts"]}
    assert windows == {"grocer/home": "2026-03-02_2026-03-03", "grocer/cart": "2026-03-01_2026-03-02"}
    assert shop.publish(tmp_path / "staging" / "grocer" / "cart").exit_code == 0, "a part of the tree is the same"


def test_another_surface_than_the_path_says_is_still_refused(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    stage(tmp_path, "home", 1, under="cart")
    with pytest.raises(Refused, match="wrong-place"):
        shop.publish(tmp_path / "staging")
