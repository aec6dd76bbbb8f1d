"""`pr list` as people read it: one line for each, in columns, and what is stale with its way out."""

from __future__ import annotations

from typing import Any

import pytest

from pointsman.cli.pr import render_list
from pointsman.report.words import columns
from pointsman.verbs.pr import Listed, ListedPullRequest


def pull(number: str, targets: list[str], **more: Any) -> ListedPullRequest:
    known = {"title": "ship: a", "opened_at": "2026-03-01T00:00:00Z", "author": "Ann", "stale": False}
    return ListedPullRequest(id=number, url=None, branch=f"ship/{number}", targets=targets, **{**known, **more})


def test_the_open_ones_are_a_table() -> None:
    pulls = [
        pull("7", ["grocer/home"]),
        pull("1234", ["a/b", "a/c", "a/d", "a/e"], title="ship: \x1b[31mred", author="日本", stale=True),
    ]
    heading, first, second, last = render_list(Listed(pulls)).split("\n")
    assert heading.split() == ["id", "targets", "title", "by", "opened", "state"]
    assert first.index("grocer/home") == heading.index("targets")
    assert second.index("a/b, a/c and 2 more") == heading.index("targets")
    assert first.index("2026-") == heading.index("opened") == second.index("2026-") + len("日本")
    assert "\x1b" not in second
    assert second.endswith("  stale")
    assert second.index("stale") + len("日本") == heading.index("state")
    assert last == "stale: main moved, or was merged into it; next: pointsman pr refresh"
    assert render_list(Listed([])) == "no open pull requests"


ROWS = [
    pull("64a9634c0f72", ["grocer/home"], title="rollback: grocer/home to 2b57ec9e5dc3: content_sim 3e2a18a5"),
    pull("4a69c66290fb", ["a-tenant/home", "b/home"], title="ship: popularity ece550b7fe36", stale=True),
]


@pytest.mark.parametrize("width", range(40, 141))
def test_no_line_is_wider_than_the_terminal_and_what_identifies_is_never_cut(width: int) -> None:
    text = render_list(Listed(ROWS), width)
    table = text.split("\n")[:-1]
    assert max(map(columns, table)) <= width
    for whole in ("64a9634c0f72", "4a69c66290fb", "grocer/home", "a-tenant/home, b/home", "stale"):
        assert any(whole in line for line in table), whole
    known = {word for row in ROWS for cell in (row.id, row.title, *row.targets, row.opened_at) for word in cell.split()}
    shown = {word.strip(",") for line in table[1:] for word in line.split() if not word.endswith("…")}
    assert {word.strip(",") for word in known} | {"Ann", "stale"} >= shown, "no word is broken"


def test_on_a_narrow_terminal_titles_stand_below_in_whole_words() -> None:
    assert render_list(Listed(ROWS[:1]), 40).split("\n") == [
        "id            targets",
        "64a9634c0f72  grocer/home",
        "  rollback: grocer/home to 2b57ec9e5dc3:",
        "  content_sim 3e2a18a5",
    ]
    assert render_list(Listed(ROWS[:1]), 60).split("\n")[1] == (
        "64a9634c0f72  grocer/home  rollback: grocer/home to 2b57ec9…"
    )
