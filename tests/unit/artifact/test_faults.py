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
    found = faults(artifact_type="popularity", items=[{"item_id": "a", "count": -1}] * 100)
    assert len(found) == MOST + 1


def test_an_unknown_type_says_where_to_declare_one() -> None:
    read = artifact.read(json.dumps({**ENVELOPE, "artifact_type": "cards"}).encode(), "x.json")
    assert isinstance(read, Fault)
    assert "registry/schemas/cards.schema.json, which pointsman type new cards --from FILE writes" in read.says
    assert artifact.every_fault(b"{", "x.json", Fault("x.json", "bad-json", "$: no"), {}) == [
        Fault("x.json", "bad-json", "$: no")
    ]
