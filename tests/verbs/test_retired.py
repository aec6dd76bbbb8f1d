"""What has a tombstone: nothing ships it or puts it back, and everybody is told who retired it and when."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from shop import GROCER, Shop, git, popularity

from pointsman.cli import show as show_command
from pointsman.errors import Refused
from pointsman.gate import blob_cache
from pointsman.outcome import Outcome
from pointsman.shipping.records import Recording
from pointsman.state.documents import Tombstone
from pointsman.state.names import Target
from pointsman.verbs import check, gc, retire, show
from pointsman.verbs.retire_plan import Request
from pointsman.workspace import Workspace


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop", "[retention]\nkeep_days = 0\nkeep_ships = 0\n")


def versions(shop: Shop, target: Target = GROCER) -> list[str]:
    """The versions of popularity in the store, the oldest first."""
    blobs = (shop.store / str(target) / "popularity").glob("*.json")
    return [path.stem for path in sorted(blobs, key=lambda path: path.stat().st_mtime_ns)]


def bury(shop: Shop, version: str, *, erase: bool | None = None) -> str:
    """A tombstone on main, as a merged pull request leaves it; its commit."""
    shop.pull()
    tombstone = Tombstone("grocer", "home", "popularity", version, "test data", erase)
    (shop.desk / tombstone.path).write_bytes(tombstone.render())
    return shop.push(f"retire: {version}")


def shown(shop: Shop, version: str) -> Outcome[Any]:
    with shop.open() as repo:
        return show.show(Workspace(repo), version)


def test_a_retired_version_is_refused_in_the_first_step_and_nothing_is_written(shop: Shop, tmp_path: Path) -> None:
    old = popularity(tmp_path / "p1.json", 10)
    shop.publish(old, merge=True)
    shop.publish(popularity(tmp_path / "p2.json", 12, day=2), merge=True)
    (version, _) = versions(shop)
    bury(shop, version)
    (shop.store / "grocer" / "home" / "popularity" / f"{version}.json").unlink()
    before = shop.everything()
    ways: list[dict[str, Any]] = [{}, {"record_only": True}, {"dry_run": True}, {"merge": True, "reship": True}]
    for how in ways:
        with pytest.raises(Refused) as refused:
            shop.publish(old, **how)
        (fault,) = refused.value.faults
        assert (fault.rule, fault.path) == ("retired", str(old))
        assert GROCER.tombstone_path("popularity", version) in fault.says
    assert shop.everything() == before, "nothing puts it back"


@pytest.mark.slow
def test_a_ship_of_a_retired_version_whose_bytes_are_gone_has_one_reason(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p1.json", 10), merge=True)
    shop.publish(popularity(tmp_path / "p2.json", 12, day=2), merge=True)
    (version, _) = versions(shop)
    bury(shop, version)
    (shop.store / "grocer" / "home" / "popularity" / f"{version}.json").unlink()
    git(shop.desk, "pull", "-q")
    git(shop.desk, "revert", "--no-edit", "HEAD~1")
    assert shop.check("HEAD~1", "HEAD") == ["retired"]


@pytest.mark.slow
def test_sync_does_not_put_back_from_the_trash_what_was_retired(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p1.json", 10), merge=True)
    (version,) = versions(shop)
    bury(shop, version)
    blob = shop.store / f"grocer/home/popularity/{version}.json"
    trash = shop.store / f".pointsman/trash/2030-01-01/grocer/home/popularity/{version}.json"
    trash.parent.mkdir(parents=True)
    blob.rename(trash)
    assert [each.outcome for each in shop.sync().value.targets] == ["refused"]
    assert not blob.exists()
    assert shop.check() == ["retired"], "of the whole tree, too"
    told = shown(shop, version)
    assert told.document["trash"] == f"file://{trash}"
    assert f"\n  in the trash: file://{trash}\n" in show_command.render(told.value)
    aside = shop.store / f".pointsman/trash/going-1-2030-01-01/grocer/home/popularity/{version}.json"
    aside.parent.mkdir(parents=True)
    trash.rename(aside)
    assert "trash" not in shown(shop, version).document, "it may be deleted at any moment"


@pytest.mark.slow
def test_a_retired_version_stops_its_own_target_alone(shop: Shop, tmp_path: Path) -> None:
    old = popularity(tmp_path / "p1.json", 10)
    shop.publish(old, record_only=True)
    bury(shop, *versions(shop))
    other = popularity(tmp_path / "b1.json", 10, tenant="bakery")
    told = shop.publish(old, other)
    assert told.exit_code == 5
    assert {each["target"]: each["outcome"] for each in told.document["targets"]} == {
        "bakery/home": "opened",
        "grocer/home": "waits",
    }


@pytest.mark.slow
def test_a_version_that_was_retired_and_taken_back_is_shipped_again(shop: Shop, tmp_path: Path) -> None:
    old = popularity(tmp_path / "p1.json", 10)
    shop.publish(old, record_only=True)
    (version,) = versions(shop)
    bury(shop, version)
    assert shop.check("main~1", "main") == [], "a pull request of it passes"
    git(shop.desk, "revert", "--no-edit", "HEAD")
    assert shop.check("main~1", "HEAD") == []
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    assert shown(shop, version).document["retired"] is None
    assert shop.publish(old, merge=True).document["targets"][0]["outcome"] == "merged"
    assert shop.sync().exit_code == 0


@pytest.mark.slow
def test_a_damaged_tombstone_can_become_one_that_erases_and_nothing_else(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p1.json", 10), record_only=True)
    (version,) = versions(shop)
    bury(shop, version)
    path = shop.desk / GROCER.tombstone_path("popularity", version)
    good = path.read_bytes()
    path.write_text("{")
    shop.push("past the checks")
    with shop.open() as repo, pytest.raises(Refused, match="its tombstone cannot be read: pointsman check says why"):
        gc.restore(Workspace(repo), (version,))
    for again in (None, good):  # it may have been one that erases
        path.unlink()
        if again is not None:
            path.write_bytes(again)
        git(shop.desk, "commit", "-qam", "mend it")
        with shop.open(shop.desk) as repo:
            (fault,) = check.check(Workspace(repo), base="HEAD~1", head="HEAD").document["faults"]
        assert fault["rule"] == "record-changed"
        assert "pointsman retire --erase makes it one that does" in fault["says"]
        git(shop.desk, "reset", "-q", "--hard", "origin/main")
    with shop.open() as repo:
        made = retire.retire(Workspace(repo), Request(versions=(version,), erase=True, merge=True))
    assert [each.outcome for each in made.value.targets] == ["merged"]
    assert shown(shop, version).document["retired"]["erase"] is True


@pytest.mark.slow
def test_show_tells_who_retired_a_version_and_when(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p1.json", 10), record_only=True)
    (version,) = versions(shop)
    assert shown(shop, version).document["retired_by"] is None
    commit = bury(shop, version, erase=True)
    assert "(its bytes stay until gc takes them)" in show_command.render(shown(shop, version).value)
    tops = shop.store, shop.store / ".pointsman/trash/2030-01-01"
    blob, taken = (top / f"grocer/home/popularity/{version}.json" for top in tops)
    taken.parent.mkdir(parents=True)
    blob.rename(taken)
    assert "(its bytes are in the trash)" in show_command.render(shown(shop, version).value)
    taken.unlink()
    told = shown(shop, version)
    assert told.document["retired"]["erase"] is True
    assert (told.document["blob"], "trash" in told.document) == ("missing", False)
    at = git(shop.desk, "log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%dT%H:%M:%S", env={"TZ": "UTC0"})
    assert told.document["retired_by"]["commit"] == commit
    assert told.document["retired_by"]["at"].startswith(at)
    text = show_command.render(told.value)
    assert f"{commit[:12]} by Ann Ops" in text
    assert "to be erased: test data (its bytes may be gone)" in text


@pytest.mark.slow
def test_the_cache_drops_what_shall_be_erased_when_its_tombstone_is_judged(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shop.publish(popularity(tmp_path / "p1.json", 10), record_only=True)
    (version,) = versions(shop)
    data = (shop.store / "grocer" / "home" / "popularity" / f"{version}.json").read_bytes()
    blob_cache.cache(version, data)
    bury(shop, version)
    shop.check("main~1", "main")
    assert blob_cache.cached(version) == data, "what is retired only may be compared still"
    tombstone = json.loads((shop.desk / GROCER.tombstone_path("popularity", version)).read_text())
    path = shop.desk / GROCER.tombstone_path("popularity", version)
    path.write_bytes(Tombstone(**{key: tombstone[key] for key in tombstone if key != "v"} | {"erase": True}).render())
    shop.push("erase it")
    assert shop.check("main~1", "main") == []
    assert blob_cache.cached(version) is None


@pytest.mark.slow
def test_a_version_that_is_retired_while_it_is_published_is_not_put_back(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land = Recording.records

    def retired_meanwhile(self: Recording, *words: Any, **more: Any) -> None:
        land(self, *words, **more)
        (version,) = versions(shop)
        bury(shop, version, erase=True)
        (shop.store / "grocer" / "home" / "popularity" / f"{version}.json").unlink()
        self.repo.refresh()

    monkeypatch.setattr(Recording, "records", retired_meanwhile)
    told = shop.publish(popularity(tmp_path / "p1.json", 10), merge=True)
    (target,) = told.document["targets"]
    assert (told.exit_code, target["outcome"], target["faults"][0]["rule"]) == (1, "waits", "retired")
    assert versions(shop) == []
    assert shop.pulls() == []
