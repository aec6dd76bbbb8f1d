"""`type new` and `stamp`: a schema that fits its example, and a version that `publish` takes."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from clocks import clock_at
from hypothesis import given
from hypothesis import strategies as st
from shop import KeptDirectory, Shop, git

from pointsman import artifact
from pointsman.artifact import user_type
from pointsman.artifact.inferring import infer
from pointsman.artifact.stamping import with_build
from pointsman.artifact.user_type import UserType
from pointsman.cli.main import main
from pointsman.errors import Problem
from pointsman.repo.open import open_repository
from pointsman.verbs.own_types import new_type, stamp

NOON = 1772625600  # 2026-03-04T12:00:00Z
ENVELOPE = {
    "v": 1, "artifact_type": "mine", "tenant": "grocer", "surface": "home",
    "window": {"start": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z"},
}  # fmt: skip
ROWS = {"u1": [{"item_id": "a", "score": 1}], "u2": [{"item_id": "b", "score": 0.5}]}
LISTS: dict[str, Any] = {"dim": 2, "users": ROWS}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> KeptDirectory:
    return KeptDirectory(tmp_path_factory.mktemp("desk"), lambda place: main(["init", str(place)]))


@pytest.fixture
def desk(kept: KeptDirectory) -> Path:
    return kept.fresh()


def written(directory: Path, name: str = "x.json", **members: Any) -> str:
    file = directory / name
    file.write_text(json.dumps({**ENVELOPE, **members}, indent=1))
    return str(file)


def schema_of(*documents: dict[str, Any]) -> Any:
    return infer("mine", documents).schema


def test_the_schema_tells_maps_from_members_and_integers_from_numbers(desk: Path, tmp_path: Path) -> None:
    with open_repository(str(desk)) as repo:
        made = new_type(repo, "mine", [written(tmp_path, **LISTS)]).value
    assert json.loads(Path(made.path).read_bytes()) == made.schema
    assert (made.integers, made.numbers, made.maps) == (["$.dim"], ["$.users.*[].score"], ["$.users"])
    item = made.schema["properties"]["users"]["additionalProperties"]["items"]
    assert item["required"] == ["item_id", "score"]
    assert made.schema["required"] == ["dim", "users"]


def test_several_examples_make_one_schema_that_fits_them_all() -> None:
    schema = schema_of({"a": 1, "b": None}, {"a": 0.5, "b": "x", "c": []})
    assert schema["properties"]["a"] == {"type": "number"}
    assert schema["properties"]["b"] == {"type": ["null", "string"]}
    assert schema["required"] == ["a", "b"]
    assert infer("mine", [{"c": [], "d": {}, "e": None}]).unknown == ["$.c", "$.d", "$.e"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "@", "1"]), inner),
    max_leaves=12,
)  # fmt: skip


NAMES = st.sampled_from(["aa", "bb", "cc", "dd"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)


@pytest.mark.slow
@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=4), min_size=1, max_size=3))
def test_a_schema_fits_what_it_was_made_from(documents: list[dict[str, Any]]) -> None:
    own = user_type.load("mine", json.dumps(schema_of(*documents)).encode(), "mine")
    assert isinstance(own, UserType)
    for each in documents:
        data = json.dumps({**ENVELOPE, **each, "build": {"built_at": "", "version": ""}}).encode()
        assert isinstance(artifact.read(data, "x", types={"mine": own}), artifact.Artifact)


@pytest.mark.parametrize(
    "name, document, says",
    [
        ("popularity", {}, "is a built-in type"),
        ("no name", {}, "not a name"),
        ("other", LISTS, 'says artifact_type "mine", and the type is to be called'),
    ],
)
def test_what_cannot_be_a_type_is_refused_and_nothing_is_written(
    desk: Path, tmp_path: Path, name: str, document: dict[str, Any], says: str
) -> None:
    with open_repository(str(desk)) as repo, pytest.raises(Problem, match=says):
        new_type(repo, name, [written(tmp_path, **document)])
    assert not (desk / "registry" / "schemas").exists()


def test_a_schema_that_is_there_stays(desk: Path, tmp_path: Path) -> None:
    with open_repository(str(desk)) as repo:
        path = Path(new_type(repo, "mine", [written(tmp_path, **LISTS)]).value.path)
        path.write_text("{}")
        with pytest.raises(Problem, match="is there already"):
            new_type(repo, "mine", [written(tmp_path, **LISTS)])
    assert path.read_text() == "{}"


@pytest.mark.slow
def test_a_schema_of_which_main_has_records_is_replaced_by_a_new_type_alone(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    file = written(tmp_path, **LISTS)
    with shop.open() as repo:
        new_type(repo, "mine", [file])
    shop.push("a type")
    with shop.open() as repo:
        stamp([file], repo)
    shop.publish(Path(file), merge=True)
    shop.pull()
    with shop.open() as repo, pytest.raises(Problem, match=r"records of this type \(registry/.*under another name"):
        new_type(repo, "mine", [file])


def test_stamp_writes_the_version_that_publish_takes_and_no_other_byte(desk: Path, tmp_path: Path) -> None:
    file = Path(written(tmp_path, **LISTS))
    file.chmod(0o640)
    before = file.read_bytes()
    with open_repository(str(desk)) as repo:
        new_type(repo, "mine", [str(file)])
        (one,) = stamp([str(file)], repo, clock_at(NOON), dry_run=True).value.files
        assert (one.outcome, file.read_bytes()) == ("stamped", before)
        outcome = stamp([str(file)], repo, clock_at(NOON))
        assert "registry/schemas/mine.schema.json of this checkout is not on main yet" in outcome.notes[0]
        (again,) = stamp([str(file)], repo, clock_at(NOON + 9)).value.files
    build = json.loads(file.read_bytes())["build"]
    assert build == {"built_at": "2026-03-04T12:00:00Z", "version": one.version}
    assert again.outcome == "unchanged"
    assert file.read_bytes().startswith(before.rstrip(b"}\n "))
    assert file.stat().st_mode & 0o777 == 0o640
    git(desk, "add", "-A")
    git(desk, "commit", "-qm", "declare it")
    assert main(["-C", str(desk), "publish", str(file), "--merge"]) == 0


@pytest.mark.slow
def test_stamp_puts_right_a_version_that_was_and_leaves_a_file_with_faults(desk: Path, tmp_path: Path) -> None:
    build = {"built_at": "then", "version": "f" * 64, "source_hash": ""}
    stale = Path(written(tmp_path, "stale.json", **LISTS, build=build))
    bad = Path(written(tmp_path, "bad.json", **LISTS, extra=1))
    before = bad.read_bytes()
    with open_repository(str(desk)) as repo:
        new_type(repo, "mine", [written(tmp_path, **LISTS)])
        outcome = stamp([str(stale), str(bad)], repo, clock_at(NOON))
    assert (outcome.exit_code, bad.read_bytes()) == (1, before)
    assert json.loads(stale.read_bytes())["build"]["built_at"] == "then"
    assert [each.path for each in outcome.value.files] == [str(stale)]
    assert 'unknown member "extra"' in outcome.value.faults[0].says


def test_a_file_that_cannot_be_written_is_told_and_stops_no_other(
    desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [written(tmp_path, f"{letter}.json", **LISTS, tenant=f"t-{letter}") for letter in "abc"]
    replace = os.replace
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fails_for_b(source: str, goal: str) -> None:
        if goal.endswith("b.json"):
            raise full
        replace(source, goal)

    with open_repository(str(desk)) as repo:
        new_type(repo, "mine", [files[0]])
        monkeypatch.setattr("pointsman.verbs.own_types.os.replace", fails_for_b)
        outcome = stamp(files, repo, clock_at(NOON))
    assert [each.path for each in outcome.value.files] == [files[0], files[2]]
    (fault,) = outcome.value.faults
    assert (outcome.exit_code, fault.path, fault.rule) == (3, files[1], "unwritable")
    assert "No space left" in fault.says
    assert sorted(each.name for each in tmp_path.glob("*.*")) == ["a.json", "b.json", "c.json"]


@pytest.mark.slow
def test_a_stored_blob_stays_as_it_is(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    assert shop.publish(day=1, merge=True).exit_code == 0
    blobs = {file: file.read_bytes() for file in (shop.store / "grocer").rglob("*.json")}
    (tmp_path / "link.json").symlink_to(next(iter(blobs)))
    told = stamp([str(shop.store / "grocer"), str(tmp_path / "link.json")], None)
    assert (told.value.files, told.exit_code) == ([], 1)
    assert [file.name for file, data in blobs.items() if file.read_bytes() != data] == []
    assert {fault.rule for fault in told.value.faults} == {"blob-altered"}
    assert told.value.faults[0].says.startswith("this is a stored blob")


@pytest.mark.slow
def test_a_name_as_long_as_the_file_system_takes_is_stamped(desk: Path, tmp_path: Path) -> None:
    file = written(tmp_path, f"{'a' * 250}.json", **LISTS)
    with open_repository(str(desk)) as repo:
        new_type(repo, "mine", [file])
        assert stamp([file], repo, clock_at(NOON)).exit_code == 0
    assert json.loads(Path(file).read_bytes())["build"]["version"]


@pytest.mark.slow
@given(st.dictionaries(TEXTS, VALUES, max_size=4), st.booleans(), st.booleans())
def test_build_is_put_in_whatever_stands_around_it(document: dict[str, Any], there: bool, pretty: bool) -> None:
    document = {**document, **({"build": {"version": "x", "built_at": '"}{'}} if there else {})}
    document |= {"z": [{"build": 1}]}
    data = json.dumps(document, indent=2 if pretty else None).encode()
    assert json.loads(with_build(data, {"version": "new"})) == {**document, "build": {"version": "new"}}
