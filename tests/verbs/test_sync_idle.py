"""A watching sync with nothing new: one listing and one look at main, and yet it misses nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bucketshop import BucketShop
from proxy import running
from seaweed import Server
from shop import Shop, popularity

from pointsman.errors import Refused
from pointsman.outcome import Outcome
from pointsman.repo.repository import Repository
from pointsman.serving import pointers
from pointsman.serving.pointers import Remembered
from pointsman.serving.seen import Seen
from pointsman.state.place import Place
from pointsman.store import directory, file_tags
from pointsman.store.base import Held, Store
from pointsman.verbs import status, sync
from pointsman.workspace import Workspace


class Watch:
    """One watching sync, pass by pass. `asked` has the programs of git that a pass ran."""

    def __init__(self, repo: Repository, every: float = 600.0) -> None:
        self.now = 0.0
        self.workspace = Workspace(repo)
        self.seen = Seen(every, clock=lambda: self.now)
        self.asked: list[str] = []
        run = repo.git.run

        def told(*words: str, **more: Any) -> Any:
            self.asked.append(words[0])
            return run(*words, **more)

        repo.git.run = told  # type: ignore[method-assign]

    def sync(self, **orders: Any) -> Outcome[Any]:
        self.asked.clear()
        return sync.sync(self.workspace.again(), sync.Orders(**orders), self.seen)

    def outcomes(self, **orders: Any) -> dict[str, str]:
        return {each["target"]: each["outcome"] for each in self.sync(**orders).document["targets"]}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(file_tags, "RACY", -(10**18))  # nothing here is written twice within a tick of the clock
    shop = Shop(tmp_path / "shop")
    shop.publish(popularity(tmp_path / "p1.json", 10), popularity(tmp_path / "b1.json", 5, surface="cart"), merge=True)
    return shop


@contextmanager
def watching(shop: Shop, **more: Any) -> Iterator[Watch]:
    """A watch whose last pass found nothing to do."""
    with shop.open() as repo:
        watch = Watch(repo, **more)
        watch.sync()
        assert set(watch.outcomes().values()) == {"unchanged"}
        yield watch


def pointer(shop: Shop, surface: str = "home") -> Path:
    return shop.store / "registry" / "current" / "grocer" / surface / "manifest.json"


@pytest.mark.slow
def test_an_idle_pass_is_one_look_at_main_and_no_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with watching(shop) as watch:
        before = watch.sync().document
        monkeypatch.setattr(directory.FileStore, "read", None)  # would be called by any other pass
        assert watch.sync().document == before
        assert watch.asked == ["ls-remote"]


def edit_in_place(shop: Shop) -> None:
    there = pointer(shop).stat()
    data = pointer(shop).read_bytes()
    with pointer(shop).open("r+b") as file:
        file.write(data.replace(b"popularity", b"pOpUlArItY"))  # no byte more
    os.utime(pointer(shop), ns=(there.st_atime_ns, there.st_mtime_ns))


def put_another(shop: Shop) -> None:
    other = pointer(shop).with_name("other")
    other.write_bytes(b"{}")
    other.replace(pointer(shop))


def add_one(shop: Shop) -> None:
    pointer(shop, "new").parent.mkdir()
    pointer(shop, "new").write_bytes(b"{}")


BY_HAND: list[tuple[Callable[[Shop], None], dict[str, str]]] = [
    (edit_in_place, {"grocer/home": "healed"}),
    (put_another, {"grocer/home": "healed"}),
    (lambda shop: pointer(shop).unlink(), {"grocer/home": "written"}),
    (add_one, {"grocer/new": "kept"}),
]


@pytest.mark.slow
def test_whatever_is_done_by_hand_is_found_by_the_next_pass(shop: Shop) -> None:
    with watching(shop) as watch:
        for by_hand, found in BY_HAND:
            by_hand(shop)
            assert watch.outcomes() == {"grocer/cart": "unchanged", "grocer/home": "unchanged", **found}
            assert shop.serving == shop.manifest
            assert set(watch.outcomes().values()) <= {"unchanged", "kept"}
            watch.sync()
            assert watch.asked == ["ls-remote"], "it is at rest again"


@pytest.mark.slow
def test_a_ship_or_a_fence_that_another_sync_moved_ends_the_rest(shop: Shop, tmp_path: Path) -> None:
    with watching(shop) as watch:
        shop.publish(popularity(tmp_path / "p2.json", 11, day=2), merge=True)
        assert watch.outcomes()["grocer/home"] == "written"
        watch.sync()
        fence = shop.store / "registry" / "current" / ".pointsman" / "sync.json"
        fence.write_text('{"v": 1, "commit": "%s"}' % ("f" * 40))
        with pytest.raises(Refused, match="rewritten"):
            watch.sync()


@pytest.mark.slow
def test_a_pass_that_left_something_for_later_is_not_left_out(shop: Shop, tmp_path: Path) -> None:
    with shop.open() as repo:
        watch = Watch(repo)
        (blob,) = (shop.store / "grocer" / "home").rglob("*.json")
        hidden = blob.rename(tmp_path / "hidden")
        for cart in ("written", "unchanged", "unchanged"):
            assert watch.outcomes() == {"grocer/cart": cart, "grocer/home": "refused"}
        hidden.rename(blob)
        assert watch.outcomes() == {"grocer/cart": "unchanged", "grocer/home": "written"}


@pytest.mark.slow
def test_a_call_that_failed_is_tried_at_each_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_tags, "RACY", -(10**18))
    shop = Shop(tmp_path / "shop", f"[notify]\ncommand = \"sh -c 'test -e {tmp_path}/well'\"\n")
    shop.publish(popularity(tmp_path / "p1.json", 10), merge=True)
    with shop.open() as repo:
        watch = Watch(repo)
        assert [[call["ok"] for call in watch.sync().document["calls"]] for _ in range(3)] == [[False]] * 3
        (tmp_path / "well").touch()
        assert [[call["ok"] for call in watch.sync().document["calls"]] for _ in range(3)] == [[True], [], []]


def lie(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file has one tag, whatever is in it."""
    for module in (directory, file_tags):
        monkeypatch.setattr(module, "tag_of", lambda _: "the same")


