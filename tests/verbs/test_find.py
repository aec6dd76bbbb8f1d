"""Find: every stored version that holds an id is named, and what could not be read; the id itself goes nowhere."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from bucketshop import BucketShop
from output_schemas import validate
from seaweed import Server
from shop import Shop, artifact, cooc, git, popularity

from pointsman.cli import find as command
from pointsman.errors import Problem, Unreachable
from pointsman.gate import blob_cache
from pointsman.outcome import Outcome
from pointsman.retention import finding
from pointsman.state.documents import Tombstone
from pointsman.verbs import find
from pointsman.workspace import Workspace

USER = "user-7f3e"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pointsman"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop")


def implicit(path: Path, *users: str, day: int = 1, kind: str = "implicit", **more: Any) -> Path:
    rows = [{"user_id": user, "items": [{"item_id": "item-1", "score": 0.5}]} for user in users]
    return artifact(path, kind, tenant="grocer", surface="home", day=day, users=rows, **more)


def version_of(path: Path) -> str:
    return str(json.loads(path.read_text())["build"]["version"])


def run(shop: Shop, *ids: str, **more: Any) -> Outcome[Any]:
    with shop.open() as repo:
        made = find.find(Workspace(repo), find.Request(ids, **more))
    validate("find", made.document)
    assert command.render(made.value)
    return made


def found(made: Outcome[Any]) -> set[tuple[str, str, bool]]:
    return {(each["version"], each["state"], each["current"]) for each in made.document["found"]}


def test_an_id_is_found_in_what_is_current_recorded_retired_in_the_trash_and_without_a_record(
    shop: Shop, tmp_path: Path
) -> None:
    files = [implicit(tmp_path / f"{day}.json", f"u{day}", USER, day=day) for day in range(1, 6)]
    current, older, retired, trashed, loose = map(version_of, files)
    shop.publish(files[1], record_only=True)
    shop.publish(files[2], record_only=True)
    shop.publish(files[3], record_only=True)
    shop.publish(files[0], popularity(tmp_path / "p.json", 10), cooc(tmp_path / "c.json", 3), merge=True)
    shop.sync()
    shop.pull()
    grave = Tombstone("grocer", "home", "implicit", retired, "test data")
    (shop.desk / grave.path).write_bytes(grave.render())
    shop.push("retire")
    blobs = shop.store / "grocer" / "home" / "implicit"
    trash = shop.store / ".pointsman" / "trash" / "2026-03-01" / "grocer" / "home" / "implicit"
    trash.mkdir(parents=True)
    (blobs / f"{trashed}.json").rename(trash / f"{trashed}.json")
    data = json.loads(files[4].read_text())
    data["build"] = {"built_at": "", "version": ""}
    (blobs / f"{loose}.json").write_text(json.dumps(data, separators=(",", ":")))
    made = run(shop, USER)
    assert found(made) == {
        (current, "recorded", True),
        (older, "recorded", False),
        (retired, "retired", False),
        (trashed, "trash", False),
        (loose, "unrecorded", False),
    }
    assert made.exit_code == 0
    assert made.document["read"] == 7
    assert made.document["others"] == 1, "the serving pointer"
    (first,) = (each for each in made.document["found"] if each["version"] == current)
    assert first["window"] == {"start": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z"}
    assert first["uri"] == f"file://{blobs}/{current}.json"
    assert f"{USER}: grocer/home implicit {current[:12]} current, window 2026-03-01" in command.render(made.value)
    assert found(run(shop, "u2")) == {(older, "recorded", False)}
    assert found(run(shop, "near")) == {(version_of(tmp_path / "c.json"), "recorded", True)}
    nobody = run(shop, "nobody")
    assert (nobody.document["found"], nobody.exit_code) == ([], 0)
    assert "found nowhere" in command.render(nobody.value)


@pytest.mark.slow
@pytest.mark.parametrize("many", [1, pytest.param(256, marks=pytest.mark.slow)])
def test_shards_together_find_what_one_run_finds(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr(find, "_MANY", many)
    files = [implicit(tmp_path / f"{day}.json", f"u{day}", USER, day=day) for day in range(1, 9)]
    for file in files:
        shop.publish(file, record_only=True)
    whole = run(shop, USER)
    assert len(found(whole)) == 8
    parts = [run(shop, USER, shard=(place, 3)) for place in (1, 2, 3)]
    assert sum(part.document["read"] for part in parts) == 8
    assert set.union(*map(found, parts)) == found(whole)


@pytest.mark.slow
def test_former_stores_are_read_too(shop: Shop, tmp_path: Path) -> None:
    file = implicit(tmp_path / "1.json", USER)
    shop.publish(file, merge=True)
    shop.pull()
    settings = shop.desk / "pointsman.toml"
    new = tmp_path / "new-store"
    new.mkdir()
    (new / "keep").touch()
    text = settings.read_text().replace(f'url = "file://{shop.store}"', f'url = "file://{new}"')
    settings.write_text(text.replace("[policy]", f'former = ["file://{shop.store}"]\n[policy]', 1))
    shop.push("move the store")
    assert found(run(shop, USER)) == {(version_of(file), "recorded", True)}


@pytest.mark.slow
@pytest.mark.parametrize("look", ["missing", "empty"])
def test_a_former_store_or_a_replica_that_is_not_mounted_is_named(shop: Shop, tmp_path: Path, look: str) -> None:
    assert run(shop, USER).exit_code == 0, "nothing was recorded, so nothing is missing"
    file = implicit(tmp_path / "1.json", USER)
    shop.publish(file, merge=True)
    shop.pull()
    former, replica = tmp_path / "former", tmp_path / "replica"
    settings = shop.desk / "pointsman.toml"
    text = settings.read_text().replace("[policy]", f'former = ["file://{former}"]\n[policy]', 1)
    place = f'\n[[serving]]\nname = "eu"\nmanifest = "file://{tmp_path}/eu/{{tenant}}/{{surface}}/manifest.json"\n'
    settings.write_text(f'{text}{place}store = "file://{replica}"\n')
    shop.push("two more stores")
    if look == "empty":
        former.mkdir()
        replica.mkdir()
    made = run(shop, USER)
    assert (made.exit_code, found(made)) == (5, {(version_of(file), "recorded", True)})
    assert [each["uri"] for each in made.document["unread"]] == [f"file://{former}", f"file://{replica}"]
    assert "no blob is there: is it mounted?" in made.document["unread"][0]["why"]
    for store in (former, replica):
        shutil.copytree(shop.store / "grocer", store / "grocer")
    made = run(shop, USER)
    assert (made.exit_code, made.document["read"], len(made.document["found"])) == (0, 3, 3)


def test_what_cannot_be_read_is_named_and_the_rest_is_found(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad, odd = (implicit(tmp_path / f"{day}.json", f"u{day}", USER, day=day) for day in (1, 2, 3))
    huge = implicit(tmp_path / "4.json", USER, *(f"user-{number}" for number in range(99)), day=4)
    shop.publish(good, bad, odd, huge, record_only=True)
    monkeypatch.setattr(finding, "_MOST", 2000)
    blobs = shop.store / "grocer" / "home" / "implicit"
    (blobs / f"{version_of(bad)}.json").unlink()
    (blobs / f"{version_of(bad)}.json").write_bytes(b"\x1f\x8b\x08")
    (blobs / f"{version_of(odd)}.json").unlink()
    os.mkfifo(blobs / f"{version_of(odd)}.json")
    made = run(shop, USER)
    assert made.exit_code == 5
    assert found(made) == {(version_of(good), "recorded", False)}
    why = {each["uri"].rpartition("/")[2][:-5]: each["why"] for each in made.document["unread"]}
    assert why.keys() == {version_of(bad), version_of(odd), version_of(huge)}
    assert why[version_of(huge)] == "it has more than 2,000 bytes, and no more are read"
    assert why[version_of(bad)] == "it is no JSON document"
    assert "a named pipe stands there" in why[version_of(odd)]
    assert "3 could not be read, so this is not all" in command.render(made.value)


@pytest.mark.slow
def test_what_a_killed_process_left_in_the_making_is_named_because_it_may_hold_an_id(
    shop: Shop, tmp_path: Path
) -> None:
    shop.publish(implicit(tmp_path / "1.json", USER), record_only=True)
    left = shop.store / ".pointsman" / f"new-{'0' * 16}"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes((tmp_path / "1.json").read_bytes())
    made = run(shop, USER)
    assert (made.exit_code, len(made.document["found"])) == (5, 1)
    assert [each["uri"] for each in made.document["unread"]] == [f"file://{left}"]
    left.unlink()
    assert run(shop, USER).exit_code == 0


@pytest.mark.slow
def test_a_link_that_may_lead_to_blobs_is_named_because_nobody_looks_behind_it(shop: Shop, tmp_path: Path) -> None:
    shop.publish(implicit(tmp_path / "1.json", USER), record_only=True)
    (shop.store / "grocer").rename(tmp_path / "another disk")
    (shop.store / "grocer").symlink_to(tmp_path / "another disk")
    with pytest.raises(Unreachable, match=r"store/grocer: it is no file, and nobody looks behind a link"):
        run(shop, USER)
    shop.publish(implicit(tmp_path / "2.json", USER, kind="session_seq"), record_only=True)
    (shop.store / "notes").symlink_to(shop.desk / "pointsman.toml")
    (shop.store / "grocer").unlink()
    (tmp_path / "another disk").rename(shop.store / "grocer")
    (shop.store / "trash").symlink_to(tmp_path)
    made = run(shop, USER)
    assert [each["uri"] for each in made.document["unread"]] == [f"file://{shop.store}/trash"]
    assert (made.exit_code, made.document["others"]) == (5, 1)


def test_a_store_that_does_not_answer_ends_with_3(shop: Shop, tmp_path: Path) -> None:
    shop.publish(implicit(tmp_path / "1.json", USER), record_only=True)
    shutil.rmtree(shop.store)
    with pytest.raises(Unreachable):
        run(shop, USER)


@pytest.mark.slow
def test_a_blob_that_moves_to_the_trash_while_it_is_looked_for_is_found_there(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = implicit(tmp_path / "1.json", USER)
    shop.publish(file, record_only=True)
    key = f"grocer/home/implicit/{version_of(file)}.json"
    trash = shop.store / ".pointsman" / "trash" / "2026-03-01" / key
    blobs = finding._Finder._blobs

    def move(self: Any, store: Any) -> Any:
        for blob in list(blobs(self, store)):
            if not trash.exists():
                trash.parent.mkdir(parents=True)
                (shop.store / key).rename(trash)
            yield blob

    monkeypatch.setattr(finding, "cores", lambda: 1)
    monkeypatch.setattr(finding._Finder, "_blobs", move)
    made = run(shop, USER)
    assert found(made) == {(version_of(file), "trash", False)}
    assert made.exit_code == 0


@pytest.mark.slow
def test_ids_come_from_arguments_files_and_standard_input(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (1, 2, 3):
        shop.publish(implicit(tmp_path / f"{day}.json", f"u{day}", "u 7", day=day), record_only=True)
    (tmp_path / "ids").write_bytes("\ufeffu1\r\n\r\nu 7\n".encode())
    assert {each["id"] for each in run(shop, files=(str(tmp_path / "ids"),)).document["found"]} == {"u1", "u 7"}
    for request in (find.Request(("-",)), find.Request(files=("-",))):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"u2\nu3")))
        assert find.read_ids(request) == ["u2", "u3"]
    assert find.read_ids(find.Request(("u1", "u1", "u2"))) == ["u1", "u2"]


@pytest.mark.parametrize(
    "request_of,says",
    [
        (lambda path: find.Request(), "name an id"),
        (lambda path: find.Request(("",)), "name an id"),
        (lambda path: find.Request(("a", "")), "an id is empty"),
        (lambda path: find.Request(files=(str(path / "none"),)), "cannot read .*none"),
        (lambda path: find.Request(files=(str(path),)), "a directory stands there, not a file$"),
        (lambda path: find.Request(files=(str(path / "latin"),)), "latin is not UTF-8"),
        (lambda path: find.Request(files=(str(path / "empty"),)), "no id is in .*empty"),
    ],
)
def test_ids_that_cannot_be_read_are_told_in_a_sentence_without_one(request_of: Any, says: str, tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"us\xe9r\n")
    (tmp_path / "empty").write_bytes(b"\n\n")
    with pytest.raises(Problem, match=says):
        find.read_ids(request_of(tmp_path))


def test_a_file_of_ids_that_is_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "_MOST", 8)
    (tmp_path / "ids").write_text("12345678")
    assert find.read_ids(find.Request(files=(str(tmp_path / "ids"),))) == ["12345678"]
    (tmp_path / "ids").write_text("123456789")
    with pytest.raises(Problem, match="ids: it has more than 8 bytes"):
        find.read_ids(find.Request(files=(str(tmp_path / "ids"),)))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"123456789")))
    with pytest.raises(Problem, match="standard input has more than 8 bytes: split it"):
        find.read_ids(find.Request(files=("-",)))


@pytest.mark.slow
def test_looking_for_an_id_drops_what_is_to_be_erased_from_the_cache(shop: Shop, tmp_path: Path, cache: Path) -> None:
    files = [implicit(tmp_path / f"{day}.json", f"u{day}", USER, day=day) for day in (1, 2, 3)]
    for file in files:
        shop.publish(file, record_only=True)
        data = (shop.store / "grocer" / "home" / "implicit" / f"{version_of(file)}.json").read_bytes()
        blob_cache.cache(version_of(file), data)
    shop.pull()
    for file, erase in zip(files, (True, False), strict=False):
        grave = Tombstone("grocer", "home", "implicit", version_of(file), "asked for", erase)
        (shop.desk / grave.path).write_bytes(grave.render())
    shop.push("erase one and retire one")
    blob_cache.cache("0" * 64, f"damaged, with {USER}".encode())
    odd = json.dumps({"tenant": "of no name", "surface": "home", "artifact_type": "implicit"}).encode()
    blob_cache.cache(hashlib.sha256(odd).hexdigest(), odd)
    (cache / f".{version_of(files[0])}.89abcdef").write_text(f"a process was killed at {USER}")
    run(shop, "nobody")
    assert {path.name for path in cache.iterdir()} == {f"{version_of(file)}.json" for file in files[1:]}


@pytest.mark.slow
def test_a_bucket_is_read_like_a_directory(s3: Server, tmp_path: Path) -> None:
    shop = BucketShop(tmp_path / "shop", s3)
    kept, trashed = (implicit(tmp_path / f"{day}.json", f"u{day}", USER, day=day) for day in (1, 2))
    for file in (kept, trashed):
        shop.publish(file, record_only=True)
    key = f"grocer/home/implicit/{version_of(trashed)}.json"
    shop.put(f".pointsman/trash/2026-03-01/{key}", shop.objects()[key])
    shop.take(key)
    made = run(shop, USER)
    assert found(made) == {(version_of(kept), "recorded", False), (version_of(trashed), "trash", False)}
    assert {each["uri"] for each in made.document["found"]} == {
        f"{shop.url}/grocer/home/implicit/{version_of(kept)}.json",
        f"{shop.url}/.pointsman/trash/2026-03-01/{key}",
    }
    assert git(shop.origin, "log", "--all", "--format=%B").count(USER) == 0
