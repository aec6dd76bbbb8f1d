"""Trees that git would not write: each is named once, by the directory that it is in, and nothing below it is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

import pytest

from pointsman.gate.odd_trees import odd_trees
from pointsman.repo.git import OddTree
from pointsman.repo.snapshot import Snapshot
from pointsman.state.objects import TREE, Change, Entry, Oid

MANIFEST, RECORD = "manifests/grocer/home/manifest.json", "registry/grocer/home/cooc/1.json"


class Head:
    """Of a snapshot only what is asked."""

    def __init__(self, odd: Collection[str], below: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.odd = odd
        self.below = below or {}  # directory → its directories, with the ids of their trees
        self.read: list[str] = []

    def listing(self, directory: str) -> dict[str, Entry]:
        self.read.append(directory)
        if directory in self.odd:
            raise OddTree(directory)
        return {name: Entry(TREE, Oid(oid)) for name, oid in self.below.get(directory, {}).items()}


def named(odd: Collection[str]) -> list[str]:
    head = Head(odd)
    changes = [Change(path, None, None) for path in (MANIFEST, RECORD)]
    found = odd_trees(cast("Snapshot", Head(())), cast("Snapshot", head), changes)
    assert len(head.read) == len(set(head.read)) + 1, "the root is read for its ids, too"
    below = [each for each in head.read for above in found if each.startswith(f"{above}/")]
    assert below == []
    return list(found)


@pytest.mark.parametrize(
    "odd, told",
    [
        ((), []),
        (("",), ["."]),
        (("", "manifests"), ["."]),
        (("manifests",), ["manifests"]),
        (("manifests/grocer", "manifests/grocer/home"), ["manifests/grocer"]),
        (("manifests/grocer/home", "registry"), ["manifests/grocer/home", "registry"]),
        (("registry/grocer/home/cooc", "elsewhere"), ["registry/grocer/home/cooc"]),
    ],
)
def test_the_highest_odd_directory_above_a_change_is_told(odd: tuple[str, ...], told: list[str]) -> None:
    assert named(odd) == told


def test_a_directory_with_another_id_is_looked_at_though_no_path_in_it_changed() -> None:
    was = {"": {"manifests": "1", "tool": "2"}, "manifests": {"grocer": "3", "bakery": "4"}, "tool": {"x": "5"}}
    now = {**was, "": {"manifests": "6", "tool": "2"}, "manifests": {"grocer": "7", "bakery": "4"}}
    head = Head(("manifests/grocer",), now)
    assert list(odd_trees(cast("Snapshot", Head((), was)), cast("Snapshot", head), [])) == ["manifests/grocer"]
    assert {*head.read} == {"", "manifests", "manifests/grocer"}
