"""`pr list` as people read it: one line for each, in columns, and what is stale with its way out."""

from __future__ import annotations

from typing import Any

from pointsman.cli.pr import render_list
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
