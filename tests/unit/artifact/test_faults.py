"""All faults of a document at once, each told once, the first one first."""

from __future__ import annotations

import json
from typing import Any

from pointsman import artifact
from pointsman.artifact import user_type
from pointsman.artifact.faults import MOST
from pointsman.artifact.user_type import UserType
from pointsman.errors import Fault

SCHEMA = {
    "type": "object",
    "properties": {
        "dim": {"type": "integer", "minimum": 1},
        "name": {"type": "string", "maxLength": 3},
        "rows": {"type": "array", "items": {"type": "object", "properties": {"score": {"type": "number"}}}},
    },
    "required": ["dim", "name"],
}
ENVELOPE = {
    "v": 1, "tenant": "grocer", "surface": "home",
    "window": {"start": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z"},
    "build": {"built_at": "", "version": ""},
}  # fmt: skip


def faults(**document: Any) -> list[str]:
    own = user_type.load("mine", json.dumps(SCHEMA).encode(), "mine.schema.json")
    assert isinstance(own, UserType)
    data = json.dumps({**ENVELOPE, **document}).encode()
    read = artifact.read(data, "x.json", types={"mine": own})
    assert isinstance(read, Fault)
    found = artifact.every_fault(data, "x.json", read, {"mine": own})
    assert found[0] == read
    assert {each.path for each in found} == {"x.json"}
    return [each.says.partition(": ")[0] for each in found]


def test_every_fault_of_a_users_type_is_told_once_with_its_place() -> None:
    found = faults(
        artifact_type="mine",
        dim=0,
        name="long",
        extra=1,
        rows=[{"score": 1}, {"score": "x"}, {"other": 1, "more": 1}, {"score": True}],
    )
    unknown = ["$", "$.rows[2]", "$.rows[2]"]
    assert sorted(found) == sorted([*unknown, "$.dim", "$.name", "$.rows[1].score", "$.rows[3].score"])


def test_what_is_wrong_outside_the_body_is_told_with_what_is_wrong_inside() -> None:
    document = {"window": {"start": "today", "end": 3}, "build": {"version": ""}, "tenant": 4}
    found = faults(artifact_type="mine", dim="x", name="abc", **document)
    assert {"$.window.end", "$.build", "$.tenant", "$.dim"} <= {*found}
    assert len(found) == len({*found})


def test_a_built_in_type_is_told_all_its_rows() -> None:
    items = [{"item_id": "a", "count": -1}, {"item_id": "", "count": 1}, {"item_id": "b"}, {"item_id": 3, "count": 1}]
    found = faults(artifact_type="popularity", items=items)
    assert sorted(found) == ["$.items[0].count", "$.items[1].item_id", "$.items[2]", "$.items[3].item_id"]


def test_of_very_many_faults_the_first_are_told() -> None:
    found = faults(artifact_type="popularity", items=[{"item_id": "a", "count": -1 - place} for place in range(100)])
    assert len(found) == MOST + 1


def sayings(**document: Any) -> list[str]:
    """What is said of a document, which may lack parts of the envelope (None)."""
    whole = {name: value for name, value in {**ENVELOPE, **document}.items() if value is not None}
    data = json.dumps(whole).encode()
    read = artifact.read(data, "x.json")
    assert isinstance(read, Fault)
    found = artifact.every_fault(data, "x.json", read, {})
    assert found[0].says.startswith(read.says)
    return [each.says for each in found]


def test_one_fault_of_many_entries_is_told_once_and_hides_no_other() -> None:
    items = [{"item_id": "a", "score": 1}] * 30 + [{"item_id": "a", "count": -1}]
    assert sayings(artifact_type="popularity", items=items, extra=1, build=None) == [
        '$: the member "build" is missing; pointsman stamp FILE adds it',
        '$: unknown member "extra"; remove it',
        '$.items[0]: unknown member "score"; remove it (the same is wrong at 29 more places like this)',
        '$.items[0]: the member "count" is missing; add it (the same is wrong at 29 more places like this)',
        "$.items[30].count: is -1; a count is never negative",
    ]


def test_what_makes_a_document_unreadable_is_told_in_the_first_round() -> None:
    found = sayings(artifact_type="cards", v=2, tenant="", build={"source": "x"})
    assert [each.partition(";")[0] for each in found] == [
        '$.build: the member "built_at" is missing',
        "$.v: is 2",
        '$.artifact_type: unknown artifact type "cards"',
        "$.tenant: is empty",
        '$.build: the member "version" is missing',
        '$.build: unknown member "source"',
    ]
    assert "pointsman stamp FILE adds it" in found[0]


def test_an_unknown_type_says_where_to_declare_one() -> None:
    read = artifact.read(json.dumps({**ENVELOPE, "artifact_type": "cards"}).encode(), "x.json")
    assert isinstance(read, Fault)
    assert "registry/schemas/cards.schema.json, which pointsman type new cards --from FILE writes" in read.says
    assert artifact.every_fault(b"{", "x.json", Fault("x.json", "bad-json", "$: no"), {}) == [
        Fault("x.json", "bad-json", "$: no")
    ]
