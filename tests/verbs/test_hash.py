"""Hash: whatever stands in a checkout or in the place of an artifact, no more of it is read than it can be right."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from planted import NO_FILES, plant
from shop import Shop, artifact, popularity

from pointsman.errors import Problem
from pointsman.intake.staging import read_sources
from pointsman.outcome import Outcome
from pointsman.verbs.hash import hash_files
from pointsman.verbs.own_types import stamp


def hashed(shop: Shop | None, *paths: Path) -> Outcome[Any]:
    if shop is None:
        return hash_files([str(path) for path in paths], None)
    with shop.open() as repo:
        return hash_files([str(path) for path in paths], repo)


def rules(outcome: Outcome[Any]) -> list[str]:
    return [fault["rule"] for fault in outcome.document["faults"]]


def huge(path: Path, size: int) -> Path:
    path.touch()
    os.truncate(path, size)
    return path


@pytest.mark.slow
def test_a_file_that_no_artifact_could_have_made_is_not_read_to_its_end_and_stops_no_other(tmp_path: Path) -> None:
    sound, large = popularity(tmp_path / "1.json", 3), huge(tmp_path / "2.json", 1 << 40)
    outcome = hashed(None, sound, large)
    assert rules(outcome) == ["too-large"]
    assert [each["path"] for each in outcome.document["artifacts"]] == [str(sound)]


def test_the_limit_is_that_of_the_repository_and_publish_has_the_same(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", "[limits]\nartifact_bytes = 1000\n")
    made = popularity(tmp_path / "1.json", 3)
    made.write_bytes(made.read_bytes().ljust(16000))
    assert rules(hashed(shop, made)) == []
    made.write_bytes(made.read_bytes() + b" ")
    assert rules(hashed(shop, made)) == ["too-large"]
    assert "the limit is 1000 ([limits] artifact_bytes)" in hashed(shop, made).document["faults"][0]["says"]
    assert [fault.rule for fault in read_sources([str(made)], (), {}, 1000).faults[None]] == ["too-large"]
    (shop.desk / "pointsman.toml").write_text("no settings")  # documents alone are judged, by the default
    assert rules(hashed(shop, made)) == []


@pytest.mark.parametrize("kind", [*NO_FILES, "too long", "a link that leads nowhere"])
def test_what_is_no_schema_file_in_a_checkout_is_a_fault_of_its_own_type_alone(kind: str, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    schema = shop.desk / "registry" / "schemas" / "trending.schema.json"
    schema.parent.mkdir(parents=True)
    if kind == "too long":
        huge(schema, 1 << 40)
    elif kind in NO_FILES:
        plant(kind, schema, tmp_path / "elsewhere" / "file")
    else:
        schema.symlink_to("nowhere")
    one = artifact(tmp_path / "1.json", "trending", tenant="grocer", surface="home", day=1, items=[])
    outcome = hashed(shop, one, popularity(tmp_path / "2.json", 3))
    assert rules(outcome) == ["schema"]
    assert [each["type"] for each in outcome.document["artifacts"]] == ["popularity"]


@pytest.mark.parametrize("names", [{"tenant": "../x"}, {"tenant": "a/b"}, {"tenant": "registry"}, {"surface": "h ome"}])
def test_names_that_publish_refuses_are_refused_before_it(tmp_path: Path, names: dict[str, Any]) -> None:
    wrong, sound = popularity(tmp_path / "1.json", 3, **names), popularity(tmp_path / "2.json", 3)
    before = wrong.read_bytes()
    for outcome in (hashed(None, wrong, sound), stamp([str(wrong), str(sound)], None)):
        assert (rules(outcome), outcome.exit_code) == (["bad-path"], 1)
        assert [each["path"] for each in outcome.document.get("artifacts", outcome.document.get("files"))] == [
            str(sound)
        ]
    assert wrong.read_bytes() == before


@pytest.mark.parametrize("kind", ["pipe", "dangling", "loop"])
def test_a_named_file_that_cannot_be_read_stops_no_other_and_ends_with_3(tmp_path: Path, kind: str) -> None:
    odd, sound = tmp_path / "odd.json", popularity(tmp_path / "2.json", 3)
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.symlink_to(odd if kind == "loop" else tmp_path / "none")
    outcome = hashed(None, odd, sound)
    assert (rules(outcome), outcome.exit_code) == (["unreadable"], 3)
    assert [each["path"] for each in outcome.document["artifacts"]] == [str(sound)]
    assert stamp([str(odd), str(sound)], None).exit_code == 3
    reading = read_sources([str(odd), str(sound)], (), {}, 10**6)
    assert [source.path for source in reading.sources] == [str(sound)]
    assert [fault.rule for fault in reading.faults[None]] == ["unreadable"]


def test_a_path_where_nothing_is_is_a_slip_of_its_writer(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", popularity(tmp_path / "1.json", 3) / "x"):
        with pytest.raises(Problem, match="there is no file or directory"):
            hashed(None, path)
