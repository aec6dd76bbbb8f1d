"""The steps of one target: what each of them did, and what it costs to tell."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import FrameType

import pytest
from shop import GROCER, Shop, git, twice_shipped

from pointsman.gate.lineage import Lineage, Step
from pointsman.repo.open import open_repository
from pointsman.workspace import Workspace


def edited(root: Path, texts: list[str]) -> Path:
    """A bare repository whose main edits one manifest by hand, text after text."""
    git(root, "init", "-q", "--bare", "-b", "main", "main.git")
    commits = (
        f"commit refs/heads/main\ncommitter Ann <ann@example.org> {at} +0000\ndata 5\nedit\n"
        f"M 100644 inline {GROCER.manifest_path}\ndata {len(text)}\n{text}\n"
        for at, text in enumerate(texts, 1_700_000_000)
    )
    git(root / "main.git", "fast-import", "--quiet", given="".join(commits))
    return root / "main.git"


def kinds(bare: Path) -> tuple[list[str], int]:
    """What each step of the target is, newest first, and how often a step was looked up."""
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is Lineage.at.__code__:
            calls["at"] += 1

    with open_repository(str(bare)) as repo:
        lineage = Workspace(repo).gate.lineage(repo.refresh(), GROCER)
        sys.setprofile(count)
        try:
            found: list[str] = [step.kind for step in lineage]
        finally:
            sys.setprofile(None)
    return found, calls["at"]


def test_what_was_there_before_is_a_restore_however_long_ago(tmp_path: Path) -> None:
    texts = ["a", *(f"b{number}" for number in range(60)), "a", "c", "a", "c"]
    found, _ = kinds(edited(tmp_path, texts))
    assert found == ["restore", "restore", "edit", "restore", *(["edit"] * 61)]


def test_the_cost_of_telling_grows_with_the_steps_and_not_with_their_square(tmp_path: Path) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    few.mkdir()
    many.mkdir()
    _, calls = kinds(edited(few, [f"{number}" for number in range(100)]))
    _, twice = kinds(edited(many, [f"{number}" for number in range(200)]))
    assert twice <= 2.2 * calls


def going_back(shop: Shop, count: int) -> int:
    """How often a step is looked at to judge so many plain reverts, which go from one state of a target to another."""
    left = git(shop.origin, "log", "-2", "--format=%H", "main", "--", GROCER.manifest_path).split()
    blobs = [git(shop.origin, "rev-parse", f"{commit}:{GROCER.manifest_path}") for commit in left[::-1]]
    main = shop.main
    commits = (
        f"commit refs/heads/main\ncommitter Ann <ann@example.org> {at} +0000\ndata 6\nrevert\n"
        + (f"from {main}\n" if place == 0 else "")
        + f"M 100644 {blobs[place % 2]} {GROCER.manifest_path}\n"
        for place, at in enumerate(range(1_900_000_000, 1_900_000_000 + count))
    )
    git(shop.origin, "fast-import", "--quiet", "--force", given="".join(commits))
    calls: Counter[object] = Counter()

    def see(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            calls[frame.f_code] += 1

    with shop.open() as repo:
        lineage = Workspace(repo).gate.lineage(repo.refresh(), GROCER)
        sys.setprofile(see)
        try:
            assert [step.kind for step in lineage if not step.is_good] == []
        finally:
            sys.setprofile(None)
    git(shop.origin, "update-ref", "refs/heads/main", main)
    return calls[vars(Step)["is_trusted"].fget.__code__] + calls[Lineage.at.__code__]


@pytest.mark.slow
def test_each_of_many_reverts_is_judged_without_a_look_at_all_the_others(tmp_path: Path) -> None:
    shop = twice_shipped(tmp_path)
    assert going_back(shop, 80) <= 2.2 * going_back(shop, 40)
