"""Status: what serving has beside what main has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from shop import GROCER, Kept, Shop, cooc, git, popularity

from pointsman.cli import sync as sync_command
from pointsman.errors import Problem
from pointsman.report.status import lines_of
from pointsman.report.status_table import to_know
from pointsman.state.names import Target
from pointsman.verbs import status
from pointsman.workspace import Workspace


@pytest.fixture
def shop(one_ship: Kept) -> Shop:
    return one_ship.fresh()


def state(shop: Shop, *targets: Target) -> dict[str, Any]:
    with shop.open() as repo:
        found: dict[str, Any] = status.status(Workspace(repo), targets).document["targets"][0]
        return found


def test_serving_is_absent_then_in_sync_then_behind_then_drifted(shop: Shop, tmp_path: Path) -> None:
    assert state(shop)["serving"] == "absent"
    shop.sync()
    assert state(shop)["serving"] == "in-sync"
    shop.publish(popularity(tmp_path / "p2.json", 11, day=2), merge=True)
    assert state(shop)["serving"] == "behind"
    pointer = shop.store / "registry" / "current" / "grocer" / "home" / "manifest.json"
    pointer.write_text("{}")
    assert state(shop)["serving"] == "drifted"
    pointer.unlink()
    pointer.mkdir()
    assert state(shop)["serving"] == "unknown"
    assert "a directory stands there" in state(shop)["unread"]
    assert "\n  what is served cannot be read: " in told(shop)
    assert "a directory stands there" in told(shop)


def told(shop: Shop, *targets: Target) -> str:
    with shop.open() as repo:
        return "\n".join(lines_of(status.status(Workspace(repo), targets).value.targets[0]))


@pytest.mark.slow
def test_a_pointer_in_the_form_of_recsys_pipelines_is_read_and_its_difference_told(shop: Shop, tmp_path: Path) -> None:
    shop.publish(cooc(tmp_path / "c.json", 3), merge=True)
    shop.sync()
    good = json.loads(shop.serving or b"")
    version = good["current"]["cooc"][-69:-5]
    pointer = shop.store / "registry" / "current" / "grocer" / "home" / "manifest.json"
    main = f"{version[:12]}"

    def writes(current: dict[str, str], **more: Any) -> str:
        document = {"updated_at": "2026-03-04T06:00:07Z", **good, "current": current, **more}
        pointer.write_text(json.dumps(dict(reversed(document.items())), separators=(",", ":")))
        return told(shop)

    current: dict[str, str] = good["current"]
    assert "points to the same blobs" in writes(current, updated_at="2026-03-04T06:00:07Z", by=[1.5])
    moved = current["cooc"].replace("/grocer/", "/old/grocer/")
    assert f"    cooc: main has {current['cooc']}, served is {moved}" in writes({**current, "cooc": moved})
    other = current["cooc"].replace(version, "f" * 64)
    assert f"    cooc: main has {main}, served is ffffffffffff" in writes({**current, "cooc": other})
    assert f"    cooc: main has {main}, served is nothing" in writes({"popularity": current["popularity"]})
    hostile = "https://ann:secret@host/x.json?sig=secret\x1b[2J#secret"
    said = writes({**current, "cooc": hostile, "a\nb": f"s3://k:secret@h/{'9' * 64}.json"})
    assert f"    cooc: main has {current['cooc']}, served is https://host/x.json" in said.splitlines()
    assert "    a\\u000ab: main has nothing, served is 999999999999" in said.splitlines()
    assert "secret" not in said + json.dumps(state(shop))
    assert state(shop)["drift"]["uris"]["cooc"] == [current["cooc"], "https://host/x.json"]
    said = writes(current, v=2)
    assert "    it cannot be read as a manifest: v is not 1" in said
    kept = shop.sync(heal=False).value
    assert "  it cannot be read as a manifest: v is not 1" in sync_command.render(kept)


@pytest.mark.slow
def test_what_to_do_about_a_pointer_by_hand_depends_on_what_main_ever_had(shop: Shop, tmp_path: Path) -> None:
    shop.sync()
    pointer = shop.store / "registry" / "current" / "grocer" / "home" / "manifest.json"
    pointer.write_text("{}")
    assert "; pointsman sync heals it" in told(shop, GROCER)
    new = shop.store / "registry" / "current" / "baker" / "home" / "manifest.json"
    new.parent.mkdir(parents=True)
    new.write_text("{}")
    said = told(shop, Target("baker", "home"))
    assert "; main never had a manifest: pointsman adopt takes over what recsys-pipelines published" in said
    shop.pull()
    (shop.desk / GROCER.manifest_path).unlink()
    shop.push("away with it\n\nAccept: grocer/home manifest-removed closed\n")
    assert "; main has no manifest any more, pointsman sync --prune takes it away" in told(shop, GROCER)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cut off", "executable"])
def test_a_manifest_that_cannot_be_read_is_not_called_missing(shop: Shop, how: str) -> None:
    shop.sync()
    shop.pull()
    manifest = shop.desk / GROCER.manifest_path
    if how == "executable":
        manifest.chmod(0o755)
    else:
        manifest.write_text("{")
    shop.push("trick")
    said = told(shop, GROCER)
    assert "serving is behind by 1 commit, since " in said
    assert ", and main's manifest cannot be read\n" in said
    assert "; if it is on main already, run pointsman rollback grocer/home first" in said
    pointer = shop.store / "registry" / "current" / "grocer" / "home" / "manifest.json"
    pointer.write_text("{}")
    assert "; main's manifest cannot be read: pointsman rollback grocer/home first" in told(shop, GROCER)
    assert "no manifest" not in told(shop, GROCER)


@pytest.mark.slow
def test_settings_that_are_gone_from_main_are_told_from_no_manifest_repository(shop: Shop) -> None:
    shop.pull()
    settings = shop.desk / "pointsman.toml"
    settings.chmod(0o755)
    shop.push("executable")
    with pytest.raises(Problem, match=r"^pointsman.toml at \S+ is not a plain file: commit a file of mode 100644"):
        state(shop)
    settings.unlink()
    deleted = shop.push("away with it")
    with pytest.raises(Problem, match=r"which has manifests: someone deleted it: git log -1 -- pointsman.toml names"):
        state(shop)
    assert git(shop.desk, "log", "-1", "--format=%H", "--", "pointsman.toml") == deleted
    git(shop.desk, "rm", "-q", "-r", "manifests")
    shop.push("and all that was there")
    with pytest.raises(Problem, match=r"this is not a manifest repository \(pointsman init DIR makes one\)"):
        state(shop)


@pytest.mark.slow
def test_status_fails_on_what_it_is_asked_to_fail_on_and_on_nothing_else(shop: Shop, tmp_path: Path) -> None:
    def codes() -> list[int]:
        with shop.open() as repo:
            asked: list[tuple[str, ...]] = [(), ("drift",), ("behind",), ("drift", "behind")]
            return [status.status(Workspace(repo), (), fail_on=each).exit_code for each in asked]

    pointer = shop.store / "registry" / "current" / "grocer" / "home" / "manifest.json"
    assert codes() == [0, 0, 1, 1]  # absent
    shop.sync()
    shop.publish(popularity(tmp_path / "other.json", 5, surface="cart"))  # open, not on main: nothing to serve yet
    assert codes() == [0, 0, 0, 0]
    good = pointer.read_text()
    pointer.write_text("{}")
    assert codes() == [0, 1, 0, 1]
    pointer.unlink()
    pointer.mkdir()
    assert codes() == [0, 3, 3, 3]
    pointer.rmdir()
    pointer.write_text(good)
    shop.publish(popularity(tmp_path / "p2.json", 11, day=2), merge=True)
    assert codes() == [0, 0, 1, 1]
    shop.sync()
    (shop.store / "registry" / "current" / "grocer" / "nobody").mkdir()
    (shop.store / "registry" / "current" / "grocer" / "nobody" / "manifest.json").write_text(good)
    assert codes() == [0, 1, 0, 1]


@pytest.mark.slow
def test_status_tells_what_is_current_since_when_and_what_waits(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p2.json", 11, day=2))
    told = state(shop, GROCER)
    assert (told["window"]["start"], told["window"]["end"]) == ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")
    assert told["shipped"]["commit"] == shop.main or told["shipped"]["commit"] == git(
        shop.origin, "log", "-1", "--format=%H", "main", "--", GROCER.manifest_path
    )
    assert [pull["id"] for pull in told["pull_requests"]] == [shop.pulls()[0]["id"]]
    assert set(told["current"]) == {"popularity"}


def test_a_target_that_is_gone_from_main_but_still_served_is_shown(shop: Shop) -> None:
    shop.sync()
    shop.pull()
    git(shop.desk, "revert", "--no-edit", "HEAD")
    git(shop.desk, "push", "-q", "origin", "main")
    told = state(shop, GROCER)
    assert (told["current"], told["serving"]) == ({}, "behind")


def test_a_target_that_never_was_names_the_nearest(shop: Shop) -> None:
    with pytest.raises(Problem, match="did you mean grocer/home"):
        state(shop, Target("grocer", "hom"))


@pytest.mark.slow
def test_after_a_rewrite_of_main_nobody_is_blamed_and_no_sync_is_advised_before_a_look(shop: Shop) -> None:
    shop.sync()
    pointer = shop.store / "registry" / "current" / "grocer" / "home" / "manifest.json"
    pointer.write_text("{}")
    assert "someone wrote what is served at " in told(shop, GROCER)
    shop.pull()
    git(shop.desk, "commit", "-q", "--amend", "-m", "another")
    git(shop.desk, "push", "-q", "--force", "origin", "HEAD:main")
    said = told(shop, GROCER)
    assert "  main as it is now never had what is served, which was written at " in said
    assert "; find out why first: pointsman sync --accept-rewrite would put main's in its place" in said
    assert "someone wrote" not in said
    with shop.open() as repo:
        [row] = [cell for cell in to_know(status.status(Workspace(repo), ()).value.targets[0]) if "served" in cell]
    assert row == "main never had what is served"
    assert "  sync refuses main's: rewritten-history: " in said
    shop.sync(accept_rewrite=True)
    assert "rewritten" not in told(shop, GROCER)
