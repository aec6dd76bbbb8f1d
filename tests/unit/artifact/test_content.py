"""What is compared of an artifact: rows, ids and lists."""

from __future__ import annotations

import json

import pytest
from shop import STAGING

from pointsman.artifact.content import Content, Lists, Rows, decode
from pointsman.artifact.metrics import ids


@pytest.mark.parametrize("kind", ["popularity", "cooc", "implicit", "session_seq", "content_sim"])
def test_ids_alone_are_those_of_the_whole(kind: str) -> None:
    files = sorted(STAGING.glob(f"*/*/*/{kind}/*/*.json"))
    assert files
    for file in files:
        whole, bare = (decode(kind, file.read_bytes(), leaves=leaves) for leaves in (True, False))
        assert whole is not None
        assert bare is not None
        plain = json.loads(file.read_bytes())
        [rows] = [value for value in plain.values() if isinstance(value, list)]
        names = [row.get("user_id") or row["item_id"] for row in rows]
        assert list(ids(whole)) == list(ids(bare)) == names


@pytest.mark.parametrize(
    "document,found",
    [
        ({"packs": ["a", "b"], "n": 1}, Lists("bundles", {"packs": 2}, {"packs": ["a", "b"]})),
        ({"packs": [{"item_id": "a", "id": "x"}]}, Lists("bundles", {"packs": 1}, {"packs": ["a"]})),
        ({"packs": [{"user_id": "a"}]}, Lists("bundles", {"packs": 1}, {"packs": ["a"]})),
        ({"packs": [{"id": "a"}], "more": [1, 2]}, Lists("bundles", {"packs": 1, "more": 2}, {"packs": ["a"]})),
        ({"packs": [{"id": "a"}, {"name": "b"}]}, Lists("bundles", {"packs": 2})),
        ({"packs": ["a", 1]}, Lists("bundles", {"packs": 2})),
        ({"packs": [{"id": 7}]}, Lists("bundles", {"packs": 1})),
        ({"packs": []}, Lists("bundles", {"packs": 0})),
        ({}, Lists("bundles", {})),
        ([], None),
        ("text", None),
    ],
)
def test_the_lists_of_a_users_own_type_are_compared_by_what_their_elements_are_called(
    document: object, found: Content | None
) -> None:
    assert decode("bundles", json.dumps(document).encode()) == found


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"items": 3}', b"\xff", b'{"items": ' + b"[" * 100_000])
def test_what_is_no_artifact_has_no_content(data: bytes) -> None:
    assert decode("popularity", data) is None
    assert decode("popularity", data, leaves=False) is None


def test_an_artifact_may_have_no_list_at_all() -> None:
    for data in (b"{}", b'{"items": null}', b'{"items": []}'):
        assert decode("popularity", data) == Rows("popularity", {})
