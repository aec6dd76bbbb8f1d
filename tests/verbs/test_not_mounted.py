"""A `file://` store that is not mounted: nothing is made in its place, and nobody says that its blobs are lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rings import shipped
from shop import GROCER, Kept, Shop, popularity

from pointsman.errors import Problem, Unreachable
from pointsman.outcome import Outcome
from pointsman.verbs import at, audit, break_glass, doctor, gc, hold, rollback, rollout, status, verify
from pointsman.workspace import Workspace


def empty(store: Path) -> None:
    store.mkdir()


def left_by_a_sync(store: Path) -> None:
    (store / "registry" / "current" / ".pointsman").mkdir(parents=True)
    (store / ".pointsman").mkdir()
    (store / "lost+found").mkdir()


LOOKS: dict[str, Callable[[Path], None]] = {
    "missing": lambda store: None,
    "empty": empty,
    "what an earlier sync made": left_by_a_sync,
}


@pytest.fixture
def shop(two_ships: Kept) -> Shop:
    return two_ships.fresh()


def run(shop: Shop, verb: Callable[..., Any], *words: Any, **more: Any) -> Any:
    with shop.open() as repo:
        return verb(Workspace(repo), *words, **more)


def unmount(shop: Shop, look: str) -> None:
    shop.store.rename(shop.root / "mounted elsewhere")
    LOOKS[look](shop.store)


def tree(root: Path) -> list[str]:
    return sorted(str(path) for path in root.rglob("*"))


COMMANDS: dict[str, Callable[[Shop], object]] = {
    "publish": lambda shop: shop.publish(popularity(shop.root / "p.json", 9)),
    "publish --dry-run": lambda shop: shop.publish(popularity(shop.root / "p.json", 9), dry_run=True),
    "sync": lambda shop: shop.sync(),
    "sync --dry-run": lambda shop: shop.sync(dry_run=True),
    "verify": lambda shop: run(shop, verify.verify, [], verify.Choice()),
    "gc --restore": lambda shop: run(shop, gc.restore, ("abcd",)),
    "rollback": lambda shop: run(shop, rollback.roll_back, rollback.Request((GROCER,))),
}


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
def test_whoever_needs_the_store_stops_before_anything_is_written(look: str, shop: Shop) -> None:
    unmount(shop, look)
    popularity(shop.root / "p.json", 9)
    before, there = shop.everything(), tree(shop.store)
    for command in COMMANDS.values():
        with pytest.raises(Unreachable, match=r"no blob is in file://.* is it mounted") as error:
            command(shop)
        assert error.value.exit_code == 3
        assert (shop.everything(), tree(shop.store)) == (before, there)


def test_doctor_tells_it_tries_nothing_there_and_audit_says_what_it_does_not_know(shop: Shop) -> None:
    unmount(shop, "missing")
    outcome: Outcome[Any] = run(shop, doctor.doctor)
    assert outcome.exit_code == 3
    checks = {each["name"]: each["says"] for each in outcome.document["checks"]}
    assert "is it mounted" in checks["store mounted"]
    assert not [name for name in checks if name.startswith("store ") and name != "store mounted"]
    (note,) = run(shop, audit.audit).notes
    assert note.startswith("what was synced and audited last is not known: no blob is in file://")
    assert not shop.store.exists()


def test_once_it_is_mounted_again_all_is_as_it_was(shop: Shop) -> None:
    served = shop.serving
    unmount(shop, "empty")
    with pytest.raises(Unreachable):
        shop.sync()
    shop.store.rmdir()
    (shop.root / "mounted elsewhere").rename(shop.store)
    assert shop.sync().exit_code == 0
    assert shop.serving == served


def test_what_is_really_lost_is_published_again_once_the_owner_says_so(shop: Shop) -> None:
    unmount(shop, "missing")
    with pytest.raises(Unreachable, match=rf"mkdir -p {shop.store}/<tenant>"):
        shop.publish(day=2)
    (shop.store / "grocer").mkdir(parents=True)
    assert shop.publish(day=2).exit_code == 0
    assert shop.sync().exit_code == 0
    assert shop.serving == shop.manifest


@pytest.mark.slow
def test_a_store_without_records_is_new_and_so_is_one_that_was_moved_to(shop: Shop, tmp_path: Path) -> None:
    assert Shop(tmp_path / "new").publish(day=1, merge=True).exit_code == 0
    settings = shop.desk / "pointsman.toml"
    moved = f'url = "file://{tmp_path}/moved"\nformer = ["file://{shop.store}"]'
    serving = f'\n[serving]\nmanifest = "file://{shop.store}/registry/current/{{tenant}}/{{surface}}/manifest.json"\n'
    shop.pull()
    settings.write_text(settings.read_text().replace(f'url = "file://{shop.store}"', moved) + serving)
    shop.push()
    assert shop.sync().notes == ()
    shop.publish(popularity(tmp_path / "p.json", 40), merge=True)
    assert shop.sync().exit_code == 0
    (tmp_path / "moved").rename(tmp_path / "away")
    with pytest.raises(Unreachable, match="is it mounted"):  # now a manifest points into it
        shop.publish(popularity(tmp_path / "p.json", 41))
    outcome = shop.sync()  # serving is elsewhere and has its fence
    assert "is it mounted" in outcome.notes[0]
    assert not (tmp_path / "moved").exists()


@pytest.mark.slow
def test_a_serving_root_of_its_own_that_is_made_anew_is_told(tmp_path: Path) -> None:
    served = tmp_path / "mount" / "served"
    template = f'[serving]\nmanifest = "file://{served}/{{tenant}}/{{surface}}.json"\n'
    shop = Shop(tmp_path / "shop", template)
    assert shop.sync().notes == ()
    assert not tree(served / "grocer")
    shop.publish(day=1, merge=True)
    assert shop.sync().notes == ()
    shutil.rmtree(tmp_path / "mount")
    (note,) = shop.sync().notes
    says = "if this is not the first sync there, look whether it is mounted"
    assert note == f"file://{served} was missing or empty: {says}"
    assert shop.sync().notes == ()
    shutil.rmtree(tmp_path / "mount")
    unmount(shop, "missing")  # both are on the mount that is away: no fence is made anew
    with pytest.raises(Unreachable, match="is it mounted"):
        shop.sync()
    assert not served.exists()


@pytest.mark.parametrize("look", LOOKS)
def test_what_is_served_is_unknown_and_not_said_to_be_absent(look: str, shop: Shop) -> None:
    unmount(shop, look)
    for named in ((), (GROCER,)):
        (target,) = run(shop, status.status, named).document["targets"]
        assert (target["serving"], "is it mounted" in (target["unread"] or "")) == ("unknown", True)
    assert run(shop, status.status, (), fail_on=("behind",)).exit_code == 3
    request = break_glass.Request(GROCER, "the day is broken")
    with pytest.raises(Problem, match="no sync was ever at") as error:
        break_glass.break_glass(shop.desk, request, tell=lambda line: None)
    assert ("is it mounted" in str(error.value)) is (look in ("missing", "empty"))


@pytest.mark.slow
def test_what_a_ring_has_is_unknown_and_not_said_to_be_nothing(tmp_path: Path) -> None:
    shop = shipped(tmp_path / "shop")
    for ring in ("canary", "prod"):
        (shop.root / ring).rename(shop.root / f"{ring} elsewhere")
    unmount(shop, "empty")
    found = run(shop, rollout.rollout, rollout.Request())
    assert (found.exit_code, found.document["targets"][0]["rings"]) == (3, [])
    assert ["is it mounted" in note for note in found.notes] == [True, True]
    with pytest.raises(Unreachable, match="is it mounted"):
        run(shop, at.at, "now", GROCER, "prod")
    held = run(shop, hold.change_hold, hold.Request("grocer/home", until="2999-01-01", reason="bad", now=True))
    assert ["is it mounted" in note for note in held.notes] == [True, True]
