"""The steps of one target: what each of them did, and what it costs to tell."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import FrameType

from shop import GROCER, git

from pointsman.gate.lineage import Lineage
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
