"""What gc takes, what it leaves, what it brings back: on real repositories and stores."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from clocks import clock_at
from msgspec.structs import replace
from output_schemas import validate
from shop import GROCER, Kept, Shop, git, popularity

from pointsman import artifact
from pointsman.cli import gc as command
from pointsman.errors import MovedFirst, Problem, Refused, Unreachable
from pointsman.outcome import Outcome
from pointsman.repo import present
from pointsman.repo.repository import Repository
from pointsman.retention import collect, look, markers, owners
from pointsman.retention.summary import SUMMARY
from pointsman.state.documents import Tombstone, rfc3339
from pointsman.state.objects import Commit, Oid
from pointsman.state.store_url import Access
from pointsman.store import file_moves
from pointsman.store.directory import FileStore
from pointsman.verbs import gc, retire_plan
from pointsman.verbs import retire as retire_verb
from pointsman.workspace import Workspace

DAY = 86400
NOW = 1_900_000_000  # of every clock here but those of git, which is much earlier
RETENTION = "[retention]\nkeep_days = 1\nkeep_ships = 1\n"


def shipped(root: Path) -> Shop:
    """Two ships, the second served."""
    shop = Shop(root, RETENTION)
    for day in (1, 2):
        shop.publish(popularity(root / f"{day}.json", 10 * day, day=day), merge=True)
    shop.sync()
    shop.pull()
    return shop


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("gc"), shipped)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def collected(
    shop: Shop, *also: Path, now: float | None = NOW, where: Path | None = None, **request: Any
) -> Outcome[gc.Collected]:
    with shop.open(where) as repo:
        if not also:
            return gc.gc(Workspace(repo, clock=clock_at(now)), gc.Request(**request))
        with shop.open(also[0]) as other:
            return gc.gc(Workspace(repo, clock=clock_at(now)), gc.Request(**request), [Workspace(other)])


def blob(
    shop: Shop, data: bytes, target: str = "grocer/home", *, age: float = 3 * DAY, slot: str = "popularity"
) -> Path:
    path = shop.store / target / slot / f"{hashlib.sha256(data).hexdigest()}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (NOW - age, NOW - age))
    return path


def versions(shop: Shop) -> list[str]:
    """The two versions, the current one last."""
    current = shop.manifest.decode()
    every = [path.stem for path in (shop.desk / "registry/grocer/home/popularity").glob("*.json")]
    return sorted(every, key=lambda version: version in current)


def place(shop: Shop, version: str) -> Path:
    return shop.store / "grocer/home/popularity" / f"{version}.json"


def commit(shop: Shop, when: int) -> None:
    git(shop.desk, "add", "-A")
    dates = {f"GIT_{who}_DATE": f"@{when} +0000" for who in ("COMMITTER", "AUTHOR")}
    git(shop.desk, "commit", "-q", "--allow-empty", "-m", "by hand", env=dates)
    git(shop.desk, "push", "-q", "origin", "HEAD:main")


def retire(shop: Shop, version: str, *, ago: float = 8 * DAY, erase: bool = False) -> Path:
    """Land a tombstone, as long before `NOW`; what it retires is old."""
    stone = Tombstone("grocer", "home", "popularity", version, "it is not needed", erase)
    path = shop.desk / stone.path
    path.write_bytes(stone.render())
    commit(shop, int(NOW - ago))
    if place(shop, version).exists():
        os.utime(place(shop, version), (NOW - 30 * DAY, NOW - 30 * DAY))
    return path


def trash(shop: Shop) -> list[Path]:
    return sorted(path for path in (shop.store / ".pointsman/trash").rglob("*") if path.is_file())


def age_trash(shop: Shop, days: float) -> None:
    """Make what is in the trash so old, by its directories and by the file system's clock."""
    for path in trash(shop):
        inner = path.relative_to(shop.store / ".pointsman/trash")
        day = datetime.fromtimestamp(NOW - days * DAY, UTC).strftime("%Y-%m-%d")
        goal = shop.store / ".pointsman/trash" / day / Path(*inner.parts[1:])
        goal.parent.mkdir(parents=True, exist_ok=True)
        path.rename(goal)
        os.utime(goal, (NOW - days * DAY, NOW - days * DAY))


# what goes


def test_without_delete_it_only_tells_and_writes_nothing(shop: Shop) -> None:
    old = blob(shop, b"orphan")
    before = shop.everything()
    document = collected(shop).document
    assert shop.everything() == before
    assert document["dry_run"] is True
    assert document["orphans"] == [{"uri": f"file://{old}", "size": 6, "age_seconds": 3 * DAY}]
    assert (document["listed"], document["live"], document["deleted"]) == (3, 2, 0)


def test_an_orphan_goes_into_the_trash_byte_for_byte_and_what_is_recorded_stays(shop: Shop) -> None:
    old = blob(shop, b"orphan")
    document = collected(shop, delete=True).document
    assert (document["deleted"], document["taken"], document["purged"]) == (1, 1, 0)
    assert not old.exists()
    assert [path.read_bytes() for path in trash(shop)] == [b"orphan"]
    assert trash(shop)[0].parts[-6:-1] == ("trash", "2030-03-17", "grocer", "home", "popularity")
    assert all(place(shop, version).exists() for version in versions(shop))
    again = collected(shop, delete=True).document
    assert (again["orphans"], again["trash"], again["deleted"]) == ([], 1, 0)


@pytest.mark.slow
def test_what_is_younger_than_the_grace_stays(shop: Shop) -> None:
    young = blob(shop, b"young", age=3600 - 1)
    assert collected(shop, delete=True, grace="1h").document["orphans"] == []
    assert young.exists()
    assert collected(shop, delete=True, grace="59m").document["deleted"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("grace", ["24", "a day", "-1h", "1.5h", "", "1y"])
def test_a_time_without_a_unit_is_told_in_a_sentence(shop: Shop, grace: str) -> None:
    with pytest.raises(Problem, match="is no time: write a number and its unit"):
        collected(shop, delete=True, grace=grace)


def test_a_retired_version_goes_when_its_tombstone_is_ripe_and_not_before(shop: Shop) -> None:
    old, _ = versions(shop)
    retire(shop, old, ago=6 * DAY)
    early = collected(shop, delete=True).document
    assert early["retired"] == []
    assert "less than 7 days ago" in early["kept"][0]["says"]
    document = collected(shop, now=NOW + DAY, delete=True).document
    assert [(each["version"], each["target"]) for each in document["retired"]] == [(old, "grocer/home")]
    assert (document["taken"], place(shop, old).exists()) == (1, False)


@pytest.mark.slow
def test_a_tombstone_that_was_green_before_a_ship_of_its_version_takes_nothing(shop: Shop) -> None:
    old, new = versions(shop)
    retire(shop, old, ago=30 * DAY)
    manifest = shop.desk / GROCER.manifest_path
    manifest.write_text(manifest.read_text().replace(new, old))
    commit(shop, int(NOW - 20 * DAY))
    document = collected(shop, delete=True).document
    assert document["taken"] == 0
    assert "points to this version" in document["kept"][0]["says"]


# what stays


@pytest.mark.slow
def test_what_a_pointer_serves_stays_whatever_main_says_of_it(shop: Shop) -> None:
    old, new = versions(shop)
    retire(shop, old)
    pointer = shop.store / "registry/current/grocer/home/manifest.json"
    pointer.write_text(pointer.read_text().replace(new, old))
    served = collected(shop, delete=True).document
    assert served["kept"] == [{"uri": f"file://{place(shop, old)}", "says": "serving still points to it"}]
    assert place(shop, old).exists()


@pytest.mark.slow
@pytest.mark.parametrize("text", ["{not JSON %s", '{"v": 1, "current": {"popularity": "s3://x/%s.json"}}', "%s"])
def test_what_a_pointer_of_any_form_names_stays(shop: Shop, text: str) -> None:
    orphan = blob(shop, b"orphan")
    path = shop.store / "registry/current/other/web/manifest.json"
    path.parent.mkdir(parents=True)
    path.write_text(text % orphan.stem.upper())
    assert collected(shop, delete=True).document["kept"][0]["says"] == "serving names it"


@pytest.mark.slow
def test_what_a_pointer_or_a_claim_at_any_of_several_places_names_stays(shop: Shop) -> None:
    with (shop.desk / "pointsman.toml").open("a") as settings:
        for name in ("east", "west"):
            template = f"file://{shop.root}/{name}/{{tenant}}/{{surface}}/manifest.json"
            settings.write(f'[[serving]]\nname = "{name}"\nmanifest = "{template}"\n')
    commit(shop, NOW - 30 * DAY)
    served, claimed = blob(shop, b"served"), blob(shop, b"claimed")
    for name, version in (("grocer/home/manifest", served.stem), (".pointsman/claims/grocer/home", claimed.stem)):
        path = shop.root / f"west/{name}.json"
        path.parent.mkdir(parents=True)
        path.write_text(version)
    (shop.root / "east").mkdir()
    told = collected(shop, delete=True, max_share=1)
    assert [each["says"] for each in told.document["kept"]] == ["serving names it"] * 2
    assert told.notes == (
        f"nothing is in file://{shop.root}/east, so nothing that serving reads there was kept: is it mounted?",
    )


@pytest.mark.slow
def test_a_version_that_json_writes_in_another_way_is_read_all_the_same(shop: Shop) -> None:
    orphan = blob(shop, b"orphan")
    path = shop.store / "registry/current/other/web/manifest.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"current": {"a": "~"}}).replace("~", "".join(f"\\u{ord(x):04x}" for x in orphan.stem)))
    assert collected(shop, delete=True).document["taken"] == 0


@pytest.mark.slow
def test_a_claim_keeps_what_is_retired_of_its_target(shop: Shop) -> None:
    old, _ = versions(shop)
    retire(shop, old)
    claim = shop.store / "registry/current/.pointsman/claims/grocer/home.json"
    claim.parent.mkdir(parents=True)
    claim.write_text("{}")
    assert collected(shop, delete=True).document["kept"][0]["says"] == "somebody claims its target"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["registry/grocer/home/popularity/{}.json", "manifests/grocer/home/manifest.json"])
