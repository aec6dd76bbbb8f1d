"""Rings that left the settings: told by sync and status, and taken away by sync --prune, where they are ours alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rings import START, RingShop, at_start, rings_of, shipped
from shop import GROCER, Kept

from pointsman.cli import sync as sync_words
from pointsman.errors import MovedFirst
from pointsman.outcome import Outcome
from pointsman.report import status as status_words
from pointsman.report import status_table
from pointsman.serving.fence import SYNCED
from pointsman.serving.instances import Instance, key_of
from pointsman.store.directory import FileStore

CLAIM = ".pointsman/claims/grocer/home.json"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("left"), shipped)


@pytest.fixture
def shop(kept: Kept) -> RingShop:
    return at_start(kept)


def files(shop: RingShop, ring: str) -> set[str]:
    """What stands at a ring, but for the lock that a directory needs."""
    every = (shop.root / ring).rglob("*")
    return {str(path.relative_to(shop.root / ring)) for path in every if path.is_file()} - {".pointsman/lock"}


def left(outcome: Outcome[Any]) -> list[tuple[str, int | None, str]]:
    return [(each["ring"], each["pointers"], each["outcome"]) for each in outcome.document.get("left", ())]


def leave(shop: RingShop, **rings: str) -> None:
    shop.set_rings(rings_of(shop.root, **(rings or {"prod": ""})))


@pytest.mark.slow
def test_a_ring_that_left_is_told_by_sync_once_and_by_status_until_prune_took_it(shop: RingShop) -> None:
    assert (left(shop.pass_over()), left(shop.look())) == ([], [])
    leave(shop)
    first = shop.pass_over()
    assert (first.exit_code, left(first)) == (0, [("canary", 1, "kept")])
    url = f"file://{shop.root}/canary/{{tenant}}/{{surface}}/manifest.json"
    says = f"canary left the settings: {url}, 1 pointer: when nobody reads them any more, pointsman sync --prune"
    assert says in sync_words.render(first.value)
    assert left(shop.pass_over()) == []
    status = shop.look()
    assert left(status) == [("canary", 1, "kept")]
    assert says in status_words.render(status.value)
    assert says in status_table.render(status.value)
    assert left(shop.look(GROCER)) == []

    before = files(shop, "canary")
    dry = shop.pass_over(prune=True, dry_run=True)
    assert (left(dry), files(shop, "canary")) == ([("canary", 1, "pruned")], before)
    assert f"{url}, 1 pointer: would be pruned" in sync_words.render(dry.value)
    pruned = shop.pass_over(prune=True)
    assert (pruned.exit_code, left(pruned), files(shop, "canary")) == (0, [("canary", 1, "pruned")], set())
    assert f"{url}, 1 pointer: pruned" in sync_words.render(pruned.value)
    assert (left(shop.pass_over(prune=True)), left(shop.look())) == ([], [])
    assert shop.serves("prod") == shop.manifest


def test_only_what_main_had_goes_and_the_fence_stays_until_all_is_gone(shop: RingShop) -> None:
    leave(shop)
    other = shop.root / "canary" / "other" / "home" / "manifest.json"
    other.parent.mkdir(parents=True)
    other.write_text("{}")
    beside = shop.root / "canary" / ".pointsman" / "notes.txt"
    beside.write_text("mine")
    outcome = shop.pass_over(prune=True)
    assert left(outcome) == [("canary", 1, "kept")]
    assert "main never had what they hold" in sync_words.render(outcome.value)
    assert files(shop, "canary") == {"other/home/manifest.json", ".pointsman/notes.txt", SYNCED}
    other.unlink()
    assert left(shop.pass_over(prune=True)) == [("canary", 0, "pruned")]
    assert files(shop, "canary") == {".pointsman/notes.txt"}


@pytest.mark.slow
def test_what_is_another_repositorys_now_stays(shop: RingShop) -> None:
    leave(shop)
    fence = shop.root / "canary" / SYNCED
    fence.write_text(json.dumps({"v": 1, "commit": "1" * 40}))
    before = files(shop, "canary")
    assert (left(shop.pass_over()), left(shop.look())) == ([], []), "it is no matter of ours"
    outcome = shop.pass_over(prune=True)
    assert (left(outcome), files(shop, "canary")) == ([("canary", 1, "kept")], before)
    assert "another repository's now, or main was rewritten" in sync_words.render(outcome.value)
    fence.write_text("[]")
    assert (left(shop.pass_over()), left(shop.look())) == ([], [])
    assert left(shop.pass_over(prune=True)) == [("canary", None, "kept")]
    fence.unlink()
    assert (left(shop.pass_over(prune=True)), shop.serves("canary")) == ([], shop.manifest)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["canary", "canary/grocer", "."])
def test_a_prefix_that_another_ring_has_or_is_in_is_left_alone(shop: RingShop, where: str) -> None:
    more = "" if where != "." else 'targets = ["other/*"]'
    ring = rings_of(shop.root, prod="").replace("/prod/", f"/{where}/").replace("/./", "/")
    shop.set_rings(ring.replace('name = "prod"', f'name = "new"\n{more}'))
    before = files(shop, "canary") - {SYNCED}
    outcome = shop.pass_over(prune=True)
    assert [each for each in left(outcome) if each[0] == "canary"] == []
    assert shop.serves("canary") is not None
    assert before <= files(shop, "canary")


@pytest.mark.slow
def test_a_ring_that_is_named_again_or_renamed_is_not_taken(shop: RingShop) -> None:
    leave(shop)
    shop.pass_over()
    leave(shop, canary="", prod='after = "2h"')
    assert left(shop.pass_over(prune=True)) == []
    shop.set_rings(rings_of(shop.root, canary="", prod="").replace('name = "canary"', 'name = "first"'))
    assert left(shop.pass_over(prune=True)) == []
    assert shop.serves("canary") == shop.serves("prod") == shop.manifest


@pytest.mark.slow
def test_a_ring_that_moved_leaves_its_old_prefix(shop: RingShop) -> None:
    shop.set_rings(rings_of(shop.root, canary="", prod="").replace("/canary/", "/early/"))
    assert left(shop.pass_over()) == [("canary", 1, "kept")]
    assert left(shop.pass_over(prune=True)) == [("canary", 1, "pruned")]
    assert (files(shop, "canary"), shop.serves("early")) == (set(), shop.manifest)


@pytest.mark.slow
def test_when_no_ring_is_left_the_pointers_of_serving_stay(shop: RingShop) -> None:
    shop.set_rings(f'[serving]\nmanifest = "file://{shop.root}/prod/{{tenant}}/{{surface}}/manifest.json"\n')
    assert left(shop.pass_over(prune=True)) == [("canary", 1, "pruned")]
    assert shop.serves("prod") == shop.manifest


@pytest.mark.slow
def test_a_ring_that_an_instance_read_lately_stays_until_it_was_not_heard_for_its_time(shop: RingShop) -> None:
    leave(shop)
    path = shop.root / "canary" / key_of("api-1")
    path.parent.mkdir(parents=True)
    path.write_bytes(Instance("api-1", shop.now - 60, shop.now - 60).render())
    outcome = shop.pass_over(prune=True)
    assert left(outcome) == [("canary", 1, "kept")]
    assert "api-1 read them within the last 900 s: end it first" in sync_words.render(outcome.value)
    assert left(shop.pass_over(prune=True, later=900)) == [("canary", 1, "pruned")]
    assert files(shop, "canary") == set()


@pytest.mark.slow
def test_what_cannot_be_reached_or_is_at_work_is_told_and_stops_nobody(
    shop: RingShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(shop)
    before = files(shop, "canary")
    with monkeypatch.context() as patch:
        patch.setattr("pointsman.serving.left_rings._require_same", _moved)
        outcome = shop.pass_over(prune=True)
    assert (outcome.exit_code, left(outcome), files(shop, "canary")) == (4, [("canary", None, "kept")], before)
    (shop.root / "canary").rename(shop.root / "away")
    (shop.root / "canary").symlink_to(shop.root / "canary")
    outcome = shop.pass_over(prune=True)
    assert (outcome.exit_code, left(outcome)) == (3, [("canary", None, "kept")])
    assert left(shop.look()) == [("canary", None, "kept")]
    assert shop.serves("prod") == shop.manifest


def _moved(*given: Any) -> None:
    raise MovedFirst("another sync works there")


class Killed(BaseException):
    """The process ended here."""


@pytest.mark.slow
def test_a_prune_that_is_killed_at_any_step_is_ended_by_the_next(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, ended = 0, False
    while not ended:
        shop = kept.fresh()
        assert isinstance(shop, RingShop)
        shop.now = START
        leave(shop)
        shop.pass_over()
        with monkeypatch.context() as patch:
            counting = [steps]
            for name in ("delete", "remove"):
                _die_at(patch, name, counting)
            try:
                shop.pass_over(prune=True)
                ended = True
            except Killed:
                steps += 1
        if not ended:
            assert SYNCED in files(shop, "canary")
            assert [each[2] for each in left(shop.look())] == ["kept"]
            assert [each[2] for each in left(shop.pass_over(prune=True))] == ["pruned"]
        assert files(shop, "canary") == set()
        assert shop.serves("prod") == shop.manifest
    assert steps >= 4


def _die_at(patch: pytest.MonkeyPatch, name: str, counting: list[int]) -> None:
    original = getattr(FileStore, name)

    def dying(self: FileStore, *given: Any, **more: Any) -> Any:
        counting[0] -= 1
        if counting[0] < 0:
            raise Killed
        return original(self, *given, **more)

    patch.setattr(FileStore, name, dying)