def test_everything_is_read_again_after_a_while_in_case_a_tag_lies(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    lie(monkeypatch)
    with watching(shop, every=100) as watch:
        pointer(shop).write_bytes(b"{}")
        watch.now = 99
        assert set(watch.outcomes().values()) == {"unchanged"}
        watch.now = 100
        assert watch.outcomes()["grocer/home"] == "healed"


@pytest.mark.slow
def test_a_file_that_is_too_new_to_be_sure_of_is_read_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_tags, "RACY", 10**18)  # everything is new
    with watching(shop) as watch:
        lie(monkeypatch)
        pointer(shop).write_bytes(b"{}")
        assert watch.outcomes()["grocer/home"] == "healed"


@pytest.mark.slow
@pytest.mark.parametrize("targets", [3, 6])
def test_on_a_bucket_an_idle_pass_is_one_listing_whatever_the_number_of_targets(
    tmp_path: Path, s3: Server, targets: int
) -> None:
    with running(s3.host) as proxy:
        shop = BucketShop(tmp_path / "shop", s3, proxy.endpoint)
        files = [popularity(tmp_path / f"{place}.json", 5, surface=f"s{place}") for place in range(targets)]
        shop.publish(*files, merge=True)
        with watching(shop) as watch:
            for _ in range(3):
                proxy.calls.clear()
                watch.sync()
                assert list(map(str, proxy.calls)) == ["GET /blobs"], "one listing of the bucket"
                assert watch.asked == ["ls-remote"]
            shop.put("registry/current/grocer/s1/manifest.json", b"{}")
            proxy.calls.clear()
            assert watch.outcomes()["grocer/s1"] == "healed"
            read = [call.path for call in proxy.calls if "/manifest.json" in call.path and call.method == "GET"]
            assert len(read) == 1, "of what did not change nothing is read again"


@pytest.mark.slow
def test_a_watching_status_reads_again_only_the_pointers_that_changed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.sync()
    reads: list[str] = []
    read = directory.FileStore.read

    def told(store: directory.FileStore, key: str, *most: int) -> Held | None:
        reads.extend([key] if not key.startswith(".pointsman/gc") else [])
        return read(store, key, *most)

    opened: list[Place] = []
    open_place = pointers.open_place

    def noted(place: Place) -> Store:
        opened.append(place)
        return open_place(place)

    monkeypatch.setattr(directory.FileStore, "read", told)
    monkeypatch.setattr(pointers, "open_place", noted)
    with shop.open() as repo:
        workspace, remembered = Workspace(repo), Remembered()

        def look() -> dict[str, str]:
            reads.clear()
            found = status.status(workspace.again(), [], remembered=remembered).document["targets"]
            return {each["target"]: each["serving"] for each in found}

        first = look()
        assert set(first.values()) == {"in-sync"}
        assert sorted(reads) == ["grocer/cart/manifest.json", "grocer/home/manifest.json"]
        assert look() == first
        assert not reads
        assert len(opened) == 1, "a bucket's connections are kept from look to look"
        edit_in_place(shop)
        assert look() == {"grocer/cart": "in-sync", "grocer/home": "drifted"}
        assert "grocer/cart/manifest.json" not in reads
        pointer(shop).unlink()
        assert look() == {"grocer/cart": "in-sync", "grocer/home": "absent"}
