"""gc in the life of a real bucket: what nobody needs goes by way of the trash, comes back, and goes for good.

The store's clock is the machine's: so gc's own clock is set ahead.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from bucketshop import POINTER, BucketShop
from clocks import clock_at
from proxy import Proxy, running
from seaweed import Server
from shop import GROCER

from pointsman.errors import Unreachable
from pointsman.state.documents import Tombstone
from pointsman.store import bucket, bucket_listing, bucket_moves
from pointsman.verbs import gc
from pointsman.workspace import Workspace

DAY = 86400
LEFT = b"what a publish put and never recorded"
LEFT_VERSION = hashlib.sha256(LEFT).hexdigest()
LEFT_KEY = GROCER.blob_key("popularity", LEFT_VERSION)
RETENTION = "[retention]\nkeep_days = 1\nkeep_ships = 1\n"


@pytest.fixture
def proxy(s3: Server) -> Iterator[Proxy]:
    with running(s3.host) as made:
        yield made


def collected(shop: BucketShop, days: float, **request: Any) -> Mapping[str, Any]:
    """gc --delete, so many days from now."""
    with shop.open() as repo:
        workspace = Workspace(repo, clock=clock_at(int(time.time() + days * DAY)))
        return gc.gc(workspace, gc.Request(delete=True, **request)).document


def in_trash(shop: BucketShop) -> dict[str, bytes]:
    """What is in the trash, by the key that it had."""
    found = {key: data for key, data in shop.objects().items() if key.startswith(".pointsman/trash/")}
    return {key.split("/", 3)[3]: data for key, data in found.items()}


def places_in_trash(shop: BucketShop) -> int:
    return sum(key.startswith(".pointsman/trash/") for key in shop.objects())


def blobs(shop: BucketShop) -> dict[str, bytes]:
    return {key: data for key, data in shop.objects().items() if key.startswith("grocer/")}


@pytest.mark.slow
def test_what_is_orphaned_or_retired_goes_by_way_of_the_trash_and_nothing_else_does(tmp_path: Path, s3: Server) -> None:
    shop = BucketShop(tmp_path / "shop", s3, settings=RETENTION)
    shop.publish(day=1, merge=True)
    first = set(shop.objects())
    shop.publish(day=2, merge=True)
    shop.sync()
    shop.pull()
    shop.put(LEFT_KEY, LEFT)
    shop.put("somebody/else's", b"foreign")
    before = shop.objects()

    assert collected(shop, 0)["taken"] == 0  # it is younger than the grace
    assert collected(shop, 2)["taken"] == 1
    assert LEFT_KEY not in shop.objects()
    assert in_trash(shop) == {LEFT_KEY: LEFT}

    with shop.open() as repo:
        assert gc.restore(Workspace(repo), [LEFT_VERSION[:8]]).document["restored"] == 1
    assert shop.objects()[LEFT_KEY] == LEFT

    assert collected(shop, 2)["taken"] == 1
    assert collected(shop, 8)["purged"] == 0
    assert collected(shop, 10)["purged"] == 1
    assert LEFT not in shop.objects().values()

    key = next(key for key in first if key.startswith("grocer/home/popularity/"))
    stone = Tombstone("grocer", "home", "popularity", key[-69:-5], "it is not needed")
    (shop.desk / stone.path).write_bytes(stone.render())
    shop.push("retire")
    assert collected(shop, 6)["taken"] == 0  # [retention] wait_days
    assert collected(shop, 8)["taken"] == 1
    assert in_trash(shop) == {key: before[key]}
    assert collected(shop, 16)["purged"] == 1

    after = {name: data for name, data in shop.objects().items() if not name.startswith(".pointsman/")}
    kept = {name: data for name, data in before.items() if not name.startswith(".pointsman/")}
    assert after == {name: data for name, data in kept.items() if name not in (LEFT_KEY, key)}
    assert POINTER in after


@pytest.mark.slow
def test_each_key_is_listed_once(tmp_path: Path, s3: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = BucketShop(tmp_path / "shop", s3, settings=RETENTION)
    shop.publish(day=1, merge=True)
    shop.sync()
    shop.put(LEFT_KEY, LEFT)
    listed: list[str] = []
    paged, read = bucket_listing.pages_of, bucket_listing.read_listing

    def in_pages(*words: Any) -> Iterator[Any]:
        for page in paged(*words):
            listed.extend(meta["path"] for meta in page)
            yield page

    def at_once(*words: Any) -> Any:
        found = read(*words)
        listed.extend(meta["path"] for meta in found)
        return found

    monkeypatch.setattr(bucket_moves, "pages_of", in_pages)
    monkeypatch.setattr(bucket, "read_listing", at_once)
    assert collected(shop, 2)["taken"] == 1
    blobs = [key for key in listed if key.removeprefix(f"{shop.prefix}/").startswith("grocer/home/")]
    assert sorted(blobs) == sorted(set(blobs))
    assert f"{shop.prefix}/{LEFT_KEY}" in blobs


@pytest.mark.slow
def test_a_bucket_that_refuses_deletes_keeps_one_copy_loses_nothing_and_is_done_once_it_does_not(
    tmp_path: Path, s3: Server, proxy: Proxy
) -> None:
    shop = BucketShop(tmp_path / "shop", s3, proxy.endpoint, RETENTION)
    shop.publish(day=1, merge=True)
    shop.pull()
    left = {GROCER.blob_key("popularity", hashlib.sha256(data).hexdigest()): data for data in (b"1", b"2", b"3", b"4")}
    for key, data in left.items():
        shop.put(key, data)
    before, first = blobs(shop), min(left)

    def refused(days: float, below: str) -> str:
        proxy.forget(lambda call: "403" if call.method == "DELETE" and below in str(call) else None)
        with pytest.raises(Unreachable, match="and to delete them where gc") as caught:
            collected(shop, days, max_share=1.0)
        proxy.forget()
        return str(caught.value)

    says = refused(2, "")
    assert f"{shop.url}/{first} at " in says
    assert ". A copy of it is at " in says
    assert (blobs(shop), in_trash(shop)) == (before, {first: left[first]})
    refused(2, "")
    assert (blobs(shop), places_in_trash(shop)) == (before, 1)

    assert "(4 blobs had been taken by then)" in refused(12, "/trash/")  # what was copied first is due by now
    assert (blobs(shop), in_trash(shop)) == ({key: before[key] for key in before.keys() - left}, left)
    assert places_in_trash(shop) == 4 + 2
    for days in (13, 14):
        assert "/.pointsman/trash/going-" in refused(days, "/trash/")
        assert places_in_trash(shop) == 6, "no run sets more aside"
    done = collected(shop, 30)
    assert (done["taken"], done["purged"], done["trash"], in_trash(shop)) == (0, 6, 6, {})
    assert collected(shop, 30)["purged"] == 0
    shop.sound()
