"""Status: what serving has beside what main has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from shop import GROCER, Shop, git, popularity

from pointsman.errors import Problem
from pointsman.state.names import Target
from pointsman.verbs import status
from pointsman.workspace import Workspace


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "shop")
    shop.publish(popularity(tmp_path / "p1.json", 10), merge=True, run="https://ci.example/1")
    return shop


def state(shop: Shop, *targets: Target) -> dict[str, Any]:
    with shop.open() as repo:
        found: dict[str, Any] = status.status(Workspace(repo), targets).document["targets"][0]
        return found


def test_serving_is_absent_then_in_sync_then_behind_then_drifted(shop: Shop, tmp_path: Path) -> None:
    assert state(shop)["serving"] == "absent"
    shop.sync()
    assert state(shop)["serving"] == "in-sync"
    shop.publish(popularity(tmp_path / "p2.json", 11, day=2), merge=True)
    assert state(shop)["serving"] == "behind"
    pointer = shop.store / "registry" / "current" / "grocer" / "home" / "manifest.json"
    pointer.write_text("{}")
    assert state(shop)["serving"] == "drifted"
    pointer.unlink()
    pointer.mkdir()
    assert state(shop)["serving"] == "unknown"


@pytest.mark.slow
def test_status_fails_on_what_it_is_asked_to_fail_on_and_on_nothing_else(shop: Shop, tmp_path: Path) -> None:
    def codes() -> list[int]:
        with shop.open() as repo:
            asked: list[tuple[str, ...]] = [(), ("drift",), ("behind",), ("drift", "behind")]
            return [status.status(Workspace(repo), (), fail_on=each).exit_code for each in asked]

    pointer = shop.store / "registry" / "current" / "grocer" / "home" / "manifest.json"
    assert codes() == [0, 0, 1, 1]  # absent
    shop.sync()
    shop.publish(popularity(tmp_path / "other.json", 5, surface="cart"))  # open, not on main: nothing to serve yet
    assert codes() == [0, 0, 0, 0]
    good = pointer.read_text()
    pointer.write_text("{}")
    assert codes() == [0, 1, 0, 1]
    pointer.unlink()
    pointer.mkdir()
    assert codes() == [0, 3, 3, 3]
    pointer.rmdir()
    pointer.write_text(good)
    shop.publish(popularity(tmp_path / "p2.json", 11, day=2), merge=True)
    assert codes() == [0, 0, 1, 1]
    shop.sync()
    (shop.store / "registry" / "current" / "grocer" / "nobody").mkdir()
    (shop.store / "registry" / "current" / "grocer" / "nobody" / "manifest.json").write_text(good)
    assert codes() == [0, 1, 0, 1]


def test_status_tells_what_is_current_since_when_and_what_waits(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p2.json", 11, day=2))
    told = state(shop, GROCER)
    assert (told["window"]["start"], told["window"]["end"]) == ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")
    assert told["shipped"]["commit"] == shop.main or told["shipped"]["commit"] == git(
        shop.origin, "log", "-1", "--format=%H", "main", "--", GROCER.manifest_path
    )
    assert [pull["id"] for pull in told["pull_requests"]] == [shop.pulls()[0]["id"]]
    assert set(told["current"]) == {"popularity"}


def test_a_target_that_is_gone_from_main_but_still_served_is_shown(shop: Shop) -> None:
    shop.sync()
    shop.pull()
    git(shop.desk, "revert", "--no-edit", "HEAD")
    git(shop.desk, "push", "-q", "origin", "main")
    told = state(shop, GROCER)
    assert (told["current"], told["serving"]) == ({}, "behind")


def test_a_target_that_never_was_names_the_nearest(shop: Shop) -> None:
    with pytest.raises(Problem, match="did you mean grocer/home"):
        state(shop, Target("grocer", "hom"))
