"""`log --oneline` on a terminal of any width: no line is wider, targets stay whole, types are told."""

from __future__ import annotations

from typing import Any

import pytest

from pointsman.history.events import LoggedEvent
from pointsman.report.log_table import lines
from pointsman.report.words import columns

TYPES = ("content_sim", "cooc", "implicit", "popularity", "session_seq")
WHY = "6 popular items instead of 48"
COMMIT = "a10b22aae5c7" + "0" * 28


def event(target: str = "grocer/home", types: tuple[str, ...] = TYPES, **more: Any) -> LoggedEvent:
    known: dict[str, Any] = {
        "commit": COMMIT, "at": "2026-11-28T03:03:14Z", "by": "Ann Ops <ann@shop.example>", "committer": "GitHub",
        "kind": "restore", "target": target, "changes": dict.fromkeys(types, ("1" * 64, "2" * 64)), "run": "",
        "reason": WHY,
    }  # fmt: skip
    return LoggedEvent(**{**known, **more})


def shown(width: int | None, *events: LoggedEvent) -> list[str]:
    return list(lines(events or (event(),), width))


def test_where_nobody_looks_everything_is_told() -> None:
    line = f"2026-11-28T03:03:14Z  restore  grocer/home  {COMMIT[:12]}  {', '.join(TYPES)}"
    assert shown(None) == [f"{line}  Ann Ops <ann@shop.example>  {WHY}"]
    assert list(lines([], None)) == list(lines([], 80)) == []


@pytest.mark.parametrize(
    "width,line",
    [
        (50, "2026-11-28T03:03  restore  grocer/home  a10b22a"),
        (55, "2026-11-28T03:03:14Z  restore  grocer/home  a10b22a"),
        (60, "2026-11-28T03:03:14Z  restore  grocer/home  a10b22a  Ann Ops"),
        (70, "2026-11-28T03:03:14Z  restore  grocer/home  a10b22a  5 types  Ann Ops"),
        (80, "2026-11-28T03:03:14Z  restore  grocer/home  a10b22a  content_sim +4  Ann Ops"),
        (120, f"2026-11-28T03:03:14Z  restore  grocer/home  {COMMIT[:12]}  {', '.join(TYPES)}  Ann Ops"),
        (160, f"2026-11-28T03:03:14Z  restore  grocer/home  {COMMIT[:12]}  {', '.join(TYPES)}  Ann Ops  {WHY}"),
    ],
)  # fmt: skip
def test_a_line_looks_like_this(width: int, line: str) -> None:
    assert shown(width) == [line]


@pytest.mark.parametrize("target", ["a/b", "grocer/home", "a-tenant-of-some-length/surface-with-words", "日本/表面"])
def test_no_line_is_wider_and_what_identifies_stays_whole(target: str) -> None:
    others = event("b/c", ("cooc",), kind="ship", by="日本 太郎 <t@x>", reason=""), event("x/y", (), kind="hold")
    for width in range(50, 201):
        told = shown(width, event(target), *others)
        assert max(map(columns, told)) <= width, width
        text = "\n".join(told)
        assert all(each in text for each in (target, "b/c", "x/y", COMMIT[:7], "2026-11-28T03:03")), width
        assert COMMIT[:8] not in text or f"{COMMIT[:12]}  " in text, "a hash has 12 digits or 7"
        if width >= 120:
            assert "cooc" in text


def test_a_target_that_has_no_place_in_its_line_stands_below_it() -> None:
    long = "a-tenant-of-some-length/surface-with-words"
    assert shown(50, event(long)) == ["2026-11-28T03:03:14Z  restore  a10b22a  Ann Ops", f"  {long}"]
