"""Sync: serving equals main, an older state never covers a newer one, and what may not be served is not."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from locks import is_locked
from planted import NO_FILES, plant
from shop import GROCER, STAGING, Kept, Shop, git, popularity, refused

from pointsman.cli import sync
from pointsman.errors import Problem, Refused
from pointsman.gate.gate import Gate
from pointsman.gate.lineage import Step
from pointsman.outcome import Outcome
from pointsman.serving.fence import SYNCED
from pointsman.serving.states import LEFT_KEY, state_key
from pointsman.shipping.records import Recording
from pointsman.state.documents import Record
from pointsman.store.directory import FileStore


@pytest.fixture
def shop(one_ship: Kept) -> Shop:
    return one_ship.fresh()


def outcomes(outcome: Outcome[Any]) -> dict[str, str]:
    return {each["target"]: each["outcome"] for each in outcome.document["targets"]}


def pointer(shop: Shop) -> Path:
    return shop.store / "registry" / "current" / "grocer" / "home" / "manifest.json"


def fence(shop: Shop) -> Path:
    return shop.store / "registry" / "current" / SYNCED


@pytest.mark.slow
def test_what_is_merged_is_mirrored_byte_for_byte_and_then_unchanged(shop: Shop) -> None:
    assert outcomes(shop.sync()) == {"grocer/home": "written"}
    assert shop.serving == shop.manifest
    seen = json.loads(fence(shop).read_text())
    assert seen == {"v": 1, "commit": shop.main, "at": seen["at"]}
    before = shop.everything()
    assert outcomes(shop.sync()) == {"grocer/home": "unchanged"}
    assert shop.everything() == before


@pytest.mark.slow
def test_a_dry_run_says_what_would_happen_and_writes_nothing(shop: Shop) -> None:
    before = shop.everything()
    would = shop.sync(dry_run=True)
    assert outcomes(would) == {"grocer/home": "written"}
    assert sync.render(would.value).startswith("grocer/home: would be written\na dry run, nothing was written; ")
    assert shop.everything() == before
    assert not (shop.store / "registry").exists()


def test_a_pointer_edited_by_hand_is_healed_or_kept_as_asked(shop: Shop) -> None:
    shop.sync()
    pointer(shop).write_text("{}")
    kept = shop.sync(heal=False)
    assert outcomes(kept) == {"grocer/home": "kept"}
    assert kept.document["targets"][0]["faults"][0]["rule"] == "drifted"
    assert sync.render(kept.value).endswith(f"serving follows main at {shop.main[:12]}, but for 1 kept")
    assert shop.serving == b"{}"
    healed = shop.sync()
    assert outcomes(healed) == {"grocer/home": "healed"}
    assert "cannot be read as a manifest" in sync.render(healed.value)
    assert shop.serving == shop.manifest


@pytest.mark.slow
@pytest.mark.parametrize("tenant", ["schemas", "Registry", "..x"])
def test_what_is_no_target_stops_none_that_is(shop: Shop, tenant: str) -> None:
    shop.pull()
    there = shop.desk / "manifests" / tenant / "home" / "manifest.json"
    there.parent.mkdir(parents=True)
    there.write_bytes(shop.manifest)
    shop.push("past the gate")
    assert outcomes(shop.sync()) == {"grocer/home": "written"}


@pytest.mark.slow
def test_what_a_pass_wrote_is_told_though_main_moved_and_the_next_pass_found_it_done(
    shop: Shop, tmp_path: Path
) -> None:
    ships = [popularity(tmp_path / "p2.json", 11, surface="search")]

    def main_moves() -> bool:
        if ships:
            shop.publish(ships.pop(), merge=True)
        return False

    assert outcomes(shop.sync(stopped=main_moves)) == {"grocer/home": "written", "grocer/search": "written"}


def test_a_pointer_that_is_only_behind_is_written_not_healed(shop: Shop, tmp_path: Path) -> None:
    shop.sync()
    shop.publish(popularity(tmp_path / "p2.json", 11), merge=True)
    assert outcomes(shop.sync(heal=False)) == {"grocer/home": "written"}


@pytest.mark.slow
def test_a_main_that_was_rewritten_stops_sync_until_it_is_accepted(shop: Shop, tmp_path: Path) -> None:
    shop.sync()
    shop.publish(popularity(tmp_path / "p2.json", 11), merge=True)
    shop.sync()
    served = shop.serving
    git(shop.origin, "update-ref", "refs/heads/main", "main~1")
    with pytest.raises(Refused) as error:
        shop.sync()
    assert refused(error.value) == {"rewritten-history"}
    assert shop.serving == served
    assert outcomes(shop.sync(accept_rewrite=True)) == {"grocer/home": "healed"}  # main never had what serving holds
    assert shop.serving == shop.manifest


@pytest.mark.slow
def test_what_is_no_file_in_the_place_of_one_pointer_stops_that_target_alone(shop: Shop, tmp_path: Path) -> None:
    """It does not block sync, does not end it in 4 for ever, and is said until somebody takes it away."""
    shop.publish(STAGING / "bookshop" / "home", merge=True)
    shop.sync()
    for kind in NO_FILES:
        plant(kind, pointer(shop), tmp_path / "file")
        outcome = shop.sync()
        assert outcome.exit_code == 5, kind
        assert outcomes(outcome) == {"grocer/home": "refused", "bookshop/home": "unchanged"}, kind
        told = {each["target"]: each for each in outcome.document["targets"]}["grocer/home"]["faults"]
        assert [fault["rule"] for fault in told] == ["blocked"]
        assert "stands there, not a file: take it away" in told[0]["says"]
    pointer(shop).unlink()
    assert outcomes(shop.sync()) == {"grocer/home": "written", "bookshop/home": "unchanged"}


def test_a_fence_that_cannot_be_read_is_said_and_nothing_changes(shop: Shop) -> None:
    shop.sync()
    fence(shop).write_text("half a fen")
    with pytest.raises(Problem, match=r"sync\.json is not a file of Pointsman"):
        shop.sync()


@pytest.mark.slow
def test_one_target_that_may_not_be_served_keeps_its_pointer_and_the_others_go_on(shop: Shop, tmp_path: Path) -> None:
    shop.sync()
    served = shop.serving
    shop.publish(popularity(tmp_path / "p2.json", 11), STAGING / "bookshop" / "home", merge=True)
    uri = json.loads(shop.manifest)["current"]["popularity"]
    Path(uri.removeprefix("file://")).unlink()
    for _ in range(2):  # it is told again for as long as it lasts
        outcome = shop.sync()
        assert outcome.exit_code == 5
        assert outcomes(outcome)["grocer/home"] == "refused"
        assert shop.serving == served
    assert outcomes(outcome)["bookshop/home"] == "unchanged"
    shop.publish(tmp_path / "p2.json")  # puts the blob again, whatever main says
    assert outcomes(shop.sync())["grocer/home"] == "written"


@pytest.mark.slow
def test_a_bug_that_one_target_brings_out_stops_no_other(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.sync()
    served = shop.serving
    shop.publish(popularity(tmp_path / "p2.json", 11), STAGING / "bookshop" / "home", merge=True)
    real = Gate.faults_of_step

    def broken(gate: Gate, step: Step, *more: Any) -> Any:
        if step.lineage.target.tenant == "grocer":
            raise RecursionError("\x1b[31m")
        return real(gate, step, *more)

    monkeypatch.setattr(Gate, "faults_of_step", broken)
    outcome = shop.sync()
    assert (outcome.exit_code, shop.serving) == (5, served)
    assert outcomes(outcome) == {"grocer/home": "refused", "bookshop/home": "written"}
    [fault] = outcome.document["targets"][1]["faults"]
    assert (fault["rule"], fault["says"]) == ("bug", "this is a bug in pointsman (RecursionError: \\u001b[31m)")
    monkeypatch.undo()
    assert outcomes(shop.sync()) == {"grocer/home": "written", "bookshop/home": "unchanged"}


def test_a_manifest_that_becomes_a_symlink_on_main_is_refused(shop: Shop) -> None:
    shop.sync()
    served = shop.serving
    shop.pull()
    path = shop.desk / GROCER.manifest_path
    path.unlink()
    os.symlink("/etc/passwd", path)
    shop.push("trick")
    outcome = shop.sync()
    assert outcome.exit_code == 5
    [fault] = outcome.document["targets"][0]["faults"]
    assert fault["rule"] == "not-a-plain-file"
    assert fault["says"].endswith("; if it is on main already, run pointsman rollback grocer/home first")
    assert shop.serving == served


@pytest.mark.slow
def test_a_target_gone_from_main_keeps_its_pointer_until_it_is_pruned(shop: Shop) -> None:
    shop.sync()
    shop.pull()
    git(shop.desk, "rm", "-q", GROCER.manifest_path)
    shop.push("gone\n\nAccept: grocer/home manifest-removed the shop closed")
    assert outcomes(shop.sync()) == {"grocer/home": "kept"}
    assert shop.serving is not None
    assert outcomes(shop.sync(prune=True)) == {"grocer/home": "pruned"}
    assert shop.serving is None


@pytest.mark.slow
def test_a_removal_that_broke_a_rule_takes_no_pointer_away(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p2.json", 11), merge=True)
    shop.sync()
    served = shop.serving
    shop.pull()
    git(shop.desk, "rm", "-q", GROCER.manifest_path)
    shop.push("gone")
    outcome = shop.sync(prune=True)
    assert (outcome.exit_code, outcomes(outcome), shop.serving) == (5, {"grocer/home": "refused"}, served)
    assert [fault["rule"] for fault in outcome.document["targets"][0]["faults"]] == ["manifest-removed"]


@pytest.mark.slow
@pytest.mark.parametrize("elsewhere", [False, True])
def test_settings_that_move_serving_during_a_sync_are_followed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, *, elsewhere: bool
) -> None:
    """The pointers are listed by the old settings, and main is read after that."""
    shop.sync()
    before = (pointer(shop).read_bytes(), fence(shop).read_bytes())
    new = f"file://{shop.store}/{'other' if elsewhere else 'registry/current'}/{{tenant}}/{{surface}}/m.json"
    keys = FileStore.keys
    moved: list[str] = []

    def while_settings_move(store: FileStore, *where: Any) -> Iterator[str]:
        yield from keys(store, *where)
        if not moved:
            moved.append(shop.pull())
            settings = shop.desk / "pointsman.toml"
            settings.write_text(settings.read_text() + f'[serving]\nmanifest = "{new}"\n')
            shop.push("serve from elsewhere")

    monkeypatch.setattr(FileStore, "keys", while_settings_move)
    assert outcomes(shop.sync()) == {"grocer/home": "written"}
    if elsewhere:
        assert (pointer(shop).read_bytes(), fence(shop).read_bytes()) == before
    assert Path(new.removeprefix("file://").format(tenant="grocer", surface="home")).read_bytes() == shop.manifest
    assert moved


@pytest.mark.slow
def test_main_that_moves_during_a_sync_is_looked_at_again(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second look: a ship and its revert land between the fetch and the write."""
    shop.sync()
    first = shop.serving
    shop.publish(popularity(tmp_path / "p2.json", 11), merge=True)
    replace = FileStore.replace
    reverted: list[str] = []

    def while_main_moves(store: FileStore, key: str, data: bytes, *, was: str | None) -> None:
        replace(store, key, data, was=was)
        if key.endswith("manifest.json") and not reverted:
            reverted.append(key)
            shop.pull()
            git(shop.desk, "revert", "--no-edit", "HEAD")
            git(shop.desk, "push", "-q", "origin", "main")

    monkeypatch.setattr(FileStore, "replace", while_main_moves)
    outcome = shop.sync()
    assert reverted
    assert outcome.document["commit"] == shop.main
    assert shop.serving == first


