"""Trees that git would not write: each is named once, by the directory that it is in, and nothing below it is read."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import pytest

from pointsman.gate.odd_trees import odd_trees
from pointsman.repo.git import OddTree
from pointsman.repo.snapshot import Snapshot
from pointsman.state.objects import Change

MANIFEST, RECORD = "manifests/grocer/home/manifest.json", "registry/grocer/home/cooc/1.json"


class Head:
    """Of a snapshot only what is asked."""

    def __init__(self, odd: Collection[str]) -> None:
        self.odd = odd
        self.read: list[str] = []

    def listing(self, directory: str) -> None:
        self.read.append(directory)
        if directory in self.odd:
            raise OddTree(directory)


def named(odd: Collection[str]) -> list[str]:
    head = Head(odd)
    found = odd_trees(cast("Snapshot", head), [Change(path, None, None) for path in (MANIFEST, RECORD)])
    assert len(head.read) == len(set(head.read))
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