def test_what_a_file_of_a_branch_or_of_a_ticket_to_land_names_stays(shop: Shop, name: str) -> None:
    orphan = blob(shop, b"orphan")
    git(shop.desk, "checkout", "-q", "-b", "records/somebody")
    path = shop.desk / name.format(orphan.stem)
    path.write_text(f'{{"current": "{orphan.stem}"}}')
    git(shop.desk, "add", "-A")
    git(shop.desk, "commit", "-q", "-m", "a record")
    ref = "refs/pointsman/landing/0" if name.startswith("registry") else "refs/heads/any/name/at-all"
    git(shop.desk, "push", "-q", "origin", f"HEAD:{ref}")
    document = collected(shop, delete=True).document
    assert document["kept"] == [{"uri": f"file://{orphan}", "says": "a branch names it"}]
    git(shop.origin, "update-ref", "-d", ref)
    assert collected(shop, delete=True).document["taken"] == 1


@pytest.mark.slow
def test_what_no_document_of_a_branch_says_plainly_counts_by_its_digits(shop: Shop) -> None:
    orphan = blob(shop, b"orphan")
    git(shop.desk, "checkout", "-q", "-b", "odd")
    path = shop.desk / "registry/grocer/home/odd"
    path.write_text(f"<<<<<<< {orphan.stem}")
    git(shop.desk, "add", "-A")
    git(shop.desk, "commit", "-q", "-m", "a merge gone wrong")
    git(shop.desk, "push", "-q", "origin", "HEAD:odd")
    assert collected(shop, delete=True).document["kept"][0]["says"] == "a branch names it"


@pytest.mark.slow
def test_what_recsys_pipelines_has_beside_serving_elsewhere_and_beside_the_blobs_stays(shop: Shop) -> None:
    with (shop.desk / "pointsman.toml").open("a") as settings:
        settings.write(
            f'[serving]\nmanifest = "file://{shop.root}/recsys/current/{{tenant}}/{{surface}}/manifest.json"\n'
        )
    commit(shop, NOW - 30 * DAY)
    recorded, current, other = blob(shop, b"recorded"), blob(shop, b"current"), blob(shop, b"nobody's")
    record = shop.root / f"recsys/records/grocer/home/popularity/{recorded.stem}.json"
    pointer = shop.store / "registry/current/grocer/web/manifest.json"
    for path in (record, pointer):
        path.parent.mkdir(parents=True)
        path.write_text(f'{{"version": "{current.stem}"}}')
    (shop.root / "recsys/current").mkdir()
    document = collected(shop, delete=True, max_share=1).document
    assert {each["uri"]: each["says"] for each in document["kept"]} == {
        f"file://{recorded}": "a record of recsys-pipelines names it",
        f"file://{current}": "serving names it",
    }
    assert not other.exists()


@pytest.mark.slow
def test_what_recsys_pipelines_recorded_stays(shop: Shop) -> None:
    orphan = blob(shop, b"orphan")
    record = shop.store / f"registry/records/grocer/home/popularity/{orphan.stem}.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    document = collected(shop, delete=True).document
    assert document["kept"][0]["says"] == "a record of recsys-pipelines names it"
    assert orphan.exists()


def test_nothing_foreign_is_touched(shop: Shop) -> None:
    """A clone's sandbox, another tool's registry, a directory that somebody else fills, odd keys and links."""
    away = shop.root / "away"
    away.mkdir()
    linked = blob(shop, b"linked")
    linked.rename(away / linked.name)
    linked.symlink_to(away / linked.name)
    strange = [
        shop.store / name
        for name in (
            "notes.txt", "grocer/home/popularity/latest.json", f"grocer/home/popularity/{'A' * 64}.json",
            f"grocer/home/popularity/{'a' * 64}.json.bak", f"grocer/home/{'a' * 64}.json",
            f"..x/home/t/{'b' * 64}.json",
            f"grocer/home/popularity/sub/{'c' * 64}.json", f"grocer/home/pop ularity/{'d' * 64}.json",
            f"grocer/home/x.lock/{'e' * 64}.json", f"registry/home/popularity/{'f' * 64}.json",
            ".pointsman/trash/2026-13-40/grocer/home/popularity/" + "a" * 64 + ".json", ".pointsman/trash/odd",
        )
    ]  # fmt: skip
    for path in strange:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"theirs")
        os.utime(path, (1, 1))
    sandbox = blob(shop, b"of a target that main does not know", "sandbox/home")
    document = collected(shop, delete=True).document
    assert document["taken"] == 0
    assert document["unknown"] == 11 + 1  # nine odd keys, the link, the tenant registry, and the sandbox's blob
    assert all(path.read_bytes() == b"theirs" for path in strange)
    assert sandbox.exists()
    assert linked.is_symlink()


@pytest.mark.slow
def test_a_clone_with_its_own_serving_on_the_same_store_is_told_whose_the_store_is(shop: Shop) -> None:
    collected(shop, delete=True)
    clone = Shop(shop.root / "other", RETENTION, f"file://{shop.store}")
    clone.store = shop.store
    clone.publish(popularity(clone.root / "a.json", 9, surface="web"), merge=True)
    orphan, theirs = blob(shop, b"orphan"), blob(shop, b"of the other", "grocer/web")
    for one in (shop, clone):
        with pytest.raises(Problem, match=r"another repository keeps its blobs in this store: .*owners/[0-9a-f]{40}-"):
            collected(one, delete=True)
        assert (orphan.exists(), theirs.exists()) == (True, True)
    document = collected(shop, clone.desk, delete=True).document
    assert (document["taken"], orphan.exists(), theirs.exists()) == (1, False, True)
    assert (document["live"], document["unknown"]) == (2, 2), "it has no record of grocer/web"


def forked(shop: Shop) -> Shop:
    """A clone with all records, an origin and a serving of its own, and the same store."""
    fork = Shop.__new__(Shop)
    fork.root = shop.root / "fork"
    fork.origin, fork.desk, fork.store = fork.root / "origin.git", fork.root / "desk", shop.store
    git(shop.root, "clone", "-q", "--bare", str(shop.origin), str(fork.origin))
    git(shop.root, "clone", "-q", str(fork.origin), str(fork.desk))
    place = f"file://{fork.root}/serving/{{tenant}}/{{surface}}/manifest.json"
    with (fork.desk / "pointsman.toml").open("a") as settings:
        settings.write(f'[serving]\nmanifest = "{place}"\n')
    (fork.root / "serving").mkdir()
    fork.push("its own serving")
    return fork


def by_fork_publish(fork: Shop) -> None:
    fork.publish(popularity(fork.root / "3.json", 15, day=3), record_only=True)


def by_fork_ship(fork: Shop) -> None:
    by_ship(fork)


def by_fork_rollback(fork: Shop) -> None:
    by_rollback(fork)


def by_fork_sync(fork: Shop) -> None:
    assert fork.sync().exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize("verb", [by_fork_publish, by_fork_ship, by_fork_rollback, by_fork_sync])