def test_the_fence_moves_before_any_pointer(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    replace = FileStore.replace

    def noted(store: FileStore, key: str, data: bytes, *, was: str | None) -> None:
        written.append(key)
        replace(store, key, data, was=was)

    monkeypatch.setattr(FileStore, "replace", noted)
    shop.sync()
    assert written == [SYNCED, LEFT_KEY, state_key(GROCER), "grocer/home/manifest.json"]


@pytest.mark.slow
def test_no_other_process_may_write_pointers_while_a_sync_does(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    locked: list[bool] = []
    replace = FileStore.replace

    def noted(store: FileStore, key: str, data: bytes, *, was: str | None) -> None:
        locked.append(is_locked(store.url))
        replace(store, key, data, was=was)

    monkeypatch.setattr(FileStore, "replace", noted)
    shop.sync()
    assert locked == [True] * 4


@pytest.mark.slow
def test_serving_may_stand_elsewhere(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", f'[serving]\nmanifest = "file://{tmp_path}/served/{{surface}}/{{tenant}}.json"\n')
    shop.publish(day=1, merge=True)
    shop.sync()
    assert (tmp_path / "served" / "home" / "grocer.json").read_bytes() == shop.manifest


@pytest.mark.slow
def test_a_pointer_that_another_sync_wrote_meanwhile_is_looked_at_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a bucket nothing is locked. What was found as main has it may have been put back while main was read."""
    shop.sync()
    good, asked = shop.serving, list[Mapping[str, str]]()
    shop.pull()
    (shop.desk / "note").touch()
    shop.push("main moves, and the fence has to")

    def someone_was_there(_: FileStore, tags: Mapping[str, str]) -> bool:
        asked.append(dict(tags))
        if len(asked) == 1:
            pointer(shop).write_text("{}")
            return False
        return True

    monkeypatch.setattr(FileStore, "still", someone_was_there)
    assert outcomes(shop.sync()) == {"grocer/home": "healed"}
    assert shop.serving == good
    assert [list(tags) for tags in asked] == [["grocer/home/manifest.json"]], "the fence is at main the next time"


def test_a_blob_that_is_taken_away_between_its_record_and_its_pointer_is_put_back(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a cleaner of orphans would, that read main before the record was there."""
    land, taken = Recording.records, list[Path]()

    def records(recording: Recording, found: Sequence[Record], **more: str) -> None:
        land(recording, found, **more)
        for record in found:
            taken.append(Path(record.uri.removeprefix("file://")))
            taken[-1].unlink()

    monkeypatch.setattr(Recording, "records", records)
    shop.publish(popularity(tmp_path / "p2.json", 11), merge=True)
    assert len(taken) == 1
    assert taken[0].exists()
    assert outcomes(shop.sync()) == {"grocer/home": "written"}
