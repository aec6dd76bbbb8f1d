"""How often sync looks at the origin, and what it makes of settings that change while it is at work."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from shop import GROCER, Shop, git, popularity

from pointsman.errors import MovedFirst
from pointsman.outcome import Outcome
from pointsman.repo.origin import Origin
from pointsman.serving.fence import SYNCED
from pointsman.store.directory import FileStore
from pointsman.verbs.sync_place import PlaceSync

PLACE = """[[{table}]]
name = "{name}"
{key} = "file://{root}/{where}/{{tenant}}/{{surface}}/manifest.json"
"""
TOGETHER = 64  # processes


def of(root: Path, *places: str, table: str = "serving") -> str:
    """Settings with these places; a place is its name, or its name and where it stands."""
    key = {"serving": "manifest", "ring": "serving"}[table]
    found = (each.partition("@") for each in places)
    return "".join(
        PLACE.format(table=table, name=name, key=key, root=root, where=where or name) for name, _, where in found
    )


def set_places(shop: Shop, settings: str) -> None:
    """Other places on main, by a push from elsewhere."""
    other = shop.root / "other"
    if not other.exists():
        git(shop.root, "clone", "-q", str(shop.origin), str(other))
    git(other, "pull", "-q", "--ff-only", "origin", "main")
    path = other / "pointsman.toml"
    text = path.read_text()
    path.write_text(text[: text.index("[[")] + settings + text[text.index("[policy") :])
    git(other, "commit", "-q", "-a", "-m", "other places")
    git(other, "push", "-q", "origin", "HEAD:main")


def shipped(root: Path, settings: str) -> Shop:
    shop = Shop(root, settings)
    shop.publish(popularity(root / "p1.json", 10), merge=True)
    return shop


def serves(shop: Shop, where: str) -> bytes | None:
    path = shop.root / where / str(GROCER) / "manifest.json"
    return path.read_bytes() if path.exists() else None


def by_place(outcome: Outcome[Any]) -> dict[str, str]:
    (target,) = outcome.document["targets"]
    return {each["place"]: each["outcome"] for each in target["places"]}


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts looks at the origin, and listings of each store."""
    counted: Counter[str] = Counter()
    heads, keys = Origin.heads, FileStore.keys

    def look(origin: Origin, before: Any) -> Any:
        counted["look"] += 1
        return heads(origin, before)

    def listing(store: FileStore, prefix: str, *how: Any) -> Iterator[str]:
        counted["listing"] += prefix == ""
        return keys(store, prefix, *how)

    monkeypatch.setattr(Origin, "heads", look)
    monkeypatch.setattr(FileStore, "keys", listing)
    return counted


def test_with_nothing_to_do_one_look_is_enough_and_two_where_something_is_written(
    tmp_path: Path, looks: Counter[str]
) -> None:
    shop = shipped(tmp_path, of(tmp_path, "us", "eu", "asia"))
    looks.clear()
    assert set(by_place(shop.sync()).values()) == {"written"}
    assert looks == {"look": 2, "listing": 3}
    looks.clear()
    assert set(by_place(shop.sync()).values()) == {"unchanged"}
    assert looks == {"look": 1, "listing": 3}
    looks.clear()
    assert set(by_place(shop.sync(dry_run=True)).values()) == {"unchanged"}
    assert looks == {"look": 1, "listing": 3}


CHANGES = {
    "added": (("us",), ("us", "eu"), {"us": "written", "eu": "written"}),
    "removed": (("us", "eu"), ("us",), {"us": "written"}),
    "moved": (("us", "eu"), ("us", "eu@elsewhere"), {"us": "written", "eu": "written"}),
    "another": (("us",), ("eu",), {"eu": "written"}),
}


def between(monkeypatch: pytest.MonkeyPatch, when: str, act: Callable[[], None]) -> list[str]:
    """Let something happen once, after serving was listed or after a pointer was written."""
    done: list[str] = []
    read, replace = PlaceSync.read, FileStore.replace

    def reading(place: PlaceSync) -> None:
        read(place)
        if when == "listing" and not done:
            done.append(when)
            act()

    def replacing(store: FileStore, key: str, data: bytes, *, was: str | None) -> None:
        replace(store, key, data, was=was)
        if when == "writing" and key.endswith("manifest.json") and not done:
            done.append(when)
            act()

    monkeypatch.setattr(PlaceSync, "read", reading)
    monkeypatch.setattr(FileStore, "replace", replacing)
    return done


