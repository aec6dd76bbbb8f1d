"""Log: one event per commit and target, moments along all of main, and a restore only where something was restored."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from shop import GROCER, Shop, cooc, git, popularity

from pointsman.verbs import log
from pointsman.workspace import Workspace


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop")


def events(shop: Shop, *, records: bool = False) -> list[dict[str, Any]]:
    with shop.open() as repo:
        found: list[dict[str, Any]] = log.log(Workspace(repo), log.Query(records=records)).document["events"]
        return found


def test_the_records_that_land_in_one_commit_are_one_event_of_their_target(shop: Shop, tmp_path: Path) -> None:
    files = popularity(tmp_path / "p.json", 10), cooc(tmp_path / "c.json", 5)
    shop.publish(*files, popularity(tmp_path / "b.json", 10, tenant="baker"), merge=True)
    found = [event for event in events(shop, records=True) if event["kind"] == "record"]
    assert {event["target"]: set(event["changes"]) for event in found} == {
        "baker/home": {"popularity"},
        "grocer/home": {"popularity", "cooc"},
    }
    assert len(found) == 2


def test_two_versions_of_one_type_that_land_in_one_commit_are_both_told(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p1.json", 10))
    shop.pull()
    (record,) = (shop.desk / "registry").rglob("*.json")
    for version in ("a" * 64, "b" * 64):
        record.with_name(f"{version}.json").write_text(record.read_text().replace(record.stem, version))
    both = shop.push("two by hand")
    versions = [event["changes"]["popularity"][1] for event in events(shop, records=True) if event["commit"] == both]
    assert sorted(versions) == ["a" * 64, "b" * 64]


def test_a_moment_is_never_before_that_of_any_earlier_commit_of_main(shop: Shop, tmp_path: Path) -> None:
    """A commit that touches no manifest moves time on all the same."""
    env = {"GIT_COMMITTER_DATE": "2031-01-01T00:00:00Z"}
    git(shop.desk, "commit", "-q", "--allow-empty", "-m", "from the future", env=env)
    git(shop.desk, "push", "-q", "origin", "main")
    shop.publish(popularity(tmp_path / "p.json", 10), merge=True)
    assert [event["at"] for event in events(shop)] == ["2031-01-01T00:00:00Z"]


def test_a_manifest_that_only_became_executable_is_an_edit_not_a_restore(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10), merge=True)
    shop.pull()
    (shop.desk / GROCER.manifest_path).chmod(0o755)
    shop.push("chmod")
    assert [event["kind"] for event in events(shop)] == ["edit", "ship"]


def test_a_change_that_restores_one_slot_and_ships_another_is_a_ship(shop: Shop, tmp_path: Path) -> None:
    """As the gate judges it: a Restores: line speaks for its own slot alone."""
    shop.publish(popularity(tmp_path / "p1.json", 10), cooc(tmp_path / "c1.json", 5), merge=True)
    old = json.loads(shop.manifest)["current"]
    shop.publish(popularity(tmp_path / "p2.json", 11), merge=True)
    shop.pull()
    path = shop.desk / GROCER.manifest_path
    manifest = json.loads(path.read_text())
    manifest["current"] = {"popularity": old["popularity"], "cooc": old["cooc"].replace(old["cooc"][-69:-5], "c" * 64)}
    path.write_text(json.dumps(manifest, indent=2) + "\n")
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    restored = f"Restores: grocer/home popularity@{old['popularity'][-69:-5]}"
    shop.push(f"both\n\nManifest: grocer/home sha256:{sha}\n{restored}")
    newest = events(shop)[0]
    assert newest["kind"] == "ship"
    assert set(newest["changes"]) == {"popularity", "cooc"}
