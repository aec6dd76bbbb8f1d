"""A main that nobody sees moving: the time that sync keeps in its fence, and what status makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from clocks import clock_at
from prometheus_client.parser import text_string_to_metric_families
from shop import CALM, Shop, git, popularity

from pointsman.errors import Problem
from pointsman.report import status as status_text
from pointsman.report import status_table
from pointsman.state.documents import rfc3339
from pointsman.verbs import status, sync
from pointsman.workspace import Workspace, system_clock

DAY = 86400
NOW = int(system_clock().timestamp())


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "shop", f'[serving]\nfrozen_after = "1d"\n{CALM}')
    shop.publish(popularity(tmp_path / "p1.json", 10), merge=True)
    return shop


def fence(shop: Shop) -> Path:
    return shop.store / "registry/current/.pointsman/sync.json"


def synced(shop: Shop, after: int = 0) -> None:
    with shop.open() as repo:
        sync.sync(Workspace(repo, clock=clock_at(NOW + after)))


def looked(shop: Shop, after: int = 0, *, where: Path | None = None, fail_on: tuple[str, ...] = ("frozen",)) -> Any:
    with shop.open(where) as repo:
        return status.status(Workspace(repo, clock=clock_at(NOW + after)), [], fail_on=fail_on)


def test_a_main_that_no_sync_saw_moving_for_too_long_is_frozen(shop: Shop) -> None:
    synced(shop)
    synced(shop, 2 * DAY)  # it looks again and again, and gets the same commit
    assert looked(shop, DAY).exit_code == 0
    frozen = looked(shop, DAY + 1)
    assert frozen.exit_code == 1
    assert frozen.document["main_seen"] == [
        {"place": "", "commit": shop.main, "at": rfc3339(NOW), "seconds": DAY + 1, "limit_seconds": DAY}
        | {"frozen": True}
    ]
    for text in (status_text.render(frozen.value), status_table.render(frozen.value)):
        assert "frozen: nobody was given a new commit for longer than 24.0 hours" in text.splitlines()[-1]
    assert looked(shop, DAY + 1, fail_on=()).exit_code == 0


@pytest.mark.slow
def test_whoever_is_given_a_new_commit_ends_it(shop: Shop, tmp_path: Path) -> None:
    synced(shop)
    assert looked(shop, 2 * DAY).exit_code == 1
    later = {"GIT_COMMITTER_DATE": f"@{NOW + 2 * DAY} +0000"}
    git(shop.desk, "pull", "-q", "origin", "main")
    git(shop.desk, "commit", "-q", "--allow-empty", "-m", "any commit", env=later)
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    assert looked(shop, 2 * DAY + 1).exit_code == 0, "no sync has it yet, and status has"
    assert looked(shop, 3 * DAY + 1).exit_code == 1, "and then nobody was given another"
    synced(shop, 2 * DAY + 60)
    assert looked(shop, 3 * DAY + 60).exit_code == 0
    assert json.loads(fence(shop).read_text())["at"] == rfc3339(NOW + 2 * DAY + 60)


@pytest.mark.slow
def test_an_older_main_than_sync_saw_does_not_look_fresh(shop: Shop, tmp_path: Path) -> None:
    before = shop.main
    shop.publish(popularity(tmp_path / "p2.json", 12, day=2), merge=True)
    synced(shop)
    git(shop.origin, "update-ref", "refs/heads/main", before)  # a forge that hides the last commit
    assert looked(shop, DAY + 1).exit_code == 1
    with pytest.raises(Problem):
        synced(shop, DAY)
    assert looked(shop, DAY + 1).exit_code == 1, "a pass that was refused is no news"


@pytest.mark.slow
def test_before_the_first_sync_the_time_of_the_last_commit_counts(shop: Shop) -> None:
    assert looked(shop).exit_code == 0
    assert looked(shop, 2 * DAY).exit_code == 1


@pytest.mark.slow
@pytest.mark.parametrize("at", [None, "tomorrow", 7, "2999-01-01T00:00:00Z"])
def test_a_fence_without_a_time_that_can_be_gets_one_once(shop: Shop, at: Any) -> None:
    synced(shop)
    document = json.loads(fence(shop).read_text())
    fence(shop).write_text(json.dumps(document | {"at": at}))
    synced(shop, 5)
    assert json.loads(fence(shop).read_text()) == document | {"at": rfc3339(NOW + 5)}
    written = fence(shop).stat().st_ino
    synced(shop, 50)
    assert fence(shop).stat().st_ino == written, "nothing is written where main did not move"


@pytest.mark.slow
def test_nobody_knows_where_the_fence_cannot_be_read(shop: Shop) -> None:
    synced(shop)
    fence(shop).write_text("{}")
    found = looked(shop)
    assert found.exit_code == 3
    assert "is not a file of Pointsman" in found.document["main_seen"][0]["unread"]
    assert "nobody knows when main moved: " in status_table.render(found.value)
    assert "pointsman_main_" not in status_text.render_prometheus(found.value)


def test_who_asks_for_it_without_a_limit_is_told_how_to_set_one(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    with pytest.raises(Problem, match=r'no \[serving\] has a frozen_after: add one to pointsman.toml, such as "2d"'):
        looked(shop)
    assert looked(shop, fail_on=()).document["main_seen"] == []


@pytest.mark.slow
def test_each_place_has_its_own_limit_and_its_own_gauges(tmp_path: Path) -> None:
    place = '[[serving]]\nname = "{0}"\nmanifest = "file://{1}/{0}/{{tenant}}/{{surface}}.json"\n'
    eu, us = (place.format(name, tmp_path / "serving") for name in ("eu", "us"))
    shop = Shop(tmp_path / "shop", f'{eu}frozen_after = "1d"\n{us}frozen_after = "3d"\n')
    synced(shop)
    found = looked(shop, 2 * DAY)
    assert found.exit_code == 1
    assert [(each["place"], each["frozen"]) for each in found.document["main_seen"]] == [("eu", True), ("us", False)]
    gauges = {
        (family.name, sample.labels.get("place")): sample.value
        for family in text_string_to_metric_families(status_text.render_prometheus(found.value) + "\n")
        for sample in family.samples
        if "main" in family.name
    }
    assert gauges == {
        ("pointsman_main_frozen", "eu"): 1,
        ("pointsman_main_frozen", "us"): 0,
        ("pointsman_main_moved_timestamp_seconds", "eu"): NOW,
        ("pointsman_main_moved_timestamp_seconds", "us"): NOW,
    }
