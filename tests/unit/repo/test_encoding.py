"""Commits as `git log` tells them, read from its tokens."""

from __future__ import annotations

import pytest

from pointsman.repo.encoding import bare_commits_of, nul_separated
from pointsman.state.objects import Change, Commit, Entry, Oid

ONE, TWO, THREE = (Oid(digit * 40) for digit in "123")
NONE = "0" * 40


def commits(*tokens: str) -> list[Commit]:
    return list(bare_commits_of(nul_separated(token.encode() + b"\0" for token in tokens)))


def bare(oid: Oid, *parents: Oid, time: int = 0, changes: tuple[Change, ...] = ()) -> Commit:
    return Commit(oid, parents, time, "", "", "", changes)


@pytest.mark.parametrize("token, commit", [
    (f"{ONE} 1700000000 {TWO}", bare(ONE, TWO, time=1700000000)),
    (f"{ONE} 1700000000 {TWO} {THREE}", bare(ONE, TWO, THREE, time=1700000000)),
    (f"{ONE} 1700000000 ", bare(ONE, time=1700000000)),
    (f"{ONE}  {TWO}", bare(ONE, TWO)),
    (f"{ONE}  ", bare(ONE)),
])  # fmt: skip
def test_parents_and_a_time_may_be_missing(token: str, commit: Commit) -> None:
    assert commits(token) == [commit]


def test_changes_belong_to_the_commit_before_them() -> None:
    added, removed = f":000000 100644 {NONE} {TWO} A", f":100644 000000 {TWO} {NONE} D"
    first, second = commits(f"{ONE} 2 {TWO}", f"\n{removed}", "b.json", added, "a b.json", f"{TWO} 1 ")
    entry = Entry("100644", TWO)
    assert first == bare(ONE, TWO, time=2, changes=(Change("b.json", entry, None), Change("a b.json", None, entry)))
    assert second == bare(TWO, time=1)
