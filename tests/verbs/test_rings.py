"""Rings: a ship is in the first at once and in the next after its time; what is taken out leaves all at once."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rings import HOUR, START, RingShop, at_start, shipped
from shop import GROCER, Kept, git, popularity

from pointsman.cli import at as at_words
from pointsman.cli import sync as sync_words
from pointsman.errors import Problem, Unreachable
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.report import status as status_words
from pointsman.retention.served import versions_named, waiting
from pointsman.serving.fence import SYNCED
from pointsman.serving.given import GIVING, SKEW
from pointsman.serving.seen import Seen
from pointsman.state.documents import Tombstone, rfc3339
from pointsman.state.ring import given_key
from pointsman.store import file_tags
from pointsman.verbs import at, gc, site
from pointsman.verbs.sync_target import Targets


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("rings"), shipped)


@pytest.fixture
def shop(kept: Kept) -> RingShop:
    return at_start(kept)


def ship(shop: RingShop, items: int) -> bytes:
    """Another ship, merged; its manifest."""
    shop.publish(popularity(shop.root / f"p{items}.json", items), merge=True)
    return shop.manifest


def by_ring(outcome: Outcome[Any]) -> dict[str, str]:
    (target,) = outcome.document["targets"]
    return {each["place"]: each["outcome"] for each in target["places"]}


def waits(outcome: Outcome[Any], ring: str = "prod") -> Any:
    (target,) = outcome.document["targets"]
    return next(each.get("waits") for each in target["places"] if each["place"] == ring)


def away(shop: RingShop, ring: str) -> None:
    """Nobody can read or write there: a link that leads to itself."""
    shutil.rmtree(shop.root / ring, ignore_errors=True)
    (shop.root / ring).symlink_to(shop.root / ring)


@pytest.mark.slow
def test_the_first_ship_of_a_target_is_in_every_ring_at_once(shop: RingShop) -> None:
    assert shop.serves("canary") == shop.serves("prod") == shop.manifest
    for ring in ("canary", "prod"):
        assert json.loads((shop.root / ring / SYNCED).read_text())["commit"] == shop.main
        given = json.loads((shop.root / ring / given_key(ring, GROCER)).read_text())
        assert [each["commit"] for each in given["given"]] == [shop.main]


@pytest.mark.slow
def test_an_older_state_that_no_claim_holds_gives_way_in_every_ring_at_once(shop: RingShop) -> None:
    first, second = shop.manifest, ship(shop, 11)
    shop.pass_over()
    shop.pass_over(later=2 * HOUR)
    for ring in ("canary", "prod"):
        (shop.root / ring / str(GROCER) / "manifest.json").write_bytes(first)
    assert by_ring(shop.pass_over()) == {"canary": "written", "prod": "written"}
    assert shop.serves("canary") == shop.serves("prod") == second


@pytest.mark.slow
def test_in_the_last_ring_a_time_that_nobody_wrote_down_stays_unknown(shop: RingShop) -> None:
    (shop.root / "prod" / given_key("prod", GROCER)).unlink()
    shop.pass_over()
    (target,) = shop.look(GROCER).document["targets"]
    found = {each["ring"]: each["given_at"] for each in target["rings"]}
    assert (found["canary"] is None, found["prod"]) == (False, None)


def test_a_ship_is_in_the_next_ring_after_its_time(shop: RingShop) -> None:
    first, second = shop.manifest, ship(shop, 11)
    early = shop.pass_over()
    assert by_ring(early) == {"canary": "written", "prod": "unchanged"}
    assert (shop.serves("canary"), shop.serves("prod")) == (second, first)
    assert waits(early) == {"waits_for": "time", "commit": shop.main, "at": "2030-03-17T19:46:40Z"}
    assert f"grocer/home at prod: {shop.main[:12]} waits until 2030-03-17T19:46:40Z" in sync_words.render(early.value)
    assert waits(shop.pass_over(later=2 * HOUR - 1)) is not None
    assert shop.serves("prod") == first
    late = shop.pass_over(later=1)
    assert (by_ring(late), waits(late)) == ({"canary": "unchanged", "prod": "written"}, None)
    assert shop.serves("prod") == second


@pytest.mark.slow
def test_hourly_ships_are_in_the_next_ring_two_hours_later_one_by_one(shop: RingShop) -> None:
    states = [shop.manifest]
    for hour in range(5):
        states.append(ship(shop, 11 + hour))
        shop.pass_over(later=HOUR)
        assert shop.serves("canary") == states[-1]
        assert shop.serves("prod") == states[max(0, hour - 1)]


@pytest.mark.slow
def test_a_revert_takes_a_ship_out_of_every_ring_that_has_it_and_leaves_the_others_alone(shop: RingShop) -> None:
    first = shop.manifest
    ship(shop, 11)
    shop.pass_over()
    prod = shop.root / "prod" / "grocer" / "home" / "manifest.json"
    before = prod.stat()
    shop.pull()
    git(shop.desk, "revert", "--no-edit", "HEAD")
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    assert by_ring(shop.pass_over()) == {"canary": "written", "prod": "unchanged"}
    assert shop.serves("canary") == shop.serves("prod") == first
    assert prod.stat() == before
    assert waits(shop.pass_over(later=99 * HOUR)) is None

    ship(shop, 12)
    shop.pass_over()
    shop.pass_over(later=2 * HOUR)
    assert shop.serves("prod") == shop.manifest != first
    shop.roll_back(now=True, reason="bad")
    assert by_ring(shop.pass_over()) == {"canary": "written", "prod": "written"}
    assert shop.serves("canary") == shop.serves("prod") == shop.manifest


@pytest.mark.slow
def test_a_state_of_many_ships_ago_comes_back_in_every_ring_at_once(shop: RingShop) -> None:
    first, before = shop.manifest, shop.main
    for items in range(11, 33):
        ship(shop, items)
    shop.pass_over()
    shop.pass_over(later=2 * HOUR)
    assert shop.serves("prod") == shop.manifest != first
    shop.roll_back(to=before, now=True, reason="bad")
    assert by_ring(shop.pass_over()) == {"canary": "written", "prod": "written"}
    assert shop.serves("canary") == shop.serves("prod") == shop.manifest == first
    assert "restored" in status_words.render(shop.look(GROCER).value)


@pytest.mark.slow
def test_a_ring_that_cannot_be_reached_stops_no_other_and_a_restore_does_not_wait_for_it(shop: RingShop) -> None:
    ship(shop, 11)
    shop.pass_over()
    shop.pass_over(later=2 * HOUR)
    ship(shop, 12)
    away(shop, "canary")
    outcome = shop.pass_over(later=9 * HOUR)
    assert (outcome.exit_code, by_ring(outcome)) == (3, {"prod": "unchanged"})
    assert waits(outcome) == {"waits_for": "time", "commit": shop.main, "at": None}
    assert "canary was not synced: " in sync_words.render(outcome.value)
    shop.roll_back(to=git(shop.origin, "rev-parse", "main~4"), now=True, reason="bad")
    outcome = shop.pass_over()
    assert (outcome.exit_code, by_ring(outcome)) == (3, {"prod": "written"})
    assert shop.serves("prod") == shop.manifest


@pytest.mark.slow
def test_what_a_killed_sync_did_not_write_down_is_counted_from_the_next_pass(
    shop: RingShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = ship(shop, 11)

    def killed(self: Targets, *given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Targets, "_note", killed)
        with pytest.raises(KeyboardInterrupt):
            shop.pass_over()
    assert shop.serves("canary") == second
    shop.pass_over(later=HOUR)
    shop.pass_over(later=2 * HOUR - 1)
    assert shop.serves("prod") != second
    with monkeypatch.context() as patch:
        patch.setattr(Targets, "_note", killed)
        with pytest.raises(KeyboardInterrupt):
            shop.pass_over(later=1)
    assert shop.serves("prod") == second
    shop.pass_over(later=60)
    (target,) = shop.look(GROCER).document["targets"]
    assert [each["given_at"] for each in target["rings"]] == ["2030-03-17T18:46:40Z", "2030-03-17T20:47:40Z"]
    assert not (shop.root / "prod" / GIVING).exists()


@pytest.mark.slow
def test_a_clock_that_is_behind_never_moves_a_ring_back(shop: RingShop) -> None:
    second = ship(shop, 11)
    shop.pass_over()
    shop.pass_over(later=2 * HOUR)
    assert shop.serves("prod") == second
    for later in (-600, -600, 600, -9 * HOUR):
        assert by_ring(shop.pass_over(later=later)) == {"canary": "unchanged", "prod": "unchanged"}
        assert shop.serves("prod") == second


@pytest.mark.slow
def test_what_a_clock_far_ahead_wrote_down_makes_no_ring_wait_for_longer(shop: RingShop) -> None:
    second = ship(shop, 11)
    shop.pass_over(later=1000 * HOUR)
    start = shop.now = shop.now - 1000 * HOUR
    shop.pass_over()
    (target,) = shop.look(GROCER).document["targets"]
    assert [each["given_at"] for each in target["rings"]] == [rfc3339(start), rfc3339(START)]
    assert waits(shop.pass_over(later=2 * HOUR - 1))["at"] == rfc3339(start + 2 * HOUR)
    shop.pass_over(later=1)
    assert shop.serves("prod") == second


@pytest.mark.slow
def test_a_ring_whose_pointer_was_lost_has_what_it_was_given_whatever_the_clock_says(shop: RingShop) -> None:
    first = shop.manifest
    ship(shop, 11)
    (shop.root / "prod" / str(GROCER) / "manifest.json").unlink()
    shop.pass_over(later=-10 * HOUR)
    assert shop.serves("prod") == first


@pytest.mark.slow
def test_what_a_clock_a_little_ahead_wrote_down_stays(shop: RingShop) -> None:
    ship(shop, 11)
    shop.pass_over(later=SKEW)
    then = shop.now
    assert waits(shop.pass_over(later=-SKEW))["at"] == rfc3339(then + 2 * HOUR)


@pytest.mark.slow
def test_what_someone_wrote_by_hand_into_a_later_ring_becomes_what_that_ring_was_given(shop: RingShop) -> None:
    first, second = shop.manifest, ship(shop, 11)
    shop.pass_over()
    path = shop.root / "prod" / "grocer" / "home" / "manifest.json"
    path.write_text("{}")
    assert by_ring(shop.pass_over()) == {"canary": "unchanged", "prod": "healed"}
    assert (shop.serves("canary"), shop.serves("prod")) == (second, first)
    path.unlink()
    assert by_ring(shop.pass_over()) == {"canary": "unchanged", "prod": "written"}
    assert shop.serves("prod") == first


@pytest.mark.slow
def test_a_watch_gives_a_ring_what_is_due_though_main_and_serving_are_as_they_were(
    shop: RingShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_tags, "RACY", -(10**18))  # nothing here is written twice within a tick of the clock
    second, seen = ship(shop, 11), Seen(10**9)
    for _ in range(3):
        outcome = shop.pass_over(seen=seen)
    assert shop.pass_over(seen=seen).value is outcome.value, "it had nothing to do"
    assert by_ring(shop.pass_over(seen=seen, later=2 * HOUR)) == {"canary": "unchanged", "prod": "written"}
    assert shop.serves("prod") == second


@pytest.mark.slow
def test_a_ring_gets_nothing_whose_blob_is_missing(shop: RingShop) -> None:
    first = shop.manifest
    ship(shop, 11)
    shop.pass_over()
    (blob,) = [path for path in shop.store.rglob("popularity/*.json") if path.name not in first.decode()]
    blob.unlink()
    outcome = shop.pass_over(later=2 * HOUR)
    assert (outcome.exit_code, by_ring(outcome)) == (5, {"canary": "unchanged", "prod": "refused"})
    assert shop.serves("prod") == first


@pytest.mark.slow
def test_targets_that_a_ring_does_not_take_in_its_turn_are_in_every_ring_at_once(tmp_path: Path) -> None:
    shop = RingShop(tmp_path, rings={"canary": 'targets = ["other/*"]', "prod": 'after = "2h"'})
    for items in (10, 11):
        manifest = ship(shop, items)
        shop.pass_over()
        assert shop.serves("canary") == shop.serves("prod") == manifest


@pytest.mark.slow
def test_if_no_ring_can_be_reached_that_is_a_problem(shop: RingShop) -> None:
    for ring in ("canary", "prod"):
        away(shop, ring)
    with pytest.raises(Unreachable, match="/canary"):
        shop.pass_over()


@pytest.mark.slow
def test_status_tells_what_each_ring_has_and_waits_for(shop: RingShop) -> None:
    versions = shop.look().value.targets[0].current
    first, second = shop.main, ship(shop, 11)
    shop.pass_over()
    for outcome in (shop.look(), shop.look(GROCER)):
        (target,) = outcome.document["targets"]
        assert [(each["place"], each["serving"]) for each in target["places"]] == [
            ("canary", "in-sync"),
            ("prod", "in-sync"),
        ]
        prod = target["rings"][1]
        assert prod == {
            "ring": "prod",
            "commit": first,
            "given_at": "2030-03-17T17:46:40Z",
            "due": {"commit": shop.main, "at": "2030-03-17T19:46:40Z"},
            "waits_for": "time",
            "checks": [],
            "versions": dict(versions),
        }
        text = status_words.render(outcome.value)
        has = ", ".join(f"{slot} {version[:12]}" for slot, version in versions.items())
        assert f"    it has {first[:12]}, since 2030-03-17T17:46:40Z: {has}\n" in text
        assert f"    {shop.main[:12]} waits until 2030-03-17T19:46:40Z\n" in text
    metrics = status_words.render_prometheus(outcome.value)
    assert 'pointsman_ring_waits{ring="prod",target="grocer/home",waits_for="time"} 1.0' in metrics
    assert 'pointsman_ring_waits{ring="canary",target="grocer/home",waits_for="time"} 0.0' in metrics
    assert 'pointsman_serving{place="prod",state="in-sync",target="grocer/home"} 1.0' in metrics
    assert shop.look(fail_on=["behind"]).exit_code == 0, "it has what it is due"
    shop.now += 2 * HOUR
    late = shop.look(fail_on=["behind"])
    (target,) = late.document["targets"]
    assert (late.exit_code, target["places"][1]["serving"], target["places"][1]["behind"]["commits"]) == (
        1,
        "behind",
        1,
    )
    shop.pass_over()
    assert shop.serves("prod") == second
    (target,) = shop.look(GROCER).document["targets"]
    assert [(each["commit"], each["due"]) for each in target["rings"]] == [(shop.main, None), (shop.main, None)]
    away(shop, "canary")
    (target,) = shop.look(GROCER).document["targets"]
    assert [each["serving"] for each in target["places"]] == ["unknown", "in-sync"]


@pytest.mark.slow
def test_the_page_of_a_target_on_a_site_tells_what_each_ring_has_and_waits_for(shop: RingShop) -> None:
    first, _ = shop.main, ship(shop, 11)
    shop.pass_over()

    def page() -> str:
        with shop.open() as repo:
            site.site(shop.workspace(repo), str(shop.root / "site"))
        return (shop.root / "site" / "targets" / f"{GROCER}.html").read_text()

    assert f"in-sync; it has {shop.main[:12]}, since 2030-03-17T17:46:40Z</td>" in page()
    waits = f"{shop.main[:12]} waits until 2030-03-17T19:46:40Z"
    assert f"in-sync; it has {first[:12]}, since 2030-03-17T17:46:40Z: popularity " in page()
    assert f"; {waits}" in page()
    shop.pass_over(later=2 * HOUR)
    assert f"in-sync; it has {first[:12]}" not in page()


@pytest.mark.slow
def test_gc_leaves_what_a_ring_may_still_be_given(shop: RingShop) -> None:
    for items in (11, 12, 13):
        ship(shop, items)
    shop.pass_over()
    with shop.open() as repo:
        workspace = shop.workspace(repo)
        main = repo.refresh()
        settings = Snapshot(repo, main).settings()
        found = waiting(workspace.gate, settings, main)
        assert found == {path.stem for path in shop.store.rglob("popularity/*.json")} - versions_named(
            shop.serves("prod") or b""
        )
    shop.pull()
    with (shop.desk / "pointsman.toml").open("a") as text:
        text.write("[retention]\nkeep_days = 0\nkeep_ships = 0\nwait_days = 0\n")
    middle = sorted(shop.store.rglob("popularity/*.json"), key=lambda path: path.stat().st_mtime_ns)[2]
    stone = Tombstone("grocer", "home", "popularity", middle.stem, "it is not needed")
    (shop.desk / stone.path).write_bytes(stone.render())
    shop.push("retire it")
    with shop.open() as repo:
        run = gc.gc(shop.workspace(repo), gc.Request(delete=True)).value
    assert [each.says for each in run.kept] == ["serving still points to it"]
    assert middle.exists()
    shop.pass_over(later=2 * HOUR)
    with shop.open() as repo:
        assert waiting(shop.workspace(repo).gate, settings, repo.refresh()) == set()


@pytest.mark.slow
def test_at_tells_what_a_ring_had_at_a_time(shop: RingShop) -> None:
    first = shop.main
    ship(shop, 11)
    shop.pass_over()
    shop.pass_over(later=2 * HOUR)
    second = shop.main

    def asked(when: str, ring: str) -> Any:
        with shop.open() as repo:
            return at.at(shop.workspace(repo), when, GROCER, ring)

    found = asked("2030-03-17T18:00:00Z", "prod")
    assert (found.value.commit, found.value.at, found.value.until.commit) == (first, "2030-03-17T17:46:40Z", second)
    assert found.value.until.at == "2030-03-17T19:46:40Z"
    text = at_words.render(found.value)
    assert text.startswith(f"grocer/home since {first[:12]} by ")
    assert ", given to prod at 2030-03-17T17:46:40Z, until " in text
    assert asked("now", "canary").document["commit"] == second
    seconds = int(git(shop.desk, "log", "-1", "--format=%ct", first))  # on main, and in no ring yet
    before = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
    with pytest.raises(Problem, match=f"what prod had of grocer/home at {before} is not known: what is"):
        asked(before, "prod")
    with pytest.raises(Problem, match="there is no ring pord: did you mean prod"):
        asked("now", "pord")
    away(shop, "prod")
    with pytest.raises(Unreachable):
        asked("now", "prod")
