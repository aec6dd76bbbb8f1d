"""What a blob says against its record, one thing at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from shop import popularity

from pointsman.artifact.reader import Artifact, read
from pointsman.gate.proof import difference
from pointsman.state.documents import Record


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    found = read(popularity(tmp_path / "p.json", 3).read_bytes(), "p.json")
    assert isinstance(found, Artifact)
    return found


def record(of: Artifact, **more: Any) -> Record:
    place = {name: getattr(of, name) for name in ("tenant", "surface", "segment", "type", "version")}
    window = {name: getattr(of, name) for name in ("window_start", "window_end", "built_at", "source_hash", "summary")}
    rest = {"uri": "file:///s", "size": 1, "recorded_at": of.built_at, "run": "", "commit": "", "tool": ""}
    return Record(**{**place, **window, **rest, **more})


def test_what_is_as_its_record_says_passes(artifact: Artifact) -> None:
    assert difference(record(artifact), artifact.canonical, None) is None
    same = {"window_start": "2026-03-01T01:00:00+01:00", "window_end": "2026-03-02T00:00:00.000Z"}
    assert difference(record(artifact, **same), artifact.canonical, None) is None


@pytest.mark.parametrize(
    "more, rule, says",
    [
        ({"tenant": "baker"}, "wrong-place", 'has the tenant "grocer", but its record "baker"'),
        ({"surface": "cart"}, "wrong-place", 'has the surface "home", but its record "cart"'),
        ({"segment": "vip"}, "wrong-place", 'has the segment "default", but its record "vip"'),
        ({"type": "cooc"}, "wrong-place", 'has the type "popularity", but its record "cooc"'),
        ({"window_start": "2026-02-01T00:00:00Z"}, "wrong-place", "has a window whose start is"),
        ({"window_end": "2026-03-03T00:00:00Z"}, "wrong-place", "has a window whose end is"),
        ({"summary": {"items": 4}}, "wrong-place", "has 3 items, but its record says 4"),
        ({"summary": {}}, "wrong-place", "has 3 items, but its record says null"),
        ({"summary": {"items": 3, "users": 1}}, "wrong-place", "has null users, but its record says 1"),
        ({"version": "a" * 64}, "schema", "is not in canonical form: its version would be "),
    ],
)
def test_each_thing_that_differs_is_told(artifact: Artifact, more: Any, rule: str, says: str) -> None:
    found = difference(record(artifact, **more), artifact.canonical, None)
    assert found is not None
    assert found.rule == rule
    assert found.says.startswith(says)


@pytest.mark.parametrize("data, rule", [(b"{", "bad-json"), (b"[]", "schema"), (b"", "bad-json")])
def test_bytes_that_are_no_artifact_are_told(artifact: Artifact, data: bytes, rule: str) -> None:
    found = difference(record(artifact), data, None)
    assert found is not None
    assert found.rule == rule
    assert found.says.startswith("is no artifact that serving can rely on (")


def test_a_source_hash_of_another_make_is_let_be_and_a_version_that_lies_is_not(artifact: Artifact) -> None:
    document = json.loads(artifact.canonical)
    document["build"] = {**document["build"], "source_hash": "f" * 64}
    assert difference(record(artifact), json.dumps(document).encode(), None) is None
    document["build"]["version"] = "f" * 64
    found = difference(replace(record(artifact), version="f" * 64), json.dumps(document).encode(), None)
    assert found is not None
    assert found.rule == "schema"
