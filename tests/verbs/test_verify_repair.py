"""Verify: a retired version's missing bytes are no loss once its tombstone is ripe, and what is lost is put back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from bucketshop import BucketShop
from clocks import clock_at
from output_schemas import validate
from seaweed import Server
from shop import Shop, popularity

from pointsman.cli import verify as command
from pointsman.errors import Problem, Unreachable
from pointsman.outcome import Outcome
from pointsman.report.audit import terminal
from pointsman.state.documents import Tombstone
from pointsman.store.directory import FileStore
from pointsman.store.processes import in_processes
from pointsman.verbs import audit
from pointsman.verbs.verify import Choice, verify
from pointsman.workspace import Workspace

KEYS = "grocer/home/popularity"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop", "[retention]\nkeep_days = 0\nkeep_ships = 0\nwait_days = 7\n")


def later(days: float) -> Any:
    return clock_at(time.time() + days * 86400)


def verified(shop: Shop, days: float = 0, **choice: Any) -> Outcome[Any]:
    with shop.open() as repo:
        made = verify(Workspace(repo, clock=later(days)), (), Choice(every=True, **choice))
    validate("verify", made.document)
    return made


def two_versions(shop: Shop, tmp_path: Path) -> tuple[str, str]:
    """The first was only recorded, the second is current."""
    shop.publish(popularity(tmp_path / "p1.json", 10), record_only=True)
    first = next((shop.store / KEYS).iterdir()).stem
    shop.publish(popularity(tmp_path / "p2.json", 12, day=2), merge=True)
    return first, next(path.stem for path in (shop.store / KEYS).iterdir() if path.stem != first)


def bury(shop: Shop, version: str, *, erase: bool = False) -> None:
    shop.pull()
    tombstone = Tombstone("grocer", "home", "popularity", version, "test data", erase)
    (shop.desk / tombstone.path).write_bytes(tombstone.render())
    shop.push(f"retire: {version}")


@pytest.mark.slow
def test_missing_bytes_are_a_loss_until_a_tombstone_that_allows_them_to_be_missing_is_ripe(
    shop: Shop, tmp_path: Path
) -> None:
    first, second = two_versions(shop, tmp_path)
    path = shop.store / KEYS / f"{first}.json"
    data = path.read_bytes()
    path.unlink()
    lost = verified(shop)
    assert (lost.exit_code, [each["rule"] for each in lost.document["faults"]]) == (1, ["blob-missing"])
    assert "--repair-from" in lost.document["faults"][0]["says"]
    bury(shop, first)
    early = verified(shop, 6.9)
    assert (early.exit_code, early.document["retired"]) == (1, [])
    assert "its tombstone does not allow that yet" in early.document["faults"][0]["says"]
    ripe = verified(shop, 7.1)
    assert (ripe.exit_code, ripe.document["faults"], ripe.document["blobs"]) == (0, [], 1)
    assert (lost.document["blobs"], early.document["blobs"]) == (2, 2)
    (gone,) = ripe.document["retired"]
    assert (gone["target"], gone["type"], gone["version"]) == ("grocer/home", "popularity", first)
    says = f"{first[:12]} was retired on {gone['retired_at']}, its bytes are gone or in the trash"
    assert says in command.render(ripe.value)
    path.write_bytes(data)
    assert verified(shop, 7.1).document["retired"] == [], "its bytes are there"
    path.write_bytes(b"altered")
    assert verified(shop, 7.1).document["faults"][0]["rule"] == "blob-altered"
    (shop.store / KEYS / f"{second}.json").unlink()
    assert len(verified(shop, 7.1).document["faults"]) == 2


@pytest.mark.slow
def test_audit_lists_what_is_retired_and_of_what_the_bytes_may_be_gone(shop: Shop, tmp_path: Path) -> None:
    first, _ = two_versions(shop, tmp_path)
    bury(shop, first, erase=True)

    def audited(days: float) -> Outcome[Any]:
        with shop.open() as repo:
            found = audit.audit(Workspace(repo, clock=later(days)))
        validate("audit", found.document)
        return found

    (early,) = audited(6.9).document["retired"]
    assert (early["version"], early["erase"], early["gone"], early["reason"]) == (first, True, False, "test data")
    assert (early["commit"], early["by"]) == (shop.main, "Ann Ops <ann@example.org>")
    ripe = audited(7.1)
    assert ripe.document["retired"][0]["gone"]
    assert f"popularity {first[:12]} erased, its bytes may be gone" in terminal.render(ripe.value)


def test_a_missing_blob_is_put_back_from_a_place_that_has_its_bytes(shop: Shop, tmp_path: Path) -> None:
    first, second = two_versions(shop, tmp_path)
    copies = tmp_path / "copies"
    (copies / KEYS).mkdir(parents=True)
    stored = {each: shop.store / KEYS / f"{each}.json" for each in (first, second)}
    data = {each: path.read_bytes() for each, path in stored.items()}
    for path in stored.values():
        path.unlink()
    (copies / KEYS / f"{first}.json").write_bytes(data[first])
    with pytest.raises(Problem, match="there is no directory"):
        verified(shop, repair_from=str(tmp_path / "empty"))
    (tmp_path / "empty").mkdir()
    none = verified(shop, repair_from=str(tmp_path / "empty"))
    assert len(none.document["faults"]) == 2
    assert "has no bytes of this version" in none.document["faults"][0]["says"]
    (copies / f"{second}.json").write_bytes(data[second][:-1])  # other bytes under its name
    told = verified(shop, repair_from=f"file://{copies}", dry_run=True)
    assert (told.exit_code, [each["version"] for each in told.document["repaired"]]) == (1, [first])
    assert f"{first[:12]} would be put back" in command.render(told.value)
    assert not any(path.exists() for path in stored.values())
    some = verified(shop, repair_from=f"file://{copies}")
    assert some.exit_code == 1
    assert [each["version"] for each in some.document["repaired"]] == [first]
    assert f"{first[:12]} is back" in command.render(some.value)
    assert stored[first].read_bytes() == data[first]
    assert not stored[second].exists()
    (copies / f"{second}.json").write_bytes(data[second])
    rest = verified(shop, repair_from=str(copies))
    assert (rest.exit_code, [each["version"] for each in rest.document["repaired"]]) == (0, [second])
    again = verified(shop, repair_from=str(copies))
    assert (again.exit_code, again.document["repaired"]) == (0, [])


@pytest.mark.slow
def test_nobody_is_told_to_take_back_a_tombstone_that_erases(shop: Shop, tmp_path: Path) -> None:
    first, _ = two_versions(shop, tmp_path)
    (shop.store / KEYS / f"{first}.json").unlink()
    bury(shop, first, erase=True)
    (fault,) = verified(shop, 1).document["faults"]
    assert "its tombstone does not allow that yet: find out who deleted it" in fault["says"]
    assert "revert" not in fault["says"]


@pytest.mark.slow
@pytest.mark.parametrize("days", [0, 8])
def test_what_has_a_tombstone_is_not_put_back(shop: Shop, tmp_path: Path, days: float) -> None:
    first, _ = two_versions(shop, tmp_path)
    path = shop.store / KEYS / f"{first}.json"
    copy = tmp_path / "copies" / path.name
    copy.parent.mkdir()
    path.rename(copy)
    bury(shop, first)
    assert verified(shop, days, repair_from=str(copy.parent)).document["repaired"] == []
    assert not path.exists()


@pytest.mark.slow
def test_what_is_retired_while_the_blobs_are_read_is_not_put_back(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = two_versions(shop, tmp_path)
    path = shop.store / KEYS / f"{first}.json"
    copy = tmp_path / "copies" / path.name
    copy.parent.mkdir()
    path.rename(copy)

    def retired_meanwhile(*words: Any) -> Any:
        found = in_processes(*words)
        bury(shop, first)
        return found

    monkeypatch.setattr("pointsman.verbs.verify.in_processes", retired_meanwhile)
    assert verified(shop, repair_from=str(copy.parent)).document["repaired"] == []
    assert not path.exists()


@pytest.mark.slow
def test_altered_bytes_are_not_replaced(shop: Shop, tmp_path: Path) -> None:
    first, _ = two_versions(shop, tmp_path)
    path = shop.store / KEYS / f"{first}.json"
    copy = tmp_path / "copies" / path.name
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    path.write_bytes(b"altered")
    made = verified(shop, repair_from=str(copy.parent))
    assert [each["rule"] for each in made.document["faults"]] == ["blob-altered"]
    assert path.read_bytes() == b"altered"


@pytest.mark.slow
def test_one_that_cannot_be_put_back_holds_up_no_other_and_what_others_put_there_is_told(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two_versions(shop, tmp_path)
    copies, places = tmp_path / "copies", {each: shop.store / KEYS / f"{each}.json" for each in (first, second)}
    copies.mkdir()
    for place in places.values():
        place.rename(copies / place.name)
    places[first].mkdir()
    made = verified(shop, repair_from=str(copies))
    assert [each["version"] for each in made.document["repaired"]] == [second]
    assert "a directory stands there, not a file" in made.document["faults"][0]["says"]
    places[first].rmdir()
    create = FileStore.create

    def after_another(self: FileStore, key: str, data: bytes) -> bool:
        places[first].write_bytes(b"other")
        return create(self, key, data)

    monkeypatch.setattr(FileStore, "create", after_another)
    (fault,) = verified(shop, repair_from=str(copies)).document["faults"]
    assert "are not its bytes: find out who put them there" in fault["says"]
    assert places[first].read_bytes() == b"other"


@pytest.mark.slow
def test_a_bucket_is_repaired_like_a_directory(s3: Server, tmp_path: Path) -> None:
    shop = BucketShop(tmp_path / "shop", s3)
    shop.publish(popularity(tmp_path / "p1.json", 10), merge=True)
    key = next(key for key in shop.objects() if key.startswith(KEYS))
    data = shop.objects()[key]
    shop.take(key)
    shop.put(f"copies/{key}", data)
    assert verified(shop).exit_code == 1
    made = verified(shop, repair_from=f"{shop.url}/copies/")
    assert (made.exit_code, [each["uri"] for each in made.document["repaired"]]) == (0, [f"{shop.url}/{key}"])
    assert shop.objects()[key] == data
    shop.take(key)
    with pytest.raises(Unreachable):
        verified(shop, repair_from="s3://no-such-bucket-anywhere/x")
