"""Branches are found by the directory of their names, whatever has moved since."""

from __future__ import annotations

from pointsman.repo.heads import Heads
from pointsman.state.objects import Oid

ONE, TWO = Oid("1" * 40), Oid("2" * 40)


def test_a_directory_has_the_branches_of_now() -> None:
    heads = Heads({"refs/heads/main": ONE, "refs/heads/ship/a/b/1": ONE})
    assert heads.below("refs/heads/ship/a/b") == ["refs/heads/ship/a/b/1"]
    heads["refs/heads/ship/a/b/2"] = TWO
    heads["refs/heads/ship/a/b/1"] = TWO
    assert heads.below("refs/heads/ship/a/b") == ["refs/heads/ship/a/b/1", "refs/heads/ship/a/b/2"]
    assert heads.below("refs/heads/ship/a") == []
    for ref in ("refs/heads/ship/a/b/1", "refs/heads/ship/a/b/1", "refs/heads/other"):
        heads.drop(ref)
    assert heads == {"refs/heads/main": ONE, "refs/heads/ship/a/b/2": TWO}
    assert heads.below("refs/heads/ship/a/b") == ["refs/heads/ship/a/b/2"]