def test_a_fork_that_uses_the_store_stops_gc_of_the_first(shop: Shop, verb: Callable[[Shop], None]) -> None:
    """It has records from the start, so its first publish is not the first of its history."""
    orphan = blob(shop, b"orphan")
    fork = forked(shop)
    assert len(list((shop.store / ".pointsman/owners").iterdir())) == 1
    verb(fork)
    for path in shop.store.glob("grocer/home/popularity/*.json"):
        os.utime(path, (1, 1))
    for delete in (False, True):
        with pytest.raises(Problem, match="another repository keeps its blobs in this store"):
            collected(shop, delete=delete)
    assert orphan.exists()
    verb(fork)
    assert len(list((shop.store / ".pointsman/owners").iterdir())) == 2
    assert collected(shop, fork.desk, delete=True).document["taken"] == 1


@pytest.mark.parametrize("purges", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_owner_who_comes_while_gc_looks_stops_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, *, purges: bool
) -> None:
    orphan = blob(shop, b"orphan")
    if purges:
        collected(shop, delete=True)
        age_trash(shop, 8)
    comes = shop.store / ".pointsman/owners/other.json"
    plain = look.Party.look

    def late(party: look.Party, *, sure: bool = False) -> look.View:
        comes.write_text("{}")
        return plain(party, sure=sure)

    monkeypatch.setattr(look.Party, "look", late)
    with pytest.raises(Problem, match="another repository keeps its blobs in this store"):
        collected(shop, delete=True)
    assert orphan.exists() is not purges
    assert len(trash(shop)) == purges
    assert not [*(shop.store / ".pointsman").glob("gc/*")], "nothing was taken under its marker, so it is gone"


@pytest.mark.slow
def test_a_version_that_the_other_repository_records_stays(shop: Shop) -> None:
    clone = Shop(shop.root / "other", RETENTION, f"file://{shop.store}")
    clone.publish(popularity(clone.root / "a.json", 9, day=3), merge=True)
    (theirs,) = [path for path in shop.store.glob("grocer/home/popularity/*.json") if path.stem not in versions(shop)]
    os.utime(theirs, (1, 1))
    assert collected(shop, clone.desk, delete=True).document["orphans"] == []
    assert theirs.exists()


@pytest.mark.slow
def test_what_the_other_repository_records_or_serves_stays_or_comes_back(shop: Shop) -> None:
    old, _ = versions(shop)
    retire(shop, old)
    fork = forked(shop)  # where it has no tombstone
    git(fork.desk, "rm", "-q", GROCER.tombstone_path("popularity", old))
    fork.push("it is needed here")
    served, orphan = blob(shop, b"served there"), blob(shop, b"orphan")
    pointer = fork.root / "serving/grocer/home/manifest.json"
    pointer.parent.mkdir(parents=True)
    pointer.write_text(served.stem)
    document = collected(shop, fork.desk, delete=True, max_share=1).document
    assert [each["says"] for each in document["kept"]] == ["serving names it"]
    assert (document["retired"], orphan.exists(), place(shop, old).exists()) == ([], False, True)
    for version in (served.stem, old):
        take_into_trash(shop, version)
    age_trash(shop, 8)
    document = collected(shop, fork.desk, delete=True).document
    assert (document["restored"], document["purged"]) == (2, 1)
    assert (served.exists(), place(shop, old).exists()) == (True, True)


@pytest.mark.slow
def test_a_store_of_nobody_is_that_of_the_first_gc_that_deletes_and_a_look_leaves_it_nobody_s(shop: Shop) -> None:
    owners = shop.store / ".pointsman/owners"
    for path in owners.iterdir():
        path.unlink()
    collected(shop)
    assert list(owners.iterdir()) == []
    collected(shop, delete=True)
    assert len(list(owners.iterdir())) == 1


@pytest.mark.slow
def test_the_first_publish_says_whose_the_store_is_and_all_clones_have_one_name(shop: Shop) -> None:
    owners = list((shop.store / ".pointsman/owners").iterdir())
    root = git(shop.origin, "rev-list", "--max-parents=0", "main")
    assert [path.name[: len(root)] for path in owners] == [root]
    for where in (shop.origin, shop.desk):
        collected(shop, where=where, delete=True)
    assert list((shop.store / ".pointsman/owners").iterdir()) == owners


@pytest.mark.slow
def test_from_20_blobs_on_a_large_share_of_orphans_takes_nothing(shop: Shop) -> None:
    orphans = [blob(shop, b"%d" % number) for number in range(18)]
    outcome = collected(shop, delete=True)
    assert outcome.exit_code == 1
    assert "18 of 20 blobs are orphans" in outcome.notes[0]
    assert min(path.name for path in orphans) in outcome.notes[0]
    assert all(path.exists() for path in orphans)
    assert outcome.document["faults"][0]["rule"] == "max-share"
    orphans[0].unlink()
    assert collected(shop, delete=True).document["taken"] == 17, "with fewer than 20 blobs there is no share"


@pytest.mark.slow
def test_a_dry_run_of_too_large_a_share_says_that_nothing_would_go_and_the_share_it_names_is_enough(shop: Shop) -> None:
    for number in range(18):
        blob(shop, b"%d" % number)
    outcome = collected(shop)
    text = command.render(outcome.value)
    assert (outcome.exit_code, "would take file:" in text, "--delete would take nothing." in text) == (1, False, True)
    says = outcome.document["faults"][0]["says"]
    assert says.endswith("If it is right: pointsman gc --delete --max-share 0.9")
    records = shop.store / "registry/current/grocer/web/manifest.json"  # what it names is no orphan
    records.parent.mkdir(parents=True)
    records.write_text(" ".join(blob(shop, b"served %d" % number).stem for number in range(42)))
    share = collected(shop, max_share=0.1).document["faults"][0]["says"].rpartition(" ")[2]
    assert share == "0.3", "of 18 in 62: 0.29 is a little less"
    assert collected(shop, delete=True, max_share=float(share)).document["taken"] == 18


@pytest.mark.slow
def test_a_share_that_is_allowed_is_taken(shop: Shop) -> None:
    for number in range(18):
        blob(shop, b"%d" % number)
    assert collected(shop, delete=True, max_share=0.9).document["taken"] == 18


# when something is wrong


@pytest.mark.slow
def test_orphans_that_something_speaks_for_are_no_share(shop: Shop) -> None:
    orphans = [blob(shop, b"%d" % number) for number in range(20)]
    path = shop.store / "registry/current/grocer/web/manifest.json"
    path.parent.mkdir(parents=True)
    path.write_text(" ".join(each.stem for each in orphans[2:]))
    outcome = collected(shop, delete=True)
    assert (outcome.document["taken"], outcome.exit_code) == (2, 0)


