"""The main job on real artifacts: publish, merge, revert, and what a naive gate would let through."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from clocks import clock_at
from shop import DAYS, GROCER, STAGING, Kept, Shop, cooc, git, popularity, refused

from pointsman.cli.main import main
from pointsman.errors import MovedFirst, Problem, Refused, Unreachable
from pointsman.repo.git import Git
from pointsman.repo.moves import Move
from pointsman.repo.open import open_repository
from pointsman.repo.origin import MAIN
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.shipping.supersede import Superseding
from pointsman.state import message
from pointsman.state.names import Target
from pointsman.verbs import audit, hold, log, publish, refresh
from pointsman.workspace import Workspace


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("kept"), Shop)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def outcomes(outcome: object) -> list[str]:
    return [each["outcome"] for each in outcome.document["targets"]]  # type: ignore[attr-defined]


def current(shop: Shop) -> dict[str, str]:
    found: dict[str, str] = json.loads(shop.manifest)["current"]
    return found


def record_of(shop: Shop, slot: str) -> str:
    version = current(shop)[slot].rpartition("/")[2]
    return git(shop.origin, "show", f"main:registry/grocer/home/{slot}/{version}")


# the loop


def test_a_plain_revert_restores_the_same_bytes_and_deletes_no_record(shop: Shop) -> None:
    shop.publish(day=1, merge=True)
    shop.sync()
    first = shop.serving
    shop.publish(day=2, merge=True)
    shop.sync()
    assert shop.serving != first
    shop.pull()
    records = git(shop.desk, "ls-files", "registry")
    git(shop.desk, "revert", "--no-edit", "HEAD")
    assert shop.check("origin/main", "HEAD") == []
    git(shop.desk, "push", "-q", "origin", "main")
    assert shop.check() == []
    assert [each["outcome"] for each in shop.sync().document["targets"]] == ["written"]
    assert shop.serving == first
    assert git(shop.desk, "ls-files", "registry") == records

    with pytest.raises(Refused) as error:
        shop.publish(day=2, merge=True)
    assert refused(error.value) == {"rolled-back"}
    assert "--reship" in str(error.value)
    assert outcomes(shop.publish(day=2, merge=True, reship=True)) == ["merged"]
    assert outcomes(shop.publish(day=2, merge=True)) == ["unchanged"]


@pytest.mark.slow
def test_the_revert_of_a_revert_passes_and_ships_go_on_from_it(shop: Shop) -> None:
    for day in (1, 2):
        shop.publish(day=day, merge=True)
    second = shop.manifest
    shop.pull()
    git(shop.desk, "revert", "--no-edit", "HEAD")
    git(shop.desk, "revert", "--no-edit", "HEAD")
    assert shop.check("origin/main", "HEAD~1") == []
    assert shop.check("HEAD~1", "HEAD") == []
    git(shop.desk, "push", "-q", "origin", "main")
    assert shop.manifest == second
    with pytest.raises(Refused, match="rolled-back"):
        shop.publish(day=1, merge=True)  # the second revert left day 1, so it took its versions out


@pytest.mark.slow
def test_the_revert_of_a_first_ship_passes_and_a_removal_by_hand_does_not(shop: Shop) -> None:
    shop.publish(day=1, merge=True)
    shop.pull()
    git(shop.desk, "revert", "--no-edit", "HEAD")
    assert shop.check("origin/main", "HEAD") == []
    git(shop.desk, "reset", "-q", "--hard", "origin/main")
    shop.publish(day=2, merge=True)
    shop.pull()
    git(shop.desk, "rm", "-q", GROCER.manifest_path)
    git(shop.desk, "commit", "-q", "-m", "gone")
    assert shop.check("origin/main", "HEAD") == ["manifest-removed"]
    git(shop.desk, "commit", "-q", "--amend", "-m", "gone\n\nAccept: grocer/home manifest-removed the shop closed")
    assert shop.check("origin/main", "HEAD") == []


@pytest.mark.slow
def test_a_broken_day_is_stopped_and_shipped_only_by_name_with_a_reason(shop: Shop) -> None:
    for day in (1, 2):
        assert outcomes(shop.publish(day=day, merge=True)) == ["merged"]
    before = shop.everything()
    with pytest.raises(Refused) as error:
        shop.publish(day=3)
    assert refused(error.value) == {"items-drop"}
    assert shop.everything() == before
    with pytest.raises(Problem, match="needs --reason"):
        shop.publish(day=3, accept=("items-drop",))
    with pytest.raises(Problem, match="did you mean items-drop"):
        shop.publish(day=3, accept=("item-drop",), reason="sale")
    shop.publish(day=3, merge=True, accept=("items-drop",), reason="a clearance sale")
    assert "Accept: grocer/home items-drop a clearance sale" in git(shop.origin, "log", "-1", "--format=%B", "main")


@pytest.mark.slow
def test_a_repair_passes_against_the_last_ship_that_accepted_nothing(shop: Shop, tmp_path: Path) -> None:
    for count in (40, 400, 100):
        popularity(tmp_path / f"{count}.json", count)
    shop.publish(tmp_path / "40.json", merge=True)
    shop.publish(tmp_path / "400.json", merge=True)
    with pytest.raises(Refused):
        shop.publish(tmp_path / "100.json", merge=True)
    shop.publish(tmp_path / "100.json", merge=True, accept=("items-drop",), reason="catalogue halved")
    popularity(tmp_path / "45.json", 45)
    with pytest.raises(Refused):
        shop.publish(tmp_path / "45.json", merge=True)
    popularity(tmp_path / "90.json", 90)
    assert outcomes(shop.publish(tmp_path / "90.json", merge=True)) == ["merged"]


# publishing again


@pytest.mark.slow
def test_publishing_again_before_or_after_the_merge_changes_nothing_anywhere(shop: Shop) -> None:
    assert outcomes(shop.publish(day=1)) == ["opened"]
    git(shop.root, "clone", "-q", str(shop.origin), str(shop.root / "second"))
    before = shop.everything()
    for where in (shop.desk, shop.root / "second", shop.origin, f"file://{shop.origin}"):
        assert outcomes(shop.publish(day=1, where=where)) == ["unchanged"]
    assert shop.everything() == before
    shop.merge()
    before = shop.everything()
    for where in (shop.desk, shop.root / "second", shop.origin, f"file://{shop.origin}"):
        assert outcomes(shop.publish(day=1, where=where)) == ["unchanged"]
        assert outcomes(shop.publish(day=1, where=where, merge=True)) == ["unchanged"]
    assert shop.everything() == before


@pytest.mark.slow
def test_a_branch_that_main_was_forwarded_to_is_taken_away_by_publishing_again(shop: Shop) -> None:
    shop.publish(day=1)
    pull = shop.pulls()[0]
    git(shop.origin, "update-ref", "refs/heads/main", f"refs/heads/{pull['branch']}")
    assert shop.publish(day=1).document["targets"][0]["outcome"] == "unchanged"
    assert shop.pulls() == []
    assert shop.check() == []


@pytest.mark.slow
def test_a_second_run_of_the_pipeline_that_differs_only_in_build_is_unchanged(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "a.json", 5), merge=True)
    before = shop.everything()
    assert outcomes(shop.publish(popularity(tmp_path / "b.json", 5, built_at="2027-01-01T00:00:00Z"))) == ["unchanged"]
    assert shop.everything() == before


def test_one_bad_file_among_good_ones_and_nothing_is_written(shop: Shop, tmp_path: Path) -> None:
    good = popularity(tmp_path / "good.json", 5)
    bad = cooc(tmp_path / "bad.json", 5)
    bad.write_text(bad.read_text().replace('"near"', '"far"', 1))
    before = shop.everything()
    with pytest.raises(Refused) as error:
        shop.publish(good, bad)
    assert [(fault.rule, fault.path) for fault in error.value.faults] == [("version-mismatch", str(bad))]
    assert shop.everything() == before


@pytest.mark.slow
def test_a_blob_that_is_taken_away_before_its_record_is_on_main_is_put_again(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = Repository.move
    taken: list[Path] = []

    def late(repo: Repository, moves: Sequence[Move], *more: str, **named: Any) -> None:
        if not taken:
            taken.extend(path for path in shop.store.rglob("*.json") if path not in before)
            for path in taken:
                path.unlink()
        move(repo, moves, *more, **named)

    before = set(shop.store.rglob("*.json"))
    monkeypatch.setattr(Repository, "move", late)
    shop.publish(popularity(tmp_path / "p.json", 12))
    assert len(taken) == 1
    assert hashlib.sha256(taken[0].read_bytes()).hexdigest() == taken[0].stem


def test_nothing_to_publish_is_an_error(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for paths in ((), (tmp_path / "empty",), (tmp_path / "missing.json",)):
        with pytest.raises(Problem):
            shop.publish(*paths)


def test_two_files_for_one_slot_are_refused(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(Refused) as error:
        shop.publish(popularity(tmp_path / "a.json", 5), popularity(tmp_path / "b.json", 6))
    assert refused(error.value) == {"duplicate-slot"}


@pytest.mark.slow
def test_a_staging_directory_gives_the_newest_window_and_a_dangling_pointer_is_refused(
    shop: Shop, tmp_path: Path
) -> None:
    shop.publish(STAGING / "grocer", merge=True)  # nothing is current yet, so nothing drops
    assert "2026-03-03" in json.loads(record_of(shop, "popularity"))["window"]["start"]
    staged = tmp_path / "staging" / "grocer" / "home" / "default" / "popularity" / DAYS[1]
    popularity(staged / "x.json", 3)
    with pytest.raises(Refused, match=re.escape("current.version")):
        shop.publish(tmp_path / "staging")
    (staged / "current.version").write_text("0" * 64 + "\n")
    with pytest.raises(Refused, match="it names version 000000000000"):
        shop.publish(tmp_path / "staging")


def test_a_dry_run_writes_nothing_and_says_what_would_happen(shop: Shop) -> None:
    before = shop.everything()
    outcome = shop.publish(day=1, dry_run=True)
    assert outcomes(outcome) == ["dry-run"]
    assert {each["blob"] for each in outcome.document["artifacts"]} == {None}
    assert shop.everything() == before


@pytest.mark.slow
def test_dropping_a_type_is_a_ship_and_dropping_it_again_is_unchanged(shop: Shop) -> None:
    shop.publish(day=1, merge=True)
    assert outcomes(shop.publish(drops=((GROCER, "cooc"),), merge=True)) == ["merged"]
    assert "cooc" not in current(shop)
    assert "Drop: grocer/home cooc" in git(shop.origin, "log", "-1", "--format=%B", "main")
    assert outcomes(shop.publish(drops=((GROCER, "cooc"),), merge=True)) == ["unchanged"]
    with pytest.raises(Problem, match=r"grocer/home has no coc to drop: did you mean .*popularity\?"):
        shop.publish(drops=((GROCER, "coc"),))
    with pytest.raises(Problem, match=r"grocr/home was never shipped here: did you mean grocer/home\?"):
        shop.publish(drops=((Target("grocr", "home"), "cooc"),))


@pytest.mark.slow
def test_a_newer_day_supersedes_the_open_pull_request_of_an_older_one(shop: Shop) -> None:
    shop.publish(day=1)
    assert outcomes(shop.publish(day=2)) == ["opened"]
    assert len(shop.pulls()) == 1
    assert outcomes(shop.publish(day=1)) == ["superseded"]
    assert len(shop.pulls()) == 1
    shop.merge()
    assert shop.pulls() == []


@pytest.mark.slow
def test_a_superseded_publish_is_no_success_and_pushes_nothing(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.publish(day=1)
    shop.publish(day=2)
    [newer] = shop.pulls()
    hook = shop.origin / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ncat >> '{shop.root}/pushed'\n")
    hook.chmod(0o755)
    words = ["-C", str(shop.desk), "publish", str(STAGING / "grocer"), "--window", DAYS[1]]
    for more in ([], ["--merge"], ["--dry-run"]):
        assert main([*words, *more]) == 4
        last = capsys.readouterr().out.splitlines()[-1]
        assert last.startswith(f"grocer/home: superseded: the open {newer['branch']} has the same types and is newer")
    assert not (shop.root / "pushed").exists()
    assert shop.pulls() == [newer]


@pytest.mark.slow
def test_a_publish_that_sees_the_newer_one_only_after_opening_closes_itself_and_is_no_success(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.publish(day=2)
    [newer] = shop.pulls()
    monkeypatch.setattr(Superseding, "newer_than", lambda *_: None)
    done = shop.publish(day=1, merge=True)
    assert (done.exit_code, outcomes(done)) == (4, ["superseded"])
    assert newer["branch"] in done.document["targets"][0]["says"]
    monkeypatch.setattr(Superseding, "give_way", lambda *_: None)
    look_again = Superseding.look_again

    def then_look(superseding: Superseding, opened: Any) -> Any:
        monkeypatch.undo()
        return look_again(superseding, opened)

    monkeypatch.setattr(Superseding, "look_again", then_look)
    done = shop.publish(day=1)
    assert (done.exit_code, outcomes(done)) == (4, ["superseded"])
    assert newer["branch"] in done.document["targets"][0]["says"]
    assert shop.pulls() == [newer]


@pytest.mark.slow
def test_an_origin_that_is_gone_at_the_last_look_takes_no_outcome_away(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_again = Superseding.look_again

    def gone(superseding: Superseding, opened: Any) -> Any:
        shop.origin.rename(shop.root / "gone")
        return look_again(superseding, opened)

    monkeypatch.setattr(Superseding, "look_again", gone)
    done = shop.publish(day=1)
    assert (done.exit_code, outcomes(done)) == (0, ["opened"])
    assert any(note.startswith("newer pull requests were not looked for: ") for note in done.notes)


@pytest.mark.slow
def test_a_time_far_ahead_outranks_nobody(shop: Shop, tmp_path: Path) -> None:
    one, two = popularity(tmp_path / "one.json", 5), popularity(tmp_path / "two.json", 5, salt="x")
    with shop.open() as repo:
        request = publish.Request((str(one),))
        assert outcomes(publish.publish(Workspace(repo, clock=clock_at(2**35)), request)) == ["opened"]
    assert outcomes(shop.publish(two)) == ["opened"]
    [pull] = shop.pulls()
    shop.merge(pull["id"])
    with shop.open() as repo:
        shown = publish.publish(Workspace(repo, clock=clock_at(2**35)), publish.Request((str(one),), dry_run=True))
    assert outcomes(shown) == ["dry-run"]


@pytest.mark.slow
def test_a_pull_request_whose_manifest_moved_is_rebuilt_by_publishing_again(shop: Shop, tmp_path: Path) -> None:
    one, two = popularity(tmp_path / "p.json", 5), cooc(tmp_path / "c.json", 5)
    shop.publish(one)
    shop.publish(two, merge=True)
    assert [pull["stale"] for pull in shop.pulls()] == [True]
    with pytest.raises(MovedFirst, match=r"publish again, or run pointsman pr refresh \("):
        shop.merge()
    assert outcomes(shop.publish(one)) == ["updated"]
    shop.merge()
    assert set(current(shop)) == {"popularity", "cooc"}


@pytest.mark.slow
def test_one_pull_request_per_run_moves_all_targets_in_one_commit(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", '[forge]\ngroup = "run"\n')
    outcome = shop.publish(STAGING / "bookshop", run="https://ci.example/7")
    assert outcomes(outcome) == ["opened", "opened"]
    assert len({each["pull_request"]["branch"] for each in outcome.document["targets"]}) == 1
    assert len(shop.pulls()) == 1
    shop.merge(shop.pulls()[0]["id"])
    assert git(shop.origin, "diff", "--name-only", "main~1", "main").split() == [
        "manifests/bookshop/detail/manifest.json",
        "manifests/bookshop/home/manifest.json",
    ]
    shop.pull()
    git(shop.desk, "revert", "--no-edit", "HEAD")
    assert shop.check("origin/main", "HEAD") == []


# what a naive stale-base lets through


@pytest.mark.slow
def test_main_merged_into_the_ship_branch_with_its_own_side_kept_is_stale(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p.json", 5), merge=True)
    shop.publish(popularity(tmp_path / "q.json", 6))
    branch = shop.pulls()[0]["branch"]
    shop.publish(cooc(tmp_path / "c.json", 5), merge=True)
    git(shop.desk, "fetch", "-q", "origin")
    git(shop.desk, "checkout", "-q", "-b", "mine", f"origin/{branch}")
    git(shop.desk, "merge", "-q", "-X", "ours", "--no-edit", "origin/main")
    assert git(shop.desk, "diff", "--name-only", "origin/main") == GROCER.manifest_path
    assert shop.check("origin/main", "mine") == ["stale-base"]


@pytest.mark.slow
def test_the_second_of_two_equal_pull_requests_is_stale_after_the_first_was_merged_and_reverted(shop: Shop) -> None:
    shop.publish(day=1, merge=True)
    shop.publish(day=2)
    branch = shop.pulls()[0]["branch"]
    git(shop.origin, "update-ref", "refs/heads/ship/grocer/home/copy", f"refs/heads/{branch}")
    shop.publish(STAGING / "bookshop" / "home", merge=True)  # main moves elsewhere: the squash is another commit
    shop.merge(branch)
    shop.pull()
    git(shop.desk, "revert", "--no-edit", "HEAD")
    git(shop.desk, "push", "-q", "origin", "main")
    reverted = shop.main
    with pytest.raises(Refused, match="no longer current") as error:
        shop.merge("copy")
    assert refused(error.value) == {"stale-base", "rolled-back"}
    assert shop.main == reverted
    assert "stale-base" in shop.check("origin/main", "origin/ship/grocer/home/copy")


def blend(shop: Shop, tmp_path: Path) -> str:
    """Two ships of different types with one updated_at, merged by git without a conflict: a manifest nobody built."""
    shop.publish(day=1, merge=True)  # implicit stands between cooc and popularity: no hunk touches another
    shop.publish(popularity(tmp_path / "p2.json", 60, day=2))
    first = shop.pulls()[0]["branch"]
    git(shop.desk, "fetch", "-q", "origin")
    git(shop.desk, "checkout", "-q", "-B", "one", f"origin/{first}")
    shop.publish(cooc(tmp_path / "c2.json", 60, day=2))
    second = next(pull["branch"] for pull in shop.pulls() if pull["branch"] != first)
    git(shop.desk, "fetch", "-q", "origin")
    git(shop.desk, "checkout", "-q", "-B", "two", f"origin/{second}")
    moment = json.loads(git(shop.desk, "show", f"one:{GROCER.manifest_path}"))["updated_at"]
    path = shop.desk / GROCER.manifest_path
    path.write_text(re.sub(r'"updated_at": ".*"', f'"updated_at": "{moment}"', path.read_text()))
    said = git(shop.desk, "log", "-1", "--format=%B")
    said = re.sub(r"sha256:[0-9a-f]+", f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}", said)
    git(shop.desk, "commit", "-q", "--amend", "-a", "-m", said)
    assert shop.check("origin/main", "two") == []
    git(shop.desk, "merge", "-q", "--no-edit", "one")
    return git(shop.desk, "rev-parse", "HEAD")


@pytest.mark.slow
def test_two_ships_with_equal_updated_at_lines_blend_cleanly_and_are_stopped(shop: Shop, tmp_path: Path) -> None:
    assert "unvouched-manifest" in shop.check("origin/main", blend(shop, tmp_path))


@pytest.mark.slow
def test_a_blend_on_main_is_not_built_on_not_served_and_revertable(shop: Shop, tmp_path: Path) -> None:
    head = blend(shop, tmp_path)
    shop.sync()
    good = shop.serving
    tree = git(shop.desk, "rev-parse", f"{head}^{{tree}}")
    squashed = git(shop.desk, "commit-tree", tree, "-p", "origin/main", "-m", "Merge ship one and ship two")
    git(shop.desk, "push", "-q", "origin", f"{squashed}:main")
    outcome = shop.sync()
    assert outcome.exit_code == 5
    assert [each["outcome"] for each in outcome.document["targets"]] == ["refused"]
    assert shop.serving == good
    with pytest.raises(Refused) as error:
        shop.publish(popularity(tmp_path / "p3.json", 70, day=3))
    assert "unvouched-manifest" in refused(error.value)
    assert "pointsman rollback grocer/home" in str(error.value)
    assert shop.check(head="origin/main") == ["unvouched-manifest"]
    git(shop.desk, "checkout", "-q", "-B", "main", squashed)
    git(shop.desk, "revert", "--no-edit", "HEAD")
    assert shop.check("HEAD~1", "HEAD") == []
    git(shop.desk, "push", "-q", "origin", "main")
    assert shop.sync().exit_code == 0
    assert shop.serving == good
    # A revert of that revert would bring the blend back: bytes that main had, but never in a good state.
    git(shop.desk, "revert", "--no-edit", "HEAD")
    assert "unvouched-manifest" in shop.check("HEAD~1", "HEAD")


@pytest.mark.slow
def test_a_hand_edit_is_refused_even_if_it_forges_the_lines_of_another_target(shop: Shop) -> None:
    shop.publish(day=1, merge=True)
    shop.pull()
    path = shop.desk / GROCER.manifest_path
    path.write_text(re.sub(r'"updated_at": "\d+', '"updated_at": "2031', path.read_text()))
    git(shop.desk, "commit", "-q", "-a", "-m", "tweak\n\nManifest: grocer/homes sha256:" + "0" * 64)
    assert shop.check("origin/main", "HEAD") == ["unvouched-manifest"]


# rollback


@pytest.mark.slow
def test_rollback_restores_the_manifest_before_the_last_ship_and_twice_is_once(shop: Shop) -> None:
    shop.publish(day=1, merge=True)
    first = shop.manifest
    shop.publish(day=2, merge=True)
    assert outcomes(shop.roll_back()) == ["opened"]
    assert outcomes(shop.roll_back()) == ["unchanged"]
    shop.merge()
    assert shop.manifest == first
    assert outcomes(shop.roll_back()) == ["unchanged"]
    assert shop.pulls() == []


@pytest.mark.slow
def test_rollback_now_goes_straight_to_main_and_says_so(shop: Shop) -> None:
    shop.publish(day=1, merge=True)
    first = shop.manifest
    shop.publish(day=2, merge=True)
    with pytest.raises(Problem, match="needs --reason"):
        shop.roll_back(now=True)
    assert outcomes(shop.roll_back(now=True, reason="wrong prices")) == ["merged"]
    assert shop.manifest == first
    said = message.parse(git(shop.origin, "log", "-1", "--format=%B", "main"))
    assert said.about(GROCER).now  # type: ignore[union-attr]
    assert said.reason == "wrong prices"


@pytest.mark.slow
@pytest.mark.parametrize("what", ["commit", "version", "prefix", "time"])
def test_rollback_goes_to_a_commit_a_version_or_a_moment(shop: Shop, what: str) -> None:
    shop.publish(day=1, merge=True)
    first, commit = shop.manifest, shop.main
    moment = git(shop.origin, "log", "-1", "--format=%cI", "main")
    for day in (2, 1):
        shop.publish(day=day, merge=True)
    version = re.findall("popularity/([0-9a-f]{64})", first.decode())[0]
    shop.publish(day=2, merge=True)
    to = {"commit": commit[:12], "version": version, "prefix": version[:10], "time": moment}[what]
    if what == "time":
        git(shop.desk, "fetch", "-q", "origin")
    shop.roll_back(to=to, now=True, reason="x")
    now = json.loads(shop.manifest)["current"]
    assert now == json.loads(first)["current"] or what == "time"


@pytest.mark.slow
def test_rollback_refuses_what_is_not_there(shop: Shop) -> None:
    with pytest.raises(Problem, match="never shipped"):
        shop.roll_back()
    shop.publish(day=1, merge=True)
    with pytest.raises(Problem, match="nothing earlier"):
        shop.roll_back()
    shop.publish(day=2, merge=True)
    for to in ("f" * 64, "2001-01-01", "nonsense", "-x"):
        with pytest.raises(Problem):
            shop.roll_back(to=to)


@pytest.mark.slow
def test_rollback_proves_every_blob_before_anything_moves(shop: Shop) -> None:
    shop.publish(day=1, merge=True)
    victim = Path(next(iter(current(shop).values())).removeprefix("file://"))
    shop.publish(day=2, merge=True)
    before = shop.main
    victim.chmod(0o644)
    victim.write_bytes(victim.read_bytes().replace(b"groc", b"cros", 1))
    with pytest.raises(Refused) as error:
        shop.roll_back(now=True, reason="x")
    assert refused(error.value) == {"blob-altered"}
    victim.unlink()
    with pytest.raises(Refused) as error:
        shop.roll_back()
    assert refused(error.value) == {"blob-missing"}
    assert shop.main == before


# where it works


@pytest.mark.slow
def test_the_whole_loop_works_in_a_shallow_blobless_clone(shop: Shop) -> None:
    git(shop.origin, "config", "uploadpack.allowFilter", "true")
    for day in (1, 2):
        shop.publish(day=day, merge=True)
    poor = shop.root / "poor"
    git(shop.root, "clone", "-q", "--depth=1", "--filter=blob:none", f"file://{shop.origin}", str(poor))
    assert shop.check(where=poor) == []
    assert outcomes(shop.publish(day=1, where=poor)) == ["opened"]
    shop.merge(where=poor)
    assert outcomes(shop.roll_back(where=poor)) == ["opened"]
    shop.merge(where=poor)
    with pytest.raises(Refused):
        shop.publish(day=1, where=poor)
    assert shop.sync(where=poor).exit_code == 0
    assert shop.serving == shop.manifest


@pytest.mark.slow
def test_a_dirty_worktree_stays_untouched(shop: Shop) -> None:
    (shop.desk / "pointsman.toml").write_text("# half done\n")
    (shop.desk / "note.txt").write_text("mine")
    git(shop.desk, "add", "note.txt")
    before = git(shop.desk, "status", "--porcelain"), git(shop.desk, "rev-parse", "HEAD")
    shop.publish(day=1, merge=True)
    shop.roll_back(to=shop.main)
    assert (git(shop.desk, "status", "--porcelain"), git(shop.desk, "rev-parse", "HEAD")) == before
    assert (shop.desk / "pointsman.toml").read_text() == "# half done\n"


@pytest.mark.slow
@pytest.mark.parametrize("origin", ["another", pytest.param("its own", marks=pytest.mark.slow)])
def test_below_the_top_of_a_checkout_every_path_is_what_it_is_at_the_top(shop: Shop, origin: str) -> None:
    shop.publish(day=1, merge=True)
    shop.pull()
    if origin == "its own":
        git(shop.desk, "remote", "remove", "origin")
    below = shop.desk / "manifests" / "grocer"
    before = (below / "home" / "manifest.json").read_bytes()
    assert outcomes(shop.publish(day=2, merge=True, where=below)) == ["merged"]
    with shop.open(below) as repo:
        told = log.log(Workspace(repo), log.Query((GROCER,))).document["events"]
    assert [event["kind"] for event in told] == ["ship", "ship"]
    shop.roll_back(where=below, now=True, reason="half the items")
    assert shop.check(where=below) == []
    with shop.open(below) as repo:
        repo.refresh()
        assert repo.content(Snapshot(repo, repo.main).entry(GROCER.manifest_path)) == before
    (shop.desk / GROCER.manifest_path).write_bytes(before + b"x")
    git(shop.desk, "add", "-A")
    assert shop.check(where=below, staged=True) == shop.check(staged=True) == ["bad-json"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["a..b/x..", *(pytest.param(name, marks=pytest.mark.slow) for name in ("run/home...", "HEAD/all", "a./b"))]
)
def test_every_name_of_the_grammar_goes_all_the_way(shop: Shop, tmp_path: Path, name: str) -> None:
    target = Target.parse(name)
    names = {"tenant": target.tenant, "surface": target.surface}
    for day in (1, 2):
        assert outcomes(shop.publish(popularity(tmp_path / "p.json", 9 + day, day=day, **names))) == ["opened"]
        assert (day == 1) or outcomes(shop.publish(cooc(tmp_path / "c.json", 5, day=2, **names))) == ["opened"]
        (first, *others) = shop.pulls()
        shop.merge(first["id"])
        for other in others:
            with shop.open() as repo:
                (again,) = refresh.refresh(Workspace(repo)).document["pull_requests"]
            assert (again["outcome"], again["branch"]) == ("rebuilt", other["branch"])
            shop.merge(other["id"])
    with shop.open() as repo:
        request = hold.Request(str(target), until="2999-01-01", reason="x")
        opened = hold.change_hold(Workspace(repo, clock=clock_at(0)), request).document["pull_request"]
    shop.merge(opened["id"])
    assert outcomes(shop.roll_back(target)) == ["opened"]
    shop.merge(str(target))
    assert shop.sync().exit_code == 0
    assert shop.check(head="origin/main") == []


CONFIGURED = """
[user]
name = Someone
email = someone@example.org
[color]
ui = always
[commit]
cleanup = scissors
[core]
abbrev = 4
autocrlf = true
fsmonitor = true
hooksPath = /bin
ignoreCase = true
[diff]
external = false
ignoreSubmodules = all
noprefix = true
orderFile = /nowhere
relative = true
renames = copies
[fetch]
fsckObjects = true
prune = true
pruneTags = true
[format]
pretty = oneline
[i18n]
commitEncoding = latin1
logOutputEncoding = latin1
[log]
abbrevCommit = true
date = relative
decorate = full
diffMerges = off
follow = true
mailmap = true
showRoot = false
showSignature = true
[merge]
ff = false
[protocol]
version = 0
[push]
default = nothing
followTags = true
gpgSign = if-asked
[safe]
bareRepository = explicit
[submodule]
recurse = true
[transfer]
fsckObjects = true
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "where", ["checkout", pytest.param("bare", marks=pytest.mark.slow), pytest.param("url", marks=pytest.mark.slow)]
)
def test_nothing_that_a_user_configures_for_git_changes_what_is_read_and_written(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    (tmp_path / ".gitconfig").write_text(CONFIGURED)
    monkeypatch.setenv("HOME", str(tmp_path))
    place = {"checkout": str(shop.desk), "bare": str(shop.origin), "url": f"file://{shop.origin}"}[where]
    for day in (1, 2):
        assert outcomes(shop.publish(day=day, merge=True, where=place, run="résumé")) == ["merged"]
    assert len(message.parse(git(shop.origin, "--git-dir=.", "log", "-1", "--format=%B", "main")).run) == 6
    assert outcomes(shop.roll_back(where=place)) == ["opened"]
    shop.merge(where=place)
    assert shop.sync(where=place).exit_code == 0
    with shop.open(place) as repo:
        told = log.log(Workspace(repo), log.Query((GROCER,))).document["events"]
        assert [event["kind"] for event in told] == ["restore", "ship", "ship"]
        assert audit.audit(Workspace(repo)).exit_code == 0
    assert shop.serving == git(shop.origin, "--git-dir=.", "show", f"main:{GROCER.manifest_path}").encode() + b"\n"


@pytest.mark.slow
def test_a_checkout_that_is_its_own_origin_is_brought_along_only_if_clean(shop: Shop) -> None:
    git(shop.desk, "remote", "remove", "origin")
    with shop.open() as repo:
        from pointsman.verbs import publish

        publish.publish(Workspace(repo), publish.Request((str(STAGING / "grocer"),), windows=(DAYS[1],), merge=True))
        assert repo.notes == []
    assert git(shop.desk, "status", "--porcelain") == ""
    assert (shop.desk / GROCER.manifest_path).exists()
    (shop.desk / "pointsman.toml").write_text((shop.desk / "pointsman.toml").read_text() + "# mine\n")
    with shop.open() as repo:
        publish.publish(Workspace(repo), publish.Request((str(STAGING / "grocer"),), windows=(DAYS[2],), merge=True))
        assert len(repo.notes) >= 1
    assert (shop.desk / "pointsman.toml").read_text().endswith("# mine\n")


@pytest.mark.slow
@pytest.mark.parametrize("start", ["beside another branch", "bare"])
def test_a_linked_worktree_of_main_is_brought_along_only_if_clean(shop: Shop, tmp_path: Path, start: str) -> None:
    """Git says which worktrees there are; it is not where the command runs."""
    where, linked = (shop.origin if start == "bare" else shop.desk), tmp_path / "a linked one"
    if start != "bare":
        git(shop.desk, "remote", "remove", "origin")
        git(shop.desk, "checkout", "-q", "-b", "work")
    git(where, "worktree", "add", "-q", str(linked), "main")

    def publish_of(day: int) -> list[str]:
        from pointsman.verbs import publish

        with open_repository(str(where)) as repo:
            asked = publish.Request((str(STAGING / "grocer"),), windows=(DAYS[day],), merge=True)
            publish.publish(Workspace(repo), asked)
            return list(repo.notes)

    assert publish_of(1) == []
    assert git(linked, "status", "--porcelain") == ""
    assert (linked / GROCER.manifest_path).exists()
    (linked / "pointsman.toml").write_text((linked / "pointsman.toml").read_text() + "# mine\n")
    (note,) = publish_of(2)
    assert f"the checkout in {linked} has changes of its own" in note
    assert f"git -C {shlex.quote(str(linked))} restore --source=HEAD" in note
    assert (linked / "pointsman.toml").read_text().endswith("# mine\n")


@pytest.mark.slow
def test_it_works_without_an_identity_and_in_a_path_with_spaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path / "kauppa & käyttäjä")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    shop.publish(day=1, merge=True)
    author = git(shop.origin, "log", "-1", "--format=%an <%ae>", "main")
    assert "no git user.name set" in author
    assert shop.sync().exit_code == 0
    assert shop.serving == shop.manifest
    assert shop.check() == []


