"""Several serving places: each has a fence of its own, and none is pointed to a blob that it lacks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from shop import GROCER, Kept, Shop, popularity

from pointsman.cli import sync as sync_words
from pointsman.errors import Refused, Unreachable
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.report import status as status_text
from pointsman.serving.claims import claim_key, every_claim
from pointsman.serving.fence import SYNCED
from pointsman.serving.pointers import every_pointer
from pointsman.serving.seen import Seen
from pointsman.store import file_tags
from pointsman.store.directory import FileStore
from pointsman.verbs import audit, doctor, status, sync, watch
from pointsman.verbs.sync_place import PlaceSync
from pointsman.workspace import Workspace

PLACE = """[[serving]]
name = "{name}"
manifest = "file://{root}/{name}/{{tenant}}/{{surface}}/manifest.json"
"""


def settings_of(root: Path) -> str:
    """Two places, the second with blobs of its own."""
    return f'{PLACE.format(name="us", root=root)}{PLACE.format(name="eu", root=root)}store = "file://{root}/blobs-eu"\n'


def shipped(root: Path) -> Shop:
    shop = Shop(root, settings_of(root))
    shop.publish(popularity(root / "p1.json", 10), merge=True)
    return shop


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("places"), shipped)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def replicate(shop: Shop) -> None:
    """All blobs arrive in the second place."""
    shutil.copytree(shop.store / "grocer", shop.root / "blobs-eu" / "grocer", dirs_exist_ok=True)


def away(shop: Shop, place: str) -> None:
    """Nobody can read or write there: a link that leads to itself."""
    shutil.rmtree(shop.root / place, ignore_errors=True)
    (shop.root / place).symlink_to(shop.root / place)


def serves(shop: Shop, place: str) -> bytes | None:
    path = shop.root / place / "grocer" / "home" / "manifest.json"
    return path.read_bytes() if path.exists() else None


def by_place(outcome: Outcome[Any]) -> dict[str, str]:
    (target,) = outcome.document["targets"]
    return {each["place"]: each["outcome"] for each in target["places"]}


def looked(shop: Shop) -> Outcome[Any]:
    with shop.open() as repo:
        return status.status(Workspace(repo), [])


@pytest.mark.slow
def test_every_place_gets_the_manifest_and_has_a_fence_of_its_own(shop: Shop) -> None:
    replicate(shop)
    outcome = shop.sync()
    assert (outcome.exit_code, by_place(outcome)) == (0, {"us": "written", "eu": "written"})
    assert serves(shop, "us") == serves(shop, "eu") == shop.manifest
    for place in ("us", "eu"):
        assert json.loads((shop.root / place / SYNCED).read_text())["commit"] == shop.main
    assert not (shop.store / "registry").exists()
    again = shop.sync()
    assert by_place(again) == {"us": "unchanged", "eu": "unchanged"}
    assert again.document["places"] == [
        {"place": "us", "ok": True, "says": ""},
        {"place": "eu", "ok": True, "says": ""},
    ]


def test_a_place_that_lacks_a_blob_keeps_its_last_good_pointer_until_it_is_there_whole(shop: Shop) -> None:
    replicate(shop)
    shop.sync()
    first = shop.manifest
    shop.publish(popularity(shop.root / "p2.json", 11, day=2), merge=True)
    lagging = shop.sync()
    assert (lagging.exit_code, by_place(lagging)) == (5, {"us": "written", "eu": "refused"})
    assert (serves(shop, "us"), serves(shop, "eu")) == (shop.manifest, first)
    told = lagging.document["targets"][0]
    assert (told["outcome"], [fault["rule"] for fault in told["faults"]]) == ("refused", ["blob-missing"])
    assert told["places"][1]["lag_seconds"] >= 0
    assert "is not there yet: eu keeps what it has until it is there" in sync_words.render(lagging.value)

    (blob,) = {path.name for path in shop.store.rglob("popularity/*.json")} - {
        path.name for path in (shop.root / "blobs-eu").rglob("*.json")
    }
    replicate(shop)
    arriving = next((shop.root / "blobs-eu").rglob(blob))
    whole = arriving.read_bytes()
    arriving.write_bytes(whole[:-1])
    assert by_place(shop.sync()) == {"us": "unchanged", "eu": "refused"}
    assert serves(shop, "eu") == first
    arriving.write_bytes(whole)
    assert by_place(shop.sync()) == {"us": "unchanged", "eu": "written"}
    assert serves(shop, "eu") == shop.manifest


@pytest.mark.slow
def test_a_place_with_blobs_of_its_own_does_not_need_those_of_the_store(shop: Shop) -> None:
    replicate(shop)
    for blob in shop.store.rglob("popularity/*.json"):
        blob.unlink()
    assert by_place(shop.sync()) == {"us": "refused", "eu": "written"}


@pytest.mark.slow
def test_a_lag_is_told_to_people_only_when_it_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = tmp_path / "heard"
    root = tmp_path / "shop"
    shop = Shop(root, settings_of(root) + f'[notify]\ncommand = "tee -a {heard}"\n')
    shop.publish(popularity(root / "p1.json", 10), merge=True)
    shop.sync()
    events = [json.loads(line) for line in heard.read_text().splitlines()]
    assert [(event["event"], event["place"]) for event in events] == [("ship", "us")]
    monkeypatch.setattr("pointsman.serving.notify._LAG_SECONDS", 0)
    shop.sync()
    shop.sync()  # told once, whatever the time
    replicate(shop)
    shop.sync()
    events = [json.loads(line) for line in heard.read_text().splitlines()]
    assert [(event["event"], event["place"]) for event in events] == [("ship", "us"), ("refusal", "eu"), ("ship", "eu")]


def test_a_place_that_cannot_be_reached_stops_no_other(shop: Shop) -> None:
    replicate(shop)
    away(shop, "us")
    outcome = shop.sync()
    assert outcome.exit_code == 3
    assert serves(shop, "eu") == shop.manifest
    gone, well = outcome.document["places"]
    assert (gone["ok"], well["ok"]) == (False, True)
    assert f"file://{shop.root}/us" in gone["says"]
    assert f"us was not synced: {gone['says']}" in sync_words.render(outcome.value)
    (shop.root / "us").unlink()
    assert by_place(shop.sync()) == {"us": "written", "eu": "unchanged"}


@pytest.mark.slow
def test_if_no_place_can_be_reached_that_is_a_problem(shop: Shop) -> None:
    for place in ("us", "eu"):
        away(shop, place)
    with pytest.raises(Unreachable, match="/us"):
        shop.sync()


@pytest.mark.slow
def test_a_fence_that_main_does_not_descend_from_stops_its_own_place(shop: Shop) -> None:
    replicate(shop)
    shop.sync()
    fence = shop.root / "us" / SYNCED
    fence.write_text(json.dumps({"v": 1, "commit": "1" * 40}))
    shop.publish(popularity(shop.root / "p2.json", 11, day=2), merge=True)
    replicate(shop)
    old = serves(shop, "us")
    outcome = shop.sync()
    assert outcome.exit_code == 5
    assert "rewritten-history" in outcome.document["places"][0]["says"]
    assert (serves(shop, "us"), serves(shop, "eu")) == (old, shop.manifest)
    with shop.open() as repo:
        audited = audit.audit(Workspace(repo))
    assert audited.exit_code == 1
    (shop.root / "eu" / SYNCED).write_text(json.dumps({"v": 1, "commit": "1" * 40}))
    with pytest.raises(Refused):
        shop.sync()


@pytest.mark.slow
def test_places_end_on_the_same_main_if_it_moves_while_one_is_at_work(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    replicate(shop)
    read = PlaceSync.read
    moves = iter([lambda: shop.publish(popularity(shop.root / "p2.json", 11, day=2), merge=True)])

    def overtaken(self: PlaceSync) -> None:
        read(self)
        if self.place.name == "us" and (move := next(moves, None)):
            move()
            replicate(shop)

    monkeypatch.setattr(PlaceSync, "read", overtaken)
    outcome = shop.sync()
    assert outcome.document["commit"] == shop.main
    assert serves(shop, "us") == serves(shop, "eu") == shop.manifest


@pytest.mark.slow
def test_status_tells_each_place_and_the_worst_of_all(shop: Shop) -> None:
    replicate(shop)
    shop.sync()
    shop.publish(popularity(shop.root / "p2.json", 11, day=2), merge=True)
    shop.sync()
    outcome = looked(shop)
    (target,) = outcome.document["targets"]
    assert target["serving"] == "behind"
    us, eu = target["places"]
    assert (us["place"], us["serving"], us["behind"]) == ("us", "in-sync", None)
    assert (eu["place"], eu["serving"], eu["behind"]["commits"]) == ("eu", "behind", 1)
    assert [fault["rule"] for fault in eu["lacks"]] == ["blob-missing"]
    text = status_text.render(outcome.value)
    assert "  us is in-sync\n" in text
    assert "  eu is behind by 1 commit, since" in text
    assert "    waits: popularity: file://" in text
    samples = {
        (sample.name, sample.labels["place"], sample.labels.get("state")): sample.value
        for family in text_string_to_metric_families(status_text.render_prometheus(outcome.value) + "\n")
        for sample in family.samples
        if "place" in sample.labels
    }
    assert samples["pointsman_serving", "us", "in-sync"] == samples["pointsman_serving", "eu", "behind"] == 1
    assert samples["pointsman_serving", "eu", "in-sync"] == samples["pointsman_behind_seconds", "us", None] == 0
    with shop.open() as repo:
        waited = watch.wait(Workspace(repo), [GROCER], 0)
    assert waited.exit_code == 4
    replicate(shop)
    shop.sync()
    with shop.open() as repo:
        assert watch.wait(Workspace(repo), [GROCER], 0).exit_code == 0


@pytest.mark.slow
def test_status_says_which_place_cannot_be_read_and_which_one_drifted(shop: Shop) -> None:
    replicate(shop)
    shop.sync()
    (shop.root / "us" / "grocer" / "home" / "manifest.json").write_text("{}")
    away(shop, "eu")
    outcome = looked(shop)
    (target,) = outcome.document["targets"]
    assert [(each["place"], each["serving"]) for each in target["places"]] == [("us", "drifted"), ("eu", "unknown")]
    text = status_text.render(outcome.value)
    assert "    someone wrote what is served at " in text
    assert "    what is served there cannot be read: " in text
    with shop.open() as repo:
        assert status.status(Workspace(repo), [GROCER], fail_on=["drift"]).exit_code == 3


@pytest.mark.slow
def test_one_place_without_a_name_is_told_as_ever(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(popularity(tmp_path / "p1.json", 10), merge=True)
    assert set(shop.sync().document) == {"commit", "dry_run", "targets", "calls"}
    assert "places" not in shop.sync().document["targets"][0]
    found = looked(shop)
    assert "places" not in found.document["targets"][0]
    assert "place=" not in status_text.render_prometheus(found.value)


@pytest.mark.slow
def test_a_watch_with_nothing_new_lists_one_place_in_its_turn_and_looks_at_main_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_tags, "RACY", -(10**18))  # nothing here is written twice within a tick of the clock
    replicate(shop)
    asked: list[str] = []
    with shop.open() as repo:
        workspace, seen = Workspace(repo), Seen(600)
        run = repo.git.run

        def told(*words: str, **more: Any) -> Any:
            asked.append(words[0])
            return run(*words, **more)

        for _ in range(3):
            sync.sync(workspace.again(), seen=seen)
        repo.git.run = told  # type: ignore[method-assign]
        listed: list[str] = []
        tags = FileStore.tags

        def listing(store: FileStore, *asked: Any) -> Mapping[str, str | None]:
            listed.append(store.root.name)
            return tags(store, *asked)

        monkeypatch.setattr(FileStore, "tags", listing)
        for _ in range(4):
            sync.sync(workspace.again(), seen=seen)
        assert asked == ["ls-remote"] * 4
        assert sorted(listed[:2]) == sorted(listed[2:]) == ["eu", "us"]
        (shop.root / "eu" / "grocer" / "home" / "manifest.json").write_text("{}")
        found = [by_place(sync.sync(workspace.again(), seen=seen)) for _ in range(2)]
        assert {"us": "unchanged", "eu": "healed"} in found


@pytest.mark.slow
def test_a_watch_asks_a_place_that_failed_after_the_others(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    replicate(shop)
    away(shop, "us")
    order: list[str] = []
    read = PlaceSync.read

    def told(self: PlaceSync) -> None:
        order.append(self.place.name)
        read(self)

    monkeypatch.setattr(PlaceSync, "read", told)
    with shop.open() as repo:
        seen = Seen(600)
        for _ in range(2):
            sync.sync(Workspace(repo), seen=seen)
    assert order == ["us", "eu", "eu", "us"]


@pytest.mark.slow
def test_whoever_deletes_blobs_finds_the_pointers_and_claims_of_every_place(shop: Shop) -> None:
    replicate(shop)
    shop.sync()
    claim = shop.root / "eu" / claim_key(GROCER)
    claim.parent.mkdir(parents=True)
    claim.write_bytes(b"whatever stands there")
    with shop.open() as repo:
        settings = Snapshot(repo, repo.refresh()).settings()
    found = [(place.name, target, getattr(held, "data", None)) for place, target, held in every_pointer(settings)]
    assert found == [("us", GROCER, shop.manifest), ("eu", GROCER, shop.manifest)]
    assert [(place.name, *rest) for place, *rest in every_claim(settings)] == [("eu", GROCER, b"whatever stands there")]
    away(shop, "us")
    with pytest.raises(Unreachable):
        list(every_pointer(settings))


@pytest.mark.slow
def test_doctor_tries_the_pointers_and_the_blobs_of_each_place(shop: Shop) -> None:
    with shop.open() as repo:
        checks = doctor.doctor(Workspace(repo)).document["checks"]
    assert {f"{what} create-only" for what in ("store", "serving us", "serving eu", "store eu")} <= {
        check["name"] for check in checks if check["ok"]
    }
