"""A review on a terminal of any width: no line is wider, names stay whole, what passes is one line.

Run as a program, this writes the golden files again: look at what changed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typed import value_of

from pointsman.report.review import terminal
from pointsman.report.review.value import Review
from pointsman.report.words import columns

GOLDEN = Path(__file__).parent / "golden"
WIDTHS = (50, 80, 120, 200)


def document() -> Any:
    """What `review --json` said of a ship of a sale, whose guardrails were accepted."""
    return json.loads((GOLDEN / "review.json").read_text())


def rendered(width: int, found: Any = None) -> str:
    return terminal.render(value_of(Review, found or document()), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_review_looks_as_it_did(width: int) -> None:
    assert rendered(width) == (GOLDEN / f"review-{width}.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("target", ["grocer/home", "a-tenant-of-some-length/surface-with-words"])
def test_no_line_is_wider_than_the_terminal_and_names_stay_whole(target: str) -> None:
    found = document()
    found["targets"][0]["target"] = target
    for width in range(44, 201, 7):
        text = rendered(width, found)
        assert max(map(columns, text.splitlines())) <= width, width
        for name in (target, *found["targets"][0]["changes"]):
            assert any(name in line for line in text.splitlines()), (width, name)


def test_hashes_are_cut_before_anything_else_is() -> None:
    old, new = document()["targets"][0]["changes"]["cooc"]
    wide = rendered(200)
    table = wide.splitlines()[3:8]
    assert table[0].startswith("grocer/home  ")
    narrow = rendered(max(map(columns, table)) - 1)
    assert f"{old[:12]}  {new[:12]}" in wide
    assert f"{old[:7]}  {new[:7]}" in narrow
    assert old[:8] not in narrow


def test_what_passes_is_one_line_and_what_is_broken_has_one_each() -> None:
    lines = rendered(200).splitlines()
    (passed,) = [line for line in lines if "within its limit: " in line]
    assert "window-regressed" in passed
    broken = [each for each in document()["targets"][0]["guardrails"] if not each["ok"]]
    assert len([line for line in lines if line.endswith(", broken")]) == len(broken) > 1


@pytest.mark.parametrize("width", [40, *(pytest.param(each, marks=pytest.mark.slow) for each in (46, 52))])
def test_on_a_narrow_terminal_no_time_and_no_item_is_cut_or_broken(width: int) -> None:
    found = document()
    words = set(rendered(200, found).split())
    times = {word for word in words if word.startswith("2026-") and word.endswith("Z")}
    items = [each["id"] for each in found["targets"][0]["types"]["popularity"]["top"]]
    text = rendered(width, found)
    assert times
    assert [each for each in (*times, *items) if each not in text] == []


if __name__ == "__main__":
    for each in WIDTHS:
        (GOLDEN / f"review-{each}.txt").write_text(rendered(each))
