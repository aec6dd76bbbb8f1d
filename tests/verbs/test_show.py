"""Show: a version, when it was current, and whether its blob is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from auditing import events
from shop import GROCER, Shop, git, popularity

from pointsman.cli import show as show_command
from pointsman.errors import Problem
from pointsman.verbs import show
from pointsman.workspace import Workspace


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop")


def shown(shop: Shop, version: str, **how: Any) -> dict[str, Any]:
    with shop.open() as repo:
        return dict(show.show(Workspace(repo, **how), version).document)


@pytest.mark.slow
def test_a_version_is_shown_with_every_time_that_it_was_current(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p1.json", 10), merge=True)
    first = shop.main
    version = events(shop)[0]["changes"]["popularity"][1]
    shop.publish(popularity(tmp_path / "p2.json", 12, day=2), merge=True)
    second = shop.main
    shop.pull()
    git(shop.desk, "revert", "--no-edit", "HEAD")
    back = git(shop.desk, "rev-parse", "HEAD")
    git(shop.desk, "push", "-q", "origin", "main")
    found = shown(shop, version[:10])
    assert found["version"] == version
    assert found["record"] == json.loads(git(shop.origin, "show", f"main:{GROCER.record_path('popularity', version)}"))
    assert [(each["from"]["commit"], each["to"] and each["to"]["commit"]) for each in found["current"]] == [
        (back, None),
        (first, second),
    ]
    assert found["recorded"]["commit"] == git(shop.origin, "rev-parse", f"{first}~1")
    assert found["blob"] == "present"
    assert shown(shop, version, offline=True)["blob"] == "not asked"


def test_the_blob_of_a_version_is_told_to_be_missing_or_altered(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p1.json", 10))
    (blob,) = (path for path in shop.store.rglob("*.json") if path.parent.name == "popularity")
    assert shown(shop, blob.stem)["current"] == []
    with shop.open() as repo:
        assert "never current on main" in show_command.render(show.show(Workspace(repo), blob.stem).value)
    blob.chmod(0o644)
    blob.write_bytes(b"{}")
    assert shown(shop, blob.stem)["blob"] == "altered"
    blob.unlink()
    assert shown(shop, blob.stem)["blob"] == "missing"


@pytest.mark.slow
@pytest.mark.parametrize("data", ["", "null", "[]", "{}", "[" * 950 + "]" * 950, "[" * 100_000])
@pytest.mark.parametrize("of", ["record", "tombstone"])
def test_a_document_that_a_hand_made_is_told_in_a_sentence(shop: Shop, tmp_path: Path, of: str, data: str) -> None:
    shop.publish(popularity(tmp_path / "p1.json", 10), merge=True)
    version = events(shop)[0]["changes"]["popularity"][1]
    shop.pull()
    path = GROCER.record_path("popularity", version)
    if of == "tombstone":
        path = GROCER.tombstone_path("popularity", version)
    (shop.desk / path).parent.mkdir(parents=True, exist_ok=True)
    (shop.desk / path).write_text(data)
    shop.push("by hand")
    with pytest.raises(Problem, match=f"{path} on main cannot be read: "):
        shown(shop, version)