@pytest.mark.slow
def test_a_remote_that_refuses_the_push_is_one_sentence_and_the_next_run_finishes(shop: Shop) -> None:
    hook = shop.origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'main is protected' >&2\nexit 1\n")
    hook.chmod(0o755)
    before = shop.main
    with pytest.raises(Unreachable, match="main is protected"):
        shop.publish(day=1)
    assert shop.main == before
    hook.unlink()
    assert outcomes(shop.publish(day=1, merge=True)) == ["merged"]


def test_what_is_no_repository_or_no_remote_is_said_in_one_sentence(tmp_path: Path, shop: Shop) -> None:
    for where in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(Problem) as error, open_repository(str(where)):
            pass
        assert error.value.exit_code == 2
    git(shop.desk, "remote", "set-url", "origin", str(tmp_path / "gone.git"))
    with pytest.raises(Unreachable) as unreachable:
        shop.publish(day=1)
    assert unreachable.value.exit_code == 3


def test_refs_move_only_from_where_they_were(shop: Shop) -> None:
    for where in (shop.desk, shop.origin):
        with shop.open(where) as repo:
            main = repo.refresh()
            commit = repo.commit(repo.tree_of(main), [main], "empty\n")
            with pytest.raises(MovedFirst):
                repo.move([Move(MAIN, commit, commit)])
            with pytest.raises(MovedFirst):
                repo.move([Move(MAIN, commit, None)])
            assert shop.main == main


@pytest.mark.slow
def test_judging_the_tenth_ship_runs_no_more_git_than_judging_the_fourth(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, ...]] = []
    start = Git.start

    def counted(git: Git, *words: str, env: dict[str, str] | None = None) -> Popen[bytes]:
        started.append(words)
        return start(git, *words, env=env)

    monkeypatch.setattr(Git, "start", counted)
    costs = {}
    for ship in range(1, 11):
        path = popularity(tmp_path / f"{ship}.json", 10, salt=str(ship))
        started.clear()
        shop.publish(path, merge=True, where=shop.origin)
        costs[ship] = len(started)
    assert costs[10] == costs[4]