@pytest.mark.slow
@pytest.mark.parametrize("when", ["listing", "writing"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("table", ["serving", "ring"])
def test_places_that_change_on_main_while_a_sync_is_at_work_are_those_that_it_ends_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, change: str, when: str
) -> None:
    before, after, outcomes = CHANGES[change]
    shop = shipped(tmp_path, of(tmp_path, *before, table=table))
    done = between(monkeypatch, when, lambda: set_places(shop, of(tmp_path, *after, table=table)))
    outcome = shop.sync()
    assert done
    assert outcome.document["commit"] == shop.main
    assert by_place(outcome) == outcomes
    for each in after:
        where = each.rpartition("@")[2]
        assert serves(shop, where) == shop.manifest
        assert json.loads((tmp_path / where / SYNCED).read_text())["commit"] == shop.main
    gone = {each.rpartition("@")[2] for each in before} - {each.rpartition("@")[2] for each in after}
    if when == "listing":
        assert not any((tmp_path / each).exists() for each in gone), "it was out of the settings before anything began"


@pytest.mark.slow
def test_one_place_that_gets_a_ring_beside_it_meanwhile_goes_on_as_rings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path
    one = f'[serving]\nmanifest = "file://{root}/prod/{{tenant}}/{{surface}}/manifest.json"\n'
    shop = shipped(root, one)
    rings = of(root, "canary", table="ring") + '[[ring]]\nname = "prod"\nafter = "2h"\n'

    def change() -> None:
        shop.pull()
        path = shop.desk / "pointsman.toml"
        text = path.read_text()
        path.write_text(text[: text.index("[policy")] + rings + text[text.index("[policy") :])
        shop.push("rings")

    between(monkeypatch, "listing", change)
    assert by_place(shop.sync()) == {"canary": "written", "prod": "written"}
    assert serves(shop, "canary") == serves(shop, "prod") == shop.manifest


@pytest.mark.slow
def test_a_place_that_is_gone_from_main_and_cannot_be_read_any_more_stops_nothing(tmp_path: Path) -> None:
    shop = shipped(tmp_path, of(tmp_path, "us", "eu"))
    shop.sync()
    set_places(shop, of(tmp_path, "us"))
    shutil.rmtree(tmp_path / "eu")
    (tmp_path / "eu").symlink_to("eu")  # whoever reads it is told so
    assert by_place(shop.sync()) == {"us": "unchanged"}


@pytest.mark.slow
def test_what_this_clone_knew_last_may_have_no_settings_at_all(tmp_path: Path) -> None:
    shop = shipped(tmp_path, of(tmp_path, "us"))
    desk = tmp_path / "late"
    git(tmp_path, "clone", "-q", str(shop.origin), str(desk))
    empty = git(desk, "commit-tree", git(desk, "hash-object", "-t", "tree", "-w", "/dev/null"), "-m", "nothing")
    git(desk, "update-ref", "refs/remotes/origin/main", empty)
    assert by_place(shop.sync(where=desk)) == {"us": "written"}


@pytest.mark.slow
def test_settings_that_move_at_every_look_end_it_with_exit_4_when_its_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_LANDING_TIMEOUT", "0.001")
    shop = shipped(tmp_path, of(tmp_path, "us"))
    read, count = PlaceSync.read, Counter[str]()

    def moving(place: PlaceSync) -> None:
        read(place)
        count["moves"] += 1
        set_places(shop, of(tmp_path, f"us@{count['moves']}"))

    monkeypatch.setattr(PlaceSync, "read", moving)
    with pytest.raises(MovedFirst, match="moved at every look: run pointsman sync again"):
        shop.sync()


@pytest.mark.slow
def test_sixty_four_syncs_at_once_all_end_well(tmp_path: Path) -> None:
    shop = Shop(tmp_path, of(tmp_path, "us"))
    files = [popularity(tmp_path / f"{each}.json", 5, surface=f"s{each}") for each in range(4)]
    shop.publish(*files, merge=True)
    clones = [tmp_path / "clones" / str(each) for each in range(8)]
    for clone in clones:
        git(tmp_path, "clone", "-q", str(shop.origin), str(clone))

    def one(place: int) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "pointsman", "-C", str(clones[place % len(clones)]), "sync", "--json"]
        return subprocess.run(words, check=False, capture_output=True, text=True)

    with ThreadPoolExecutor(TOGETHER) as pool:
        running = [pool.submit(one, place) for place in range(TOGETHER)]
        shop.publish(popularity(tmp_path / "new.json", 6, surface="s0", day=2), merge=True)
        ended = [each.result() for each in running]
    assert {each.returncode for each in ended} == {0}, [each.stderr for each in ended if each.returncode]
    told = [each["outcome"] for one in ended for each in json.loads(one.stdout)["targets"]]
    assert 4 <= told.count("written") <= 5, "each state of a target is written by one of them"
    shop.sync()
    for each in range(4):
        path = f"grocer/s{each}/manifest.json"
        assert (tmp_path / "us" / path).read_text() == git(shop.origin, "show", f"main:manifests/{path}") + "\n"
