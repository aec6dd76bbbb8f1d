"""What went wrong once: ways past the gate and into sync, each pushed to main by hand as someone could."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from shop import GROCER, Kept, Shop, cooc, git, popularity, refused

from pointsman.errors import Refused
from pointsman.outcome import Outcome
from pointsman.workspace import Workspace


@pytest.fixture
def shop(two_ships: Kept) -> Shop:
    return two_ships.fresh()


def rules(outcome: Outcome[Any]) -> set[str]:
    return {fault["rule"] for each in outcome.document["targets"] for fault in each["faults"]}


def ship_by_hand(shop: Shop, content: str, *lines: str) -> None:
    """Push a manifest with the lines that vouch for it, past every gate."""
    last = git(shop.desk, "log", "-1", "--format=%H", "--", GROCER.manifest_path)
    (shop.desk / GROCER.manifest_path).write_text(content)
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    said = [f"Manifest: grocer/home sha256:{sha256}", f"Supersedes: grocer/home {last}", *lines]
    shop.push("ship: by hand\n\n" + "\n".join(said))


@pytest.mark.slow
def test_a_manifest_padded_over_the_limit_is_read_all_the_same(shop: Shop) -> None:
    served = shop.serving
    text = (shop.desk / GROCER.manifest_path).read_text().replace("file://", "https://evil.example")
    ship_by_hand(shop, text + " " * 70000)
    outcome = shop.sync()
    assert outcome.exit_code == 5
    assert "foreign-uri" in rules(outcome)
    assert shop.serving == served


@pytest.mark.slow
def test_a_store_that_moved_without_naming_its_former_place_is_not_served(shop: Shop, tmp_path: Path) -> None:
    (shop.desk / "pointsman.toml").write_text(
        f'[store]\nurl = "file://{tmp_path}/new"\n'
        f'[serving]\nmanifest = "file://{shop.store}/registry/current/{{tenant}}/{{surface}}/manifest.json"\n'
    )
    shop.push("move the store")
    (shop.store / "registry" / "current" / "grocer" / "home" / "manifest.json").unlink()
    outcome = shop.sync()
    assert outcome.exit_code == 5
    assert rules(outcome) == {"foreign-uri"}
    assert len(outcome.document["targets"][0]["faults"]) == 1  # once, whoever finds it


@pytest.mark.slow
def test_a_guardrail_is_not_passed_by_comparing_with_a_state_that_lacks_the_type(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(cooc(tmp_path / "c1.json", 100), merge=True)
    both = (cooc(tmp_path / "c2.json", 10), popularity(tmp_path / "p1.json", 100))
    shop.publish(*both, merge=True, accept=("items-drop",), reason="x")
    with pytest.raises(Refused, match="popularity fell from 100 to 3"):
        shop.publish(popularity(tmp_path / "p2.json", 3))


def test_a_drop_is_no_restore_whatever_its_lines_say(shop: Shop) -> None:
    document = json.loads((shop.desk / GROCER.manifest_path).read_text())
    version = document["current"]["popularity"][-69:-5]
    del document["current"]["cooc"]
    document["updated_at"] = "2031" + document["updated_at"][4:]
    ship_by_hand(shop, json.dumps(document, indent=2) + "\n", f"Restores: grocer/home popularity@{version}")
    with shop.open() as repo:
        from pointsman.verbs import log

        assert log.log(Workspace(repo), log.Query((GROCER,))).document["events"][0]["kind"] == "ship"


def test_a_submodule_that_gitmodules_hides_is_seen(shop: Shop) -> None:
    (shop.desk / ".gitmodules").write_text(
        '[submodule "x"]\npath = manifests/a/b/manifest.json\nurl = ./x\nignore = all\n'
    )
    shop.push("modules")
    place = f"160000,{shop.main},manifests/a/b/manifest.json"
    git(shop.desk, "update-index", "--add", "--cacheinfo", place)
    git(shop.desk, "commit", "-q", "-m", "hidden")
    assert shop.check("origin/main", "HEAD") == ["not-a-plain-file"]


@pytest.mark.slow
def test_settings_that_cannot_be_read_are_refused_and_the_past_of_others_does_not_stop_sync(shop: Shop) -> None:
    good = (shop.desk / "pointsman.toml").read_text()
    (shop.desk / "pointsman.toml").write_text(good + "[polcy]\n")
    git(shop.desk, "commit", "-q", "-a", "-m", "typo")
    assert shop.check("origin/main", "HEAD") == ["schema"]
    git(shop.desk, "revert", "--no-edit", "HEAD~1")  # the latest ship, while the settings are broken
    (shop.desk / "pointsman.toml").write_text(good)
    shop.push("mend")
    assert shop.sync().exit_code == 0
    assert shop.serving == shop.manifest


def test_a_directory_where_a_manifest_belongs_stops_its_own_target_only(shop: Shop) -> None:
    place = shop.desk / "manifests" / "a" / "b" / "manifest.json" / "x"
    place.parent.mkdir(parents=True)
    place.write_text("{}")
    shop.push("directory")
    outcome = shop.sync()
    assert outcome.exit_code == 5
    assert rules(outcome) == {"not-a-plain-file"}


def test_a_commit_from_beyond_the_calendar_breaks_no_listing(shop: Shop) -> None:
    raw = git(shop.desk, "cat-file", "commit", "HEAD") + "\n"
    wrong = re.sub(r"(committer .*> )\d+", r"\g<1>99999999999999", raw)
    commit = git(shop.desk, "hash-object", "-t", "commit", "-w", "--stdin", "--literally", given=wrong)
    git(shop.desk, "push", "-q", "origin", f"{commit}:refs/heads/ship/x")
    assert [pull["opened_at"][:4] for pull in shop.pulls()] == ["1970"]


@pytest.mark.slow
def test_sync_from_a_shallow_clone_finds_the_fence(shop: Shop) -> None:
    shop.publish(day=1, merge=True, reship=True)
    git(shop.root, "clone", "-q", "--depth=1", f"file://{shop.origin}", str(shop.root / "thin"))
    assert shop.sync(where=shop.root / "thin").exit_code == 0
    assert shop.serving == shop.manifest


@pytest.mark.slow
def test_rollback_over_a_hand_edit_restores_what_the_edit_covered(shop: Shop) -> None:
    good = shop.manifest
    path = shop.desk / GROCER.manifest_path
    path.write_text(path.read_text().replace('"updated_at": "2', '"updated_at": "3'))
    shop.push("edit")
    with pytest.raises(Refused) as error:
        shop.publish(day=2)
    assert refused(error.value) == {"unvouched-manifest"}
    shop.roll_back(now=True, reason="a hand edit")
    assert shop.manifest == good
    assert shop.sync().exit_code == 0


@pytest.mark.slow
def test_a_ship_branch_merged_by_plain_git_is_what_check_and_sync_both_pass(shop: Shop) -> None:
    shop.publish(day=1)
    branch = shop.pulls()[0]["branch"]
    git(shop.desk, "fetch", "-q", "origin")
    git(shop.desk, "merge", "-q", "--no-ff", "-m", "Merge ship", f"origin/{branch}")
    assert shop.check("origin/main", "HEAD") == []
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    assert shop.check() == []
    assert shop.sync().exit_code == 0
    assert shop.serving == shop.manifest


@pytest.mark.slow
def test_a_stale_pull_request_is_stale_and_nothing_else(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(popularity(tmp_path / "p1.json", 10), merge=True)
    shop.publish(cooc(tmp_path / "c1.json", 10))
    branch = shop.pulls()[0]["branch"]
    shop.publish(popularity(tmp_path / "p2.json", 100), merge=True)
    git(shop.desk, "fetch", "-q", "origin")
    assert shop.check("origin/main", f"origin/{branch}") == ["stale-base"]


@pytest.mark.slow
def test_a_ship_does_not_supersede_the_drop_of_the_same_type(shop: Shop) -> None:
    shop.publish(drops=((GROCER, "cooc"),))
    shop.publish(day=1, reship=True)
    assert len(shop.pulls()) == 2