@pytest.mark.slow
def test_an_origin_whose_pushes_meet_another_main_stops_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lagging replica answers fetches; pushes go to where main has moved."""
    orphan = blob(shop, b"orphan")
    ahead = shop.root / "ahead.git"
    git(shop.root, "clone", "-q", "--bare", str(shop.origin), str(ahead))
    git(shop.desk, "commit", "-q", "--allow-empty", "-m", "newer")
    git(shop.desk, "push", "-q", str(ahead), "HEAD:main")
    with shop.open() as repo:
        workspace = Workspace(repo, clock=clock_at(NOW))
        plain = repo.git.run

        def run(*words: str, **more: Any) -> Any:
            return plain(*[str(ahead) if words[0] == "push" and word == "origin" else word for word in words], **more)

        monkeypatch.setattr(repo.git, "run", run)
        with pytest.raises(Problem, match="takes pushes on another") as caught:
            gc.gc(workspace, gc.Request(delete=True))
    assert caught.value.exit_code == 4
    assert orphan.exists()
    assert not list((shop.store / ".pointsman/gc").iterdir()), "nothing was taken under its marker, so it is gone"


@pytest.mark.slow
def test_an_origin_that_takes_pushes_without_a_word_stops_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As behind a wrapper of git that swallows what it says."""
    orphan = blob(shop, b"orphan")
    wrapper, real = tmp_path / "git", shutil.which("git")
    wrapper.write_text(f'#!/bin/sh\ncase " $* " in *" push "*) exec {real} "$@" > /dev/null;; esac\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(Unreachable, match="did not tell what its main is to pushes"):
        collected(shop, delete=True)
    assert orphan.exists()


@pytest.mark.slow
def test_an_origin_that_does_not_answer_stops_it(shop: Shop) -> None:
    orphan = blob(shop, b"orphan")
    shop.origin.rename(shop.root / "away.git")
    with pytest.raises(Unreachable):
        collected(shop, delete=True)
    assert orphan.exists()


def damaged_branch(shop: Shop, path: str, text: str) -> Path:
    """Push a branch with a file from elsewhere, and lose its root tree in the origin. The file of its commit there."""
    elsewhere = shop.root / "elsewhere"
    git(shop.root, "clone", "-q", str(shop.origin), str(elsewhere))
    (elsewhere / path).write_text(text)
    git(elsewhere, "add", "-A")
    git(elsewhere, "commit", "-q", "-m", "a branch")
    git(elsewhere, "push", "-q", "origin", "HEAD:somebody")
    ids = git(elsewhere, "rev-parse", "HEAD", "HEAD^{tree}").split()
    held, lost = (shop.origin / "objects" / oid[:2] / oid[2:] for oid in ids)
    lost.unlink()
    return held


@pytest.mark.slow
@pytest.mark.parametrize("begun", [False, True], ids=["not at all", "but for its commit"])
def test_a_branch_that_cannot_be_fetched_stops_it(shop: Shop, *, begun: bool) -> None:
    """A fetch that was killed may have left the commit alone: git then takes a missing tree for an empty one."""
    orphan = blob(shop, b"orphan")
    held = damaged_branch(shop, f"registry/grocer/home/popularity/{orphan.stem}.json", "{}")
    if begun:
        place = shop.desk / ".git/objects" / held.parent.name / held.name
        place.parent.mkdir(exist_ok=True)
        shutil.copy(held, place)
    with pytest.raises(Unreachable, match="a branch of the origin could not be fetched, so gc takes nothing"):
        collected(shop, delete=True)
    assert orphan.exists()


@pytest.mark.slow
def test_a_damaged_branch_of_an_origin_that_gc_runs_in_stops_it(shop: Shop) -> None:
    orphan = blob(shop, b"orphan")
    damaged_branch(shop, f"registry/grocer/home/popularity/{orphan.stem}.json", "{}")
    with pytest.raises(Problem, match=r"git cannot read a tree .*: the repository is damaged"):
        collected(shop, delete=True, where=shop.origin)
    assert orphan.exists()


@pytest.mark.slow
def test_a_branch_that_is_no_commit_stops_it_by_its_name(shop: Shop) -> None:
    orphan = blob(shop, b"orphan")
    tree = git(shop.origin, "rev-parse", "main^{tree}")
    (shop.origin / "refs/heads/odd").write_text(f"{tree}\n")
    with pytest.raises(Unreachable, match=f"refs/heads/odd of the origin is {tree}, which is no commit, so gc takes n"):
        collected(shop, delete=True)
    assert orphan.exists()


@pytest.mark.slow
def test_a_branch_that_goes_while_gc_fetches_it_is_no_trouble(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan = blob(shop, b"orphan")
    damaged_branch(shop, "anything", "")
    plain = Repository.fetch_commits

    def fetch(repo: Repository, commits: Sequence[Oid]) -> str | None:
        why = plain(repo, commits)
        if why is not None:
            git(shop.origin, "update-ref", "-d", "refs/heads/somebody")
        return why

    monkeypatch.setattr(Repository, "fetch_commits", fetch)
    assert collected(shop, delete=True).document["taken"] == 1
    assert not orphan.exists()


@pytest.mark.slow
def test_a_store_that_is_not_mounted_stops_it(shop: Shop) -> None:
    shop.store.rename(shop.root / "elsewhere")
    with pytest.raises(Unreachable, match="is it mounted"):
        collected(shop, delete=True)


@pytest.mark.slow
def test_without_the_right_to_delete_it_ends_in_a_sentence(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a policy of the store refuses it: root itself may do everything in a directory."""
    orphan = blob(shop, b"orphan")

    def refuse(*_: object) -> bool:
        raise Unreachable("no permission to write there")

    monkeypatch.setattr(FileStore, "move", refuse)
    with pytest.raises(Unreachable, match="no permission"):
        collected(shop, delete=True)
    assert orphan.exists()
    assert list((shop.store / ".pointsman/gc").iterdir()), "the store may still do what it was asked: others wait"


@pytest.mark.slow
def test_nothing_is_taken_past_the_life_of_a_marker(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan = blob(shop, b"orphan")
    monkeypatch.setattr(markers, "LIFE", 0.0)
    outcome = collected(shop, delete=True)
    assert outcome.exit_code == 4
    assert "longer than a marker lives" in outcome.notes[0]
    assert orphan.exists()
    assert outcome.document["orphans"][0]["left"]
    assert command.render(outcome.value).startswith(f"left file://{orphan}")


@pytest.mark.slow
def test_the_life_of_a_marker_begins_before_the_store_has_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan = blob(shop, b"orphan")
    clock, plain = [0.0], FileStore.create

    def slow(store: FileStore, key: str, data: bytes) -> bool:
        clock[0] += markers.LIFE + 1 if key.startswith(markers.MARKERS) else 0
        return plain(store, key, data)

    monkeypatch.setattr(FileStore, "create", slow)
    monkeypatch.setattr(collect, "elapsed", lambda: clock[0])
    assert (collected(shop, delete=True).exit_code, orphan.exists()) == (4, True)


@pytest.mark.slow
def test_many_go_in_batches_of_their_own_markers(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    orphans = [blob(shop, b"%d" % number) for number in range(5)]
    monkeypatch.setattr(collect, "MOST", 2)
    assert collected(shop, delete=True).document["taken"] == 5
    assert not any(path.exists() for path in orphans)
    assert not list((shop.store / ".pointsman/gc").iterdir())


@pytest.mark.slow
def test_a_marker_that_dies_ends_its_batch_and_no_other(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        blob(shop, b"%d" % number)
    clock, plain = [0.0], FileStore.move

    def slow(store: FileStore, *words: Any) -> bool:
        moved = plain(store, *words)
        clock[0] = markers.LIFE + 1  # once
        return moved

    monkeypatch.setattr(FileStore, "move", slow)
    monkeypatch.setattr(collect, "elapsed", lambda: clock[0])
    monkeypatch.setattr(collect, "MOST", 2)
    outcome = collected(shop, delete=True)
    assert (outcome.document["taken"], outcome.exit_code) == (4, 4)


@pytest.mark.slow
def test_a_marker_of_a_gc_that_died_a_day_ago_is_taken_away(shop: Shop) -> None:
    blob(shop, b"orphan")
    directory = shop.store / ".pointsman/gc"
    directory.mkdir(parents=True)
    for name, age in (("old", 2 * DAY), ("new", 3600)):
        (directory / f"{name}-0.json").write_text('{"v": 1, "versions": []}')
        os.utime(directory / f"{name}-0.json", (time.time() - age,) * 2)
    collected(shop, delete=True)
    assert [path.name for path in directory.iterdir()] == ["new-0.json"]


@pytest.mark.slow
def test_a_retired_blob_that_was_just_put_stays(shop: Shop) -> None:
    old, _ = versions(shop)
    retire(shop, old)
    os.utime(place(shop, old), (NOW - 60, NOW - 60))
    document = collected(shop, delete=True).document
    assert (document["live"], document["taken"]) == (2, 0)


@pytest.mark.slow
def test_a_tombstone_that_went_after_the_survey_takes_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    old, _ = versions(shop)
    tombstone = retire(shop, old)
    plain = look.Party.look

    def late(party: look.Party, *, sure: bool = False) -> look.View:
        if sure:
            tombstone.unlink()
            commit(shop, NOW)
        return plain(party, sure=sure)

    monkeypatch.setattr(look.Party, "look", late)
    document = collected(shop, delete=True).document
    assert (document["taken"], document["kept"][0]["says"]) == (0, "it has no tombstone any more")


def branch_of(shop: Shop, path: str, text: str) -> None:
    """Push a branch that has a file."""
    git(shop.desk, "checkout", "-q", "-B", "somebody")
    (shop.desk / path).write_text(text)
    git(shop.desk, "add", "-A")
    git(shop.desk, "commit", "-q", "-m", "a branch")
    git(shop.desk, "push", "-q", "origin", "HEAD:somebody")


@pytest.mark.slow
@pytest.mark.parametrize("moves", ["branch", "main"])
def test_what_a_branch_names_after_the_survey_stays(shop: Shop, monkeypatch: pytest.MonkeyPatch, moves: str) -> None:
    """A branch that comes, or one that had what main had, and main moved away from it."""
    orphan = blob(shop, b"orphan")
    manifest, plain = "manifests/grocer/home/manifest.json", look.Party.look
    was = (shop.desk / manifest).read_text()
    if moves == "main":
        branch_of(shop, manifest, orphan.stem)
        git(shop.desk, "push", "-q", "origin", "HEAD:main")
        git(shop.desk, "commit", "-q", "--allow-empty", "-m", "more of the branch")
        git(shop.desk, "push", "-q", "origin", "HEAD:somebody")

    def late(party: look.Party, *, sure: bool = False) -> look.View:
        if sure and moves == "branch":
            branch_of(shop, f"registry/grocer/home/popularity/{orphan.stem}.json", "{}")
        elif sure:
            (shop.desk / manifest).write_text(was)
            commit(shop, NOW)
        return plain(party, sure=sure)

    monkeypatch.setattr(look.Party, "look", late)
    assert [each["says"] for each in collected(shop, delete=True).document["kept"]] == ["a branch names it"]
    assert orphan.exists()


@pytest.mark.slow
def test_a_pointer_that_is_written_after_the_survey_is_read_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan, plain = blob(shop, b"orphan"), look.Party.look
    pointer = shop.store / "registry/current/grocer/home/manifest.json"
    os.utime(pointer, (1, 1))

    def late(party: look.Party, *, sure: bool = False) -> look.View:
        if sure:
            pointer.write_text(orphan.stem)
        return plain(party, sure=sure)

    monkeypatch.setattr(look.Party, "look", late)
    assert collected(shop, delete=True).document["kept"][0]["says"] == "serving names it"
    assert orphan.exists()


@pytest.mark.slow
def test_a_branch_that_is_merged_between_the_looks_at_main_and_at_branches_is_seen(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan = blob(shop, b"orphan")
    plain, asked = present._every, [0]

    def merged(repo: Repository) -> dict[str, Oid]:
        asked[0] += 1
        if asked[0] == 2:
            git(shop.origin, "update-ref", "refs/heads/main", "somebody")
            git(shop.origin, "update-ref", "-d", "refs/heads/somebody")
        found = plain(repo)
        if asked[0] == 1:  # that look is before the survey
            branch_of(shop, f"registry/grocer/home/popularity/{orphan.stem}.json", "{}")
        return found

    monkeypatch.setattr(present, "_every", merged)
    assert collected(shop, delete=True).document["kept"][0]["says"] == "it was recorded meanwhile"
    assert (orphan.exists(), asked[0] > 2) == (True, True)


@pytest.mark.slow
def test_settings_that_move_the_store_meanwhile_stop_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan = blob(shop, b"orphan")
    plain = look.Party.look

    def late(party: look.Party, *, sure: bool = False) -> look.View:
        if sure:
            path = shop.desk / "pointsman.toml"
            path.write_text(
                f'{path.read_text()}[[serving]]\nname = "b"\nmanifest = "file:///b/{{tenant}}/{{surface}}"\n'
            )
            commit(shop, NOW)
        return plain(party, sure=sure)

    monkeypatch.setattr(look.Party, "look", late)
    with pytest.raises(Problem, match="moved the store or serving meanwhile") as caught:
        collected(shop, delete=True)
    assert (caught.value.exit_code, orphan.exists()) == (4, True)


@pytest.mark.parametrize("was", [{"store": "file:///b"}, {"serving": ()}, {"access": Access("https://b")}], ids=str)
def test_a_look_is_none_if_gc_began_with_another_store_or_serving_or_way_to_it(shop: Shop, was: dict[str, Any]) -> None:
    with shop.open() as repo:
        party = look.Party.of(Workspace(repo, clock=clock_at(NOW)))
        party.look()
        party.settings = replace(party.settings, **was)
        with pytest.raises(MovedFirst, match="moved the store or serving meanwhile"):
            party.look()


@pytest.mark.slow
def test_a_version_that_a_claim_names_stays(shop: Shop) -> None:
    orphan = blob(shop, b"orphan")
    claim = shop.store / "registry/current/.pointsman/claims/grocer/home.json"
    claim.parent.mkdir(parents=True)
    claim.write_text(f'{{"says": "{orphan.stem}"}}')
    assert collected(shop, delete=True).document["kept"][0]["says"] == "serving names it"


def test_requests_that_may_last_longer_than_others_wait_stop_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan = blob(shop, b"orphan")
    monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "61")
    with pytest.raises(Problem, match="POINTSMAN_STORE_TIMEOUT of at most 60"):
        collected(shop, delete=True)
    assert orphan.exists()


@pytest.mark.parametrize(
    "text,names_all",
    [
        (f'{{"v": 1, "versions": ["{"a" * 64}"]}}', False),
        ("{not JSON", True),
        ('{"versions": [7]}', True),
        (f'{{"versions": "{"a" * 64}"}}', True),
    ],
)
def test_a_waiter_waits_as_long_as_a_marker_and_its_last_request_may_live(
    tmp_path: Path, text: str, *, names_all: bool
) -> None:
    """Whether the marker names its version, or nobody can tell what it names."""
    marker = tmp_path / ".pointsman/gc/of-a-gc-that-died.json"
    marker.parent.mkdir(parents=True)
    marker.write_text(text)
    now = [1000.0]

    def pause(seconds: float) -> None:
        now[0] += seconds

    store = FileStore(tmp_path, f"file://{tmp_path}")
    for version, waits in (("a" * 64, True), ("b" * 64, names_all)):
        began = now[0]
        markers.wait_for_markers(store, {version}, clock=lambda: now[0], pause=pause)
        assert now[0] - began == (markers.LIFE + markers.LONGEST) * waits


# what comes back


@pytest.mark.slow
def test_what_is_in_the_trash_is_purged_when_its_days_are_over_by_both_clocks(shop: Shop) -> None:
    blob(shop, b"orphan")
    collected(shop, delete=True)
    age_trash(shop, 8)
    os.utime(trash(shop)[0], (NOW - 6 * DAY, NOW - 6 * DAY))
    assert collected(shop, delete=True).document["purged"] == 0
    age_trash(shop, 6)
    os.utime(trash(shop)[0], (NOW - 9 * DAY, NOW - 9 * DAY))
    assert collected(shop, delete=True).document["purged"] == 0
    age_trash(shop, 8)
    (there,) = trash(shop)
    assert collected(shop, delete=True).document["purged"] == 1
    assert not there.parents[3].exists(), "no empty directories are left"


def test_what_became_needed_is_put_back_first_and_never_purged(shop: Shop) -> None:
    """A gc that was paused took a blob whose record had landed."""
    old, new = versions(shop)
    data = place(shop, new).read_bytes()
    for day, version in enumerate(sorted((old, new), reverse=True)):  # keys begin anew with each day
        goal = shop.store / f".pointsman/trash/2026-01-0{day + 1}/grocer/home/popularity/{version}.json"
        goal.parent.mkdir(parents=True, exist_ok=True)
        place(shop, version).rename(goal)
        os.utime(goal, (1, 1))
    assert collected(shop).document["restored"] == 2
    assert not place(shop, new).exists()
    document = collected(shop, delete=True).document
    assert (document["restored"], document["purged"]) == (2, 0)
    assert place(shop, new).read_bytes() == data
    left = json.loads((shop.store / ".pointsman/gc.json").read_text())
    again = collected(shop).document
    for name in ("live", "live_bytes"):  # what is back is counted as it is found from now on
        assert document[name] == left[name] == again[name] > 0


@pytest.mark.slow
def test_a_retired_version_is_not_put_back_but_one_that_is_served_is(shop: Shop) -> None:
    old, new = versions(shop)
    retire(shop, old)
    retire(shop, new)
    for version in (old, new):
        goal = shop.store / f".pointsman/trash/2030-03-16/grocer/home/popularity/{version}.json"
        goal.parent.mkdir(parents=True, exist_ok=True)
        place(shop, version).rename(goal)
    assert collected(shop, delete=True).document["restored"] == 1
    assert (place(shop, old).exists(), place(shop, new).exists()) == (False, True)


@pytest.mark.slow
def test_bytes_that_are_not_those_of_the_version_do_not_come_back(shop: Shop) -> None:
    _, new = versions(shop)
    goal = shop.store / f".pointsman/trash/2030-03-16/grocer/home/popularity/{new}.json"
    goal.parent.mkdir(parents=True)
    place(shop, new).rename(goal)
    goal.write_bytes(b"altered")
    assert collected(shop, delete=True).document["restored"] == 0
    assert not place(shop, new).exists()


def restored(shop: Shop, *wanted: str) -> int:
    with shop.open() as repo:
        count: int = gc.restore(Workspace(repo), wanted).document["restored"]
        return count


@pytest.mark.slow
def test_a_version_is_restored_byte_for_byte(shop: Shop) -> None:
    old = blob(shop, b"orphan")
    collected(shop, delete=True)
    before = shop.everything()
    with shop.open() as repo:
        told = gc.restore(Workspace(repo), (old.stem[:8],), dry_run=True).document
    assert (told["restored"], told["dry_run"]) == (1, True)
    assert shop.everything() == before
    assert restored(shop, old.stem[:8]) == 1
    assert old.read_bytes() == b"orphan"
    assert restored(shop, old.stem[:8]) == 0
    assert restored(shop, versions(shop)[1]) == 0, "it is in its place and never was in the trash"
    with shop.open() as repo:
        told = gc.restore(Workspace(repo), (old.stem,)).document
    assert {name for name, count in told.items() if count} == {"trash"}, "nothing was surveyed, nothing was taken"


@pytest.mark.slow
@pytest.mark.parametrize("text,says", [("0000", "no blob of a version 0000"), ("xyz!", "is not a version")])
def test_what_is_not_in_the_trash_is_told(shop: Shop, text: str, says: str) -> None:
    with pytest.raises(Problem, match=says):
        restored(shop, text)


@pytest.mark.slow
def test_digits_with_which_several_versions_begin_name_none(shop: Shop) -> None:
    seen: dict[str, bytes] = {}
    for number in count():
        data = str(number).encode()
        digits = hashlib.sha256(data).hexdigest()[:4]
        if digits in seen:
            break
        seen[digits] = data
    for each in (seen[digits], data):
        blob(shop, each)
    collected(shop, delete=True, max_share=1)
    with pytest.raises(Problem, match=f"several versions begin with {digits} .*: give more digits"):
        restored(shop, digits)
    with pytest.raises(Problem, match="several versions begin"):
        collected(shop, delete=True, no_trash=(digits,))
    assert len(trash(shop)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("dry_run", [True, False])
def test_what_is_altered_in_the_trash_is_not_restored(shop: Shop, dry_run: bool) -> None:
    old = blob(shop, b"orphan")
    collected(shop, delete=True)
    (there,) = trash(shop)
    (shop.store / there).write_bytes(b"altered")
    with shop.open() as repo, pytest.raises(Problem, match="no bytes in the trash hash to this version"):
        gc.restore(Workspace(repo), (old.stem,), dry_run=dry_run)


@pytest.mark.slow
def test_what_cannot_be_restored_holds_up_no_other(shop: Shop) -> None:
    first, second = sorted(blob(shop, data) for data in (b"orphan", b"another"))
    collected(shop, delete=True, max_share=1)
    altered = next(each for each in trash(shop) if each.name == first.name)
    altered.write_bytes(b"altered")
    with pytest.raises(Problem, match=f"{first.name}: no bytes in the trash hash to this version.*again$"):
        restored(shop, first.stem, second.stem)
    assert (first.exists(), second.exists()) == (False, True)


@pytest.mark.slow
def test_other_bytes_in_the_place_of_what_is_to_be_restored_are_told_and_stay(shop: Shop) -> None:
    old = blob(shop, b"orphan")
    collected(shop, delete=True)
    old.write_bytes(b"other")
    with pytest.raises(Problem, match="what stands there are not its bytes"):
        restored(shop, old.stem)
    assert old.read_bytes() == b"other"


@pytest.mark.slow
@pytest.mark.parametrize("erase", [False, True])
def test_a_retired_version_is_not_restored(shop: Shop, erase: bool) -> None:
    old, _ = versions(shop)
    retire(shop, old, erase=erase)
    collected(shop, delete=True)
    with pytest.raises(Refused) as refused:
        restored(shop, old)
    assert not place(shop, old).exists()
    assert ("revert its tombstone" in str(refused.value)) is not erase, "nobody can revert one that erases"
    assert ("nothing takes that back" in str(refused.value)) is erase


@pytest.mark.slow
def test_an_erased_version_goes_for_good_also_from_the_trash(shop: Shop) -> None:
    old, _ = versions(shop)
    retire(shop, old, erase=True)
    document = collected(shop, delete=True, no_trash=(old[:12],)).document
    assert [document[name] for name in ("taken", "purged", "trash", "versions")] == [1, 1, 0, "no"]
    assert trash(shop) == []
    assert json.loads((shop.store / SUMMARY).read_text())["trash"] == 0
    assert not place(shop, old).exists()
    orphan = blob(shop, b"orphan")
    collected(shop, delete=True)
    assert collected(shop, delete=True, no_trash=(orphan.stem,)).document["purged"] == 1
    assert trash(shop) == []


@pytest.mark.slow
@pytest.mark.parametrize("age", [60, 3 * DAY], ids=["young", "old"])
def test_what_is_to_be_erased_and_waits_is_told_with_what_it_waits_for(shop: Shop, age: float) -> None:
    old, _ = versions(shop)
    name = {"target": "grocer/home", "type": "popularity", "version": old}
    assert "erasing" not in collected(shop).document
    with shop.open() as repo:
        asked = retire_verb.retire(
            Workspace(repo), retire_plan.Request(versions=(old,), reason="asked for", erase=True)
        )
    [made] = asked.document["targets"]
    branch = made["pull_request"]["branch"]
    open_ = collected(shop)
    assert open_.document["erasing"] == [
        {**name, "until": None, "branch": branch, "says": "its tombstone is not merged"}
    ]
    merges = f"until somebody merges its tombstone (pointsman pr merge {branch})"
    line = f"1 version waits to be erased: grocer/home popularity {old[:12]} "
    assert f"{line}{merges}" in command.render(open_.value).splitlines()
    git(shop.origin, "branch", "-D", branch)
    retire(shop, old, ago=2 * DAY, erase=True)
    os.utime(place(shop, old), (NOW - age, NOW - age))
    until = rfc3339(NOW + 5 * DAY)
    for delete in (False, True):
        waits = collected(shop, delete=delete)
        [told] = waits.document["erasing"]
        assert {**name, "until": until, "branch": None}.items() <= told.items()
        assert f"{line}until {until}" in command.render(waits.value).splitlines()
        validate("gc", waits.document)
    ripe = collected(shop, now=NOW + 5 * DAY)
    assert ("erasing" in ripe.document, [each["version"] for each in ripe.document["retired"]]) == (False, [old])
    assert collected(shop, now=NOW + 5 * DAY - 1).document["retired"] == []
    place(shop, old).unlink()
    assert "erasing" not in collected(shop).document, "its bytes are gone"


@pytest.mark.slow
def test_the_history_is_read_for_what_waits_to_be_erased_only_if_something_was_ever_retired(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    history = Repository.history_below

    def noted(self: Repository, tip: Oid, *paths: str, **more: Any) -> Iterator[Commit]:
        asked.append(paths)
        return history(self, tip, *paths, **more)

    monkeypatch.setattr(Repository, "history_below", noted)
    assert ("registry",) not in (collected(shop), asked)[1]
    retire(shop, versions(shop)[0], ago=2 * DAY)
    assert ("registry",) in (collected(shop), asked)[1]


@pytest.mark.slow
def test_what_is_to_be_erased_and_served_is_told_as_such_and_what_only_retires_is_not(shop: Shop) -> None:
    old, current = versions(shop)
    retire(shop, current, erase=True)
    retire(shop, old, ago=2 * DAY)
    [told] = collected(shop).document["erasing"]
    assert (told["version"], told["until"], told["branch"]) == (current, None, None)
    assert f"popularity {current[:12]} ({told['says']})" in command.render(collected(shop).value)
    assert told["says"] == "the manifest on main points to this version: ship another version first"


@pytest.mark.slow
def test_a_recorded_version_cannot_go_for_good_unless_its_tombstone_erases(shop: Shop) -> None:
    old, _ = versions(shop)
    with pytest.raises(Problem, match=f"recorded, and it has no tombstone: .* pointsman retire {old[:12]} --erase"):
        collected(shop, delete=True, no_trash=(old,))
    retire(shop, old)
    with pytest.raises(Problem, match="recorded, and its tombstone can be taken back: first merge what"):
        collected(shop, delete=True, no_trash=(old,))
    retire(shop, old).write_bytes(b"odd")
    commit(shop, NOW - 8 * DAY)
    with pytest.raises(Problem, match="its tombstone can be taken back"):
        collected(shop, delete=True, no_trash=(old,))
    assert place(shop, old).exists()
    retire(shop, old, erase=True)
    assert collected(shop, delete=True, no_trash=(old,)).document["purged"] == 1


@pytest.mark.slow
def test_what_was_to_go_for_good_and_has_only_left_the_trash_is_a_fault(shop: Shop) -> None:
    orphan = blob(shop, b"orphan")
    collected(shop, delete=True)
    blob(shop, b"orphan", age=60)
    outcome = collected(shop, delete=True, no_trash=(orphan.stem,))
    assert (outcome.document["purged"], outcome.exit_code) == (1, 1)
    assert "is still there: its blob is younger" in outcome.document["faults"][0]["says"]


# what others owe it


def take_into_trash(shop: Shop, version: str) -> None:
    goal = shop.store / f".pointsman/trash/2030-03-16/grocer/home/popularity/{version}.json"
    goal.parent.mkdir(parents=True, exist_ok=True)
    place(shop, version).rename(goal)


def by_rollback(shop: Shop) -> None:
    shop.roll_back(now=True, reason="bad")


def by_ship(shop: Shop) -> None:
    from pointsman.verbs import ship

    with shop.open() as repo:
        version = versions(shop)[0]
        request = ship.Request(GROCER, (("popularity", version),), merge=True, reason="again")
        ship.ship(Workspace(repo), request)


def by_publish(shop: Shop) -> None:
    shop.publish(shop.root / "1.json", merge=True)


@pytest.mark.slow
@pytest.mark.parametrize("verb", [by_rollback, by_ship, by_publish])
def test_whoever_points_to_a_blob_that_went_puts_it_back(shop: Shop, verb: Callable[[Shop], None]) -> None:
    old, _ = versions(shop)
    take_into_trash(shop, old)
    verb(shop)
    assert hashlib.sha256(place(shop, old).read_bytes()).hexdigest() == old


@pytest.mark.slow
def test_a_rollback_goes_on_where_the_owner_cannot_be_written_down(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    old, _ = versions(shop)

    def refused(*_: object) -> None:
        raise Unreachable("cannot write there")

    monkeypatch.setattr(owners, "own_unless_known", refused)
    by_rollback(shop)
    assert old in shop.manifest.decode()


@pytest.mark.slow
def test_sync_puts_back_what_it_is_about_to_serve(shop: Shop) -> None:
    old, _ = versions(shop)
    shop.roll_back(now=True, reason="bad")
    take_into_trash(shop, old)
    assert [each.outcome for each in shop.sync().value.targets] == ["written"]
    assert place(shop, old).exists()


@pytest.mark.slow
def test_sync_does_not_put_back_in_a_dry_run(shop: Shop) -> None:
    old, _ = versions(shop)
    shop.roll_back(now=True, reason="bad")
    take_into_trash(shop, old)
    assert shop.sync(dry_run=True).exit_code == 5
    assert not place(shop, old).exists()


@pytest.mark.slow
@pytest.mark.parametrize("verb", [by_rollback, by_ship, by_publish])
def test_whoever_points_to_a_version_waits_while_a_marker_names_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, verb: Callable[[Shop], None]
) -> None:
    old, _ = versions(shop)
    marker = shop.store / ".pointsman/gc/other-0.json"
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_text(json.dumps({"v": 1, "versions": [old]}))
    main, waited = shop.main, []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        assert shop.main == main or verb is by_publish
        marker.unlink()

    defaults = {**(markers.wait_for_markers.__kwdefaults__ or {}), "pause": pause}
    monkeypatch.setattr(markers.wait_for_markers, "__kwdefaults__", defaults)
    verb(shop)
    assert waited == [1.0]


@pytest.mark.slow
def test_restoring_waits_while_a_marker_names_the_version(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan = blob(shop, b"orphan")
    collected(shop, delete=True)
    marker = shop.store / ".pointsman/gc/other-0.json"
    marker.write_text(json.dumps({"v": 1, "versions": [orphan.stem]}))

    def pause(_: float) -> None:
        assert not orphan.exists()
        marker.unlink()

    defaults = {**(markers.wait_for_markers.__kwdefaults__ or {}), "pause": pause}
    monkeypatch.setattr(markers.wait_for_markers, "__kwdefaults__", defaults)
    assert restored(shop, orphan.stem) == 1
    assert not marker.exists()


@pytest.mark.slow
def test_what_is_retired_while_a_restore_waits_is_not_put_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    old, _ = versions(shop)
    taken = shop.store / f".pointsman/trash/2026-03-01/grocer/home/popularity/{old}.json"
    taken.parent.mkdir(parents=True)
    place(shop, old).rename(taken)
    marker = shop.store / ".pointsman/gc/other-0.json"
    marker.parent.mkdir(parents=True)
    marker.write_text(json.dumps({"v": 1, "versions": [old]}))

    def pause(_: float) -> None:
        retire(shop, old, erase=True)
        marker.unlink()

    defaults = {**(markers.wait_for_markers.__kwdefaults__ or {}), "pause": pause}
    monkeypatch.setattr(markers.wait_for_markers, "__kwdefaults__", defaults)
    with pytest.raises(Refused, match="nothing takes that back"):
        restored(shop, old)
    assert not place(shop, old).exists()


@pytest.mark.slow
def test_a_run_leaves_a_summary_beside_the_blobs(shop: Shop) -> None:
    blob(shop, b"orphan")
    collected(shop, delete=True)
    summary = json.loads((shop.store / SUMMARY).read_text())
    assert {name: summary[name] for name in ("at", "live", "orphans", "trash", "trash_bytes", "taken")} == {
        "at": "2030-03-17T17:46:40Z", "live": 2, "orphans": 0, "trash": 1, "trash_bytes": 6, "taken": 1,
    }  # fmt: skip


def test_a_main_that_records_a_version_after_the_survey_keeps_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The landed record is the publisher's flag: gc looks for it after its marker stands."""
    file = popularity(shop.root / "3.json", 15, day=3)
    plain = look.Party.look

    def late(party: look.Party, *, sure: bool = False) -> look.View:
        if sure:
            assert [path.name for path in (shop.store / ".pointsman/gc").iterdir()], "its marker stands"
            shop.publish(file, record_only=True, where=shop.origin)
        return plain(party, sure=sure)

    read = artifact.read(file.read_bytes(), str(file))
    assert isinstance(read, artifact.Artifact)
    target = blob(shop, read.canonical)
    monkeypatch.setattr(look.Party, "look", late)
    monkeypatch.setattr(markers, "LIFE", 1e9)
    monkeypatch.setattr("pointsman.shipping.records.wait_for_markers", lambda *_: None)
    document = collected(shop, delete=True).document
    assert document["kept"] == [{"uri": f"file://{target}", "says": "it was recorded meanwhile"}]
    assert target.exists()


@pytest.mark.slow
def test_a_tombstone_that_is_reverted_during_a_run_keeps_its_bytes_in_the_trash(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taking may last; what became needed meanwhile comes back and is not purged."""
    old, _ = versions(shop)
    data = place(shop, old).read_bytes()
    tombstone = retire(shop, old)
    collected(shop, delete=True)
    age_trash(shop, 8)
    (there,) = trash(shop)
    os.utime(there, (1, 1))
    plain = look.Party.look

    def late(party: look.Party, *, sure: bool = False) -> look.View:
        if sure:
            tombstone.unlink(missing_ok=True)
            commit(shop, NOW)
        return plain(party, sure=sure)

    monkeypatch.setattr(look.Party, "look", late)
    document = collected(shop, delete=True).document
    assert (document["restored"], document["purged"]) == (1, 0)
    assert place(shop, old).read_bytes() == data


@pytest.mark.slow
@pytest.mark.parametrize("erase", [False, True])
def test_a_branch_that_takes_a_tombstone_back_keeps_its_bytes_but_for_an_erasure(shop: Shop, *, erase: bool) -> None:
    """The branch is the flag of a revert, which then looks whether the bytes are there, and lands."""
    old, _ = versions(shop)
    tombstone = retire(shop, old, erase=erase)
    git(shop.desk, "branch", "of-later", "HEAD^")
    git(shop.desk, "push", "-q", "origin", "of-later")  # it does not have the tombstone either, and means nothing
    git(shop.desk, "checkout", "-q", "-b", "back")
    git(shop.desk, "rm", "-q", str(tombstone))
    git(shop.desk, "commit", "-q", "-m", "it is needed after all")
    git(shop.desk, "push", "-q", "origin", "back")
    said = [each["says"] for each in collected(shop, delete=True).document["kept"]]
    assert said == ([] if erase else ["a branch takes its tombstone back"])
    assert place(shop, old).exists() is not erase

    git(shop.origin, "update-ref", "-d", "refs/heads/back")
    collected(shop, delete=True)
    age_trash(shop, 8)
    git(shop.desk, "push", "-q", "origin", "back")
    outcome = collected(shop, delete=True).document
    assert (outcome["purged"], outcome["restored"], place(shop, old).exists()) == (erase, 0, False)
    git(shop.origin, "update-ref", "-d", "refs/heads/back")
    assert collected(shop, delete=True).document["purged"] == (not erase)


def in_old_trash(shop: Shop) -> tuple[str, Path, Path]:
    """A version whose blob is due to be purged, its tombstone, and where it is."""
    old, _ = versions(shop)
    tombstone = retire(shop, old)
    collected(shop, delete=True)
    age_trash(shop, 8)
    (there,) = trash(shop)
    return old, tombstone, there


@pytest.mark.slow
@pytest.mark.parametrize("lands", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_who_takes_a_tombstone_back_while_a_purge_looks_finds_no_bytes_and_has_them_afterwards(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, *, lands: bool
) -> None:
    """What may be deleted is not in its place any more when the look begins that decides."""
    old, tombstone, there = in_old_trash(shop)
    plain = look.Party.look

    def late(party: look.Party, *, sure: bool = False) -> look.View:
        if sure and tombstone.exists():
            assert [path.relative_to(shop.store).parts[2][:6] for path in trash(shop)] == ["going-"]
            git(shop.desk, "rm", "-q", str(tombstone))
            git(shop.desk, "commit", "-q", "-m", "it is needed after all")
            git(shop.desk, "push", "-q", "origin", "HEAD:main" if lands else "HEAD:refs/heads/back")
        return plain(party, sure=sure)

    monkeypatch.setattr(look.Party, "look", late)
    document = collected(shop, delete=True).document
    assert (document["purged"], document["restored"], place(shop, old).exists()) == (0, lands, lands)
    (back,) = trash(shop)
    assert back == shop.store / ".pointsman/trash/2030-03-17" / "/".join(there.parts[-4:])


@pytest.mark.slow
def test_a_purge_that_cannot_look_puts_back_what_it_set_aside(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    old, _, there = in_old_trash(shop)
    look_only = collected(shop)
    assert (look_only.document["purged"], there.exists()) == (1, True)
    assert "nothing was changed: --delete would purge 1 blobs from the trash." in command.render(look_only.value)
    plain = look.Party.look

    def fails(party: look.Party, *, sure: bool = False) -> look.View:
        if sure:
            raise Unreachable("cannot fetch")
        return plain(party, sure=sure)

    monkeypatch.setattr(look.Party, "look", fails)
    with pytest.raises(Unreachable, match="cannot fetch"):
        collected(shop, delete=True)
    assert [path.parts[-5:] for path in trash(shop)] == [("2030-03-17", *there.parts[-4:])]
    assert not place(shop, old).exists()


@pytest.mark.slow
def test_what_a_gc_had_set_aside_when_it_died_comes_back_or_goes_with_the_next(shop: Shop) -> None:
    old, tombstone, there = in_old_trash(shop)
    aside = shop.store / ".pointsman/trash/going-0123456789abcdef-2030-03-09" / "/".join(there.parts[-4:])
    aside.parent.mkdir(parents=True)
    there.rename(aside)
    git(shop.desk, "rm", "-q", str(tombstone))
    git(shop.desk, "commit", "-q", "-m", "it is needed after all")
    git(shop.desk, "push", "-q", "origin", "HEAD:refs/heads/back")
    assert collected(shop, delete=True).document["purged"] == 0
    assert [path.parts[-5] for path in trash(shop)] == ["2030-03-17"], "whoever takes it back may count on it again"
    aside.parent.mkdir(parents=True)
    trash(shop)[0].rename(aside)
    commit(shop, NOW)
    document = collected(shop, delete=True).document
    assert (document["restored"], document["purged"], place(shop, old).exists()) == (1, 0, True)
    place(shop, old).unlink()
    by_rollback(shop)
    assert place(shop, old).exists(), "whoever misses it finds it there"
    shop.publish(popularity(shop.root / "9.json", 12, day=9), merge=True)
    shop.sync()
    place(shop, old).unlink()
    shop.pull()
    retire(shop, old)
    assert collected(shop, delete=True).document["purged"] == 1
    assert trash(shop) == []


@pytest.mark.slow
def test_a_directory_that_refuses_deletes_has_each_blob_once_and_is_done_when_it_does_not(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = {blob(shop, data).name for data in (b"1", b"2", b"3")}
    collected(shop, delete=True)
    age_trash(shop, 8)
    plain = file_moves._remove

    def refuse(root: Path, key: str) -> None:
        if key.startswith(".pointsman/trash/"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(root / key))
        plain(root, key)

    monkeypatch.setattr(file_moves, "_remove", refuse)
    seen = set()
    for _ in range(3):
        with pytest.raises(Unreachable, match=r"/\.pointsman/trash/going-[0-9a-f]{16}-2030-03-09/"):
            collected(shop, delete=True)
        assert sorted(path.name for path in trash(shop)) == sorted(left)
        seen.add(tuple(trash(shop)))
    assert len(seen) == 1, "they stay where the first run set them aside"
    monkeypatch.undo()
    assert (collected(shop, delete=True).document["purged"], trash(shop)) == (3, [])


@pytest.mark.slow
def test_a_link_in_the_trash_stays(shop: Shop) -> None:
    _, _, there = in_old_trash(shop)
    there.unlink()
    there.symlink_to("/etc/passwd")
    assert collected(shop, delete=True).document["purged"] == 0
    assert there.is_symlink()


@pytest.mark.slow
def test_a_purge_that_lasts_looks_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the machine sleeps in the middle of it: what became needed meanwhile comes back."""
    blob(shop, b"orphan")
    old, _ = versions(shop)
    data = place(shop, old).read_bytes()
    tombstone = retire(shop, old)
    collected(shop, delete=True)
    age_trash(shop, 8)
    (there,) = (path for path in trash(shop) if old in path.name)
    later = shop.store / ".pointsman/trash/2030-03-10" / "/".join(there.parts[-4:])  # it comes after the other
    later.parent.mkdir(parents=True)
    there.rename(later)
    clock, plain = [0.0], FileStore.remove

    def slow(store: FileStore, key: str) -> None:
        plain(store, key)
        if key.startswith(".pointsman/trash/") and tombstone.exists():
            clock[0] += collect.FRESH + 1
            tombstone.unlink()
            commit(shop, NOW)

    monkeypatch.setattr(FileStore, "remove", slow)
    monkeypatch.setattr(collect, "elapsed", lambda: clock[0])
    document = collected(shop, delete=True).document
    assert (document["restored"], document["purged"]) == (1, 1)
    assert place(shop, old).read_bytes() == data


def test_what_is_young_is_counted_and_what_was_to_go_for_good_and_stays_is_a_fault(shop: Shop) -> None:
    orphan = blob(shop, b"orphan", age=60)
    outcome = collected(shop, delete=True, no_trash=(orphan.stem[:12],))
    document = outcome.document
    assert (document["young"], document["taken"], outcome.exit_code) == (1, 0, 1)
    assert "is still there" in document["faults"][0]["says"]
    assert orphan.exists()
    assert sum(map(len, (document["orphans"], document["retired"]))) + document["live"] + 1 == document["listed"]


@pytest.mark.slow
def test_a_dry_run_tells_what_would_go_for_good_and_what_would_stay(shop: Shop) -> None:
    young, old = blob(shop, b"young", age=60), blob(shop, b"old")
    outcome = collected(shop, no_trash=(young.stem, old.stem))
    assert (outcome.document["purged"], outcome.exit_code) == (1, 1)
    assert [each["says"][:33] for each in outcome.document["faults"]] == [f"{young.stem[:12]} would still be there"]
    assert collected(shop, delete=True, no_trash=(young.stem, old.stem)).document["purged"] == 1
    assert (young.exists(), old.exists(), trash(shop)) == (True, False, [])


@pytest.mark.slow
def test_status_shows_what_the_last_run_left_and_so_do_its_metrics(shop: Shop) -> None:
    from pointsman.report.status import render, render_prometheus
    from pointsman.verbs.status import status

    blob(shop, b"orphan")
    with shop.open() as repo:
        assert "gc" not in status(Workspace(repo), []).document
    collected(shop, delete=True)
    with shop.open() as repo:
        found = status(Workspace(repo), [])
        assert "gc" not in status(Workspace(repo), [GROCER]).document
    assert found.document["gc"]["trash"] == 1
    assert "gc at 2030-03-17T17:46:40Z: 2 blobs live, 0 orphaned, 0 retired, 1 in the trash" in render(found.value)
    assert 'pointsman_store_bytes{state="trash"} 6.0' in render_prometheus(found.value)
    (shop.store / SUMMARY).write_text("[]")
    with shop.open() as repo:
        assert "gc" not in status(Workspace(repo), []).document
