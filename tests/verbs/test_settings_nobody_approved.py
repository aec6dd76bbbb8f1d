"""Settings that somebody pushed past the approvals that main demands: nothing that decides goes by them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rings import HOUR, RingShop, at_start
from shop import GROCER, Kept, git, popularity
from signers import key_of, signer

from pointsman.errors import Refused
from pointsman.repo.open import open_repository
from pointsman.state.documents import Tombstone
from pointsman.verbs import approve, audit, gc, retire, verify
from pointsman.verbs.retire_plan import Request

pytestmark = pytest.mark.slow

DEMANDS = '[audit]\nallowed_signers = "allowed_signers"\n[policy]\napprovals = 1\n'
AT_ONCE = "[retention]\nkeep_days = 0\nkeep_ships = 1\nwait_days = 0\n"
YEAR = 365 * 24 * HOUR


def run(shop: RingShop, verb: Callable[..., Any], *words: Any, **more: Any) -> Any:
    with open_repository(str(shop.desk)) as repo:
        return verb(shop.workspace(repo), *words, **more)


def agreed(shop: RingShop, items: int) -> None:
    """A ship that ann approved, given to the first ring."""
    shop.publish(popularity(shop.root / f"{items}.json", items))
    run(shop, approve.approve, "grocer/home", str(key_of("ann")))
    shop.merge()
    shop.pass_over()


def waiting(root: Path, more: str = "") -> RingShop:
    """A shop that demands approvals, whose last ring still has the first of two ships."""
    shop = RingShop(root)
    (shop.desk / "allowed_signers").write_text(signer("ann"))
    path = shop.desk / "pointsman.toml"
    path.write_text(path.read_text().replace("[policy]\n", DEMANDS) + more)
    shop.push("approvals")
    agreed(shop, 10)
    agreed(shop, 11)
    return shop


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("unapproved"), waiting)


@pytest.fixture
def shop(kept: Kept) -> RingShop:
    return at_start(kept)


def change_settings(shop: RingShop, change: Callable[[str], str]) -> None:
    """Push other settings past every gate."""
    shop.pull()
    path = shop.desk / "pointsman.toml"
    path.write_text(change(path.read_text()))
    shop.push("settings that nobody approved")


def blobs(shop: RingShop) -> set[str]:
    return {path.name for path in (shop.store / "grocer" / "home" / "popularity").iterdir()}


def oldest(shop: RingShop) -> str:
    """The version that the last ring still has."""
    return str(run(shop, lambda each: each.gate.lineage(each.repo.refresh(), GROCER).at(1).versions["popularity"]))


def collect_after_a_year(shop: RingShop, version: str) -> None:
    """Push a tombstone of a version past every gate, and collect."""
    stone = Tombstone(GROCER.tenant, GROCER.surface, "popularity", version, "mine")
    (shop.desk / GROCER.tombstone_path("popularity", version)).write_bytes(stone.render())
    shop.push("a tombstone that is too early")
    shop.now += YEAR
    assert run(shop, gc.gc, gc.Request(delete=True)).exit_code == 0


def test_since_that_nobody_approved_lets_no_ship_through_and_hides_none_from_audit(shop: RingShop) -> None:
    before = shop.serves("canary")
    shop.publish(popularity(shop.root / "12.json", 12))
    shop.pull()
    git(shop.desk, "cherry-pick", git(shop.origin, "for-each-ref", "--format=%(objectname)", "refs/heads/ship"))
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    ship = git(shop.desk, "rev-parse", "HEAD")
    change_settings(shop, lambda text: text.replace("[audit]\n", f'[audit]\nsince = "{ship}"\n'))
    for _ in range(2):
        done = shop.pass_over()
        assert [fault["rule"] for each in done.document["targets"] for fault in each["faults"] or ()] == ["unapproved"]
        assert shop.serves("canary") == before
    found = [fault["path"] for fault in run(shop, audit.audit).document["faults"]]
    assert sorted(found) == [GROCER.manifest_path, "pointsman.toml"]


def test_gc_keeps_what_a_ring_has_that_nobody_approved_to_go(tmp_path: Path) -> None:
    """Its retention, which was approved, would let the version go at once."""
    shop = waiting(tmp_path / "shop", AT_ONCE)
    version = oldest(shop)

    def change(text: str) -> str:
        first, _, rest = text.partition('[[ring]]\nname = "prod"')
        return first + rest[rest.index("[audit]") :]

    change_settings(shop, change)
    collect_after_a_year(shop, version)
    assert f"{version}.json" in blobs(shop)


def test_gc_keeps_by_the_retention_that_was_approved(shop: RingShop) -> None:
    version = oldest(shop)
    shop.pass_over(later=3 * HOUR)
    assert shop.serves("prod") == shop.manifest
    change_settings(shop, lambda text: text + AT_ONCE)
    collect_after_a_year(shop, version)
    assert f"{version}.json" in blobs(shop)


def test_the_gate_goes_by_the_guardrails_that_were_approved(shop: RingShop) -> None:
    change_settings(shop, lambda text: text.replace("[policy]\n", "[policy]\nitems_drop = 1.0\n"))
    with pytest.raises(Refused) as refused:
        shop.publish(popularity(shop.root / "2.json", 2))
    assert {fault.rule for fault in refused.value.faults} == {"items-drop"}


def test_nothing_is_retired_before_the_time_that_was_approved(shop: RingShop) -> None:
    version = oldest(shop)
    change_settings(shop, lambda text: text + AT_ONCE)
    shop.now = int(time.time())
    found = run(shop, retire.retire, Request(versions=(version,), reason="mine", merge=True)).document["targets"]
    assert [fault["rule"] for each in found for fault in each["faults"]] == ["still-needed"]


def test_artifacts_go_to_no_store_that_nobody_approved(shop: RingShop) -> None:
    other = shop.root / "other"
    change_settings(shop, lambda text: text.replace(f"file://{shop.store}", f"file://{other}"))
    shop.publish(popularity(shop.root / "12.json", 12))
    assert not other.exists()
    assert len(blobs(shop)) == 3


def test_sync_looks_for_blobs_in_the_store_that_was_approved(shop: RingShop) -> None:
    change_settings(shop, lambda text: text.replace(f"file://{shop.store}", f"file://{shop.root / 'other'}"))
    done = shop.pass_over(later=3 * HOUR)
    assert [each["faults"] for each in done.document["targets"] if each["faults"]] == []
    assert shop.serves("prod") == shop.manifest
    assert run(shop, verify.verify, (), verify.Choice()).exit_code == 0
