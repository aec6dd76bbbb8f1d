"""Status as a table: the columns hold what identifies a line, and what stands last gives way to the width.

Run as a program, this writes the golden files again: look at what changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pointsman.report import status, status_table
from pointsman.report.target_state import (
    Behind,
    BindingHold,
    CommittedStep,
    Instances,
    ServedAt,
    ShippedStep,
    Status,
    TargetState,
    Window,
)
from pointsman.report.words import columns, fitted
from pointsman.serving.outcomes import ToldClaim
from pointsman.serving.ring_state import DueState, RingState
from pointsman.state.objects import Oid
from pointsman.values import PullRequest, ToldFault

COMMIT = Oid("3f2a91c0" * 5)
NOW = "2026-03-03T12:00:00Z"
ANN = "Ann <a@b.example>"


def shipped(at: str = "2026-03-03T10:00:00Z", by: str = ANN, **more: Any) -> ShippedStep:
    return ShippedStep(COMMIT, at, by, by, **{"run": "", "kind": "ship", "reason": "", **more})


def state(target: str, serving: Any = "in-sync", **more: Any) -> TargetState:
    window = Window("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", 36 * 3600, None, [])
    every = {"current": {"cooc": "a" * 64}, "window": window, "shipped": shipped(), "behind": None, "drift": None}
    every |= {"claim": None, "instances": None}
    return TargetState(
        target=target, serving=serving, **{**every, "refused": [], "holds": [], "pull_requests": [], **more}
    )


def table(*states: TargetState, **more: Any) -> list[str]:
    return status_table.render(Status(COMMIT, NOW, states), **more).splitlines()


def test_a_line_for_each_target_in_columns_and_a_summary() -> None:
    lines = table(
        state("a/home"),
        state(
            "bookshop/detail",
            "behind",
            behind=Behind(CommittedStep(COMMIT, NOW, ANN, ANN), 1020, 2),
            pull_requests=[PullRequest("17", None, "ship/bookshop/detail/x")],
        ),
        state("c/home", shipped=shipped(kind="restore", reason="too few items")),
        state("d/home", holds=[BindingHold("all", "2026-03-05T00:00:00Z", "x")]),
        state("e/home", refused=[ToldFault("rolled-back", "manifests/e/home/manifest.json", "x")]),
    )
    more = "1 refused by sync, 1 on hold, 1 with an open pull request"
    assert lines == [
        "TARGET           SERVING  SHIPPED  BY                 WINDOW  TO KNOW",
        "a/home           in-sync  2h ago   Ann <a@b.example>  1d",
        "bookshop/detail  behind   2h ago   Ann <a@b.example>  1d      behind for 17m; open: 17",
        "c/home           in-sync  2h ago   Ann <a@b.example>  1d      restored: too few items",
        "d/home           in-sync  2h ago   Ann <a@b.example>  1d      on hold until 2026-03-05T00:00:00Z (all): x",
        "e/home           in-sync  2h ago   Ann <a@b.example>  1d      sync refuses it: rolled-back",
        f"5 targets on main {COMMIT[:12]}: 4 in-sync, 1 behind, {more}",
        "more of one: pointsman status e/home",
    ]


def test_instances_that_are_behind_are_counted() -> None:
    assert table(state("a/home", instances=Instances(38, 2, 40, [])))[1].endswith("  2 of 40 instances behind")
    assert table(state("a/home", instances=Instances(38, 0, 40, [])))[1].endswith("  1d")


def test_a_claim_that_holds_is_told_before_that_serving_is_behind() -> None:
    claim = ToldClaim(True, "", ANN, NOW, "2026-03-04T12:00:00Z", "bad feed", "a" * 64, "b" * 64)
    behind = Behind(CommittedStep(COMMIT, NOW, ANN, ANN), 60, 1)
    line = table(state("a/home", "behind", behind=behind, claim=claim))[1]
    assert line.endswith("break-glass holds it until 2026-03-04T12:00:00Z: bad feed; behind for 1m")
    void = table(state("a/home", "behind", behind=behind, claim=replace(claim, holds=False)))[1]
    assert "break-glass" not in void


def test_of_several_places_those_are_named_that_are_not_in_sync() -> None:
    places = [ServedAt("eu", "in-sync", None, None), ServedAt("us", "behind", None, None)]
    assert table(state("a/home", "behind", places=places))[1].endswith("  us behind")


def test_what_waits_for_a_ring_is_told_and_what_a_check_stopped_is_counted() -> None:
    due = DueState(COMMIT, "2026-03-03T14:00:00Z")
    canary = RingState("canary", COMMIT, NOW, None, "nothing", [])
    later, stopped = (RingState("prod", Oid("ab" * 20), NOW, due, waits, []) for waits in ("time", "stop"))
    lines = table(state("a/home", rings=[canary, later]), state("b/home", rings=[canary, stopped]))
    assert lines[1].endswith("  prod: 3f2a91c03f2a waits until 2026-03-03T14:00:00Z")
    assert lines[2].endswith("  prod: 3f2a91c03f2a waits for a release: the rollout was stopped")
    assert lines[3].endswith(": 2 in-sync, 1 stopped between rings")
    assert lines[4] == "more of one: pointsman status b/home"


GOLDEN = Path(__file__).parent / "golden"
WIDTHS = (50, 80, 120)


def shop() -> Status:
    """Targets of which each has something else to tell, one with a long name."""
    reason = "the feed of the night is broken and nobody knows why"
    behind = Behind(CommittedStep(COMMIT, NOW, ANN, ANN), 1020, 2)
    hold = BindingHold("all", "2026-03-05T00:00:00Z", reason)
    claim = ToldClaim(True, "", ANN, NOW, "2026-03-04T12:00:00Z", "bad feed", "a" * 64, "b" * 64)
    states = (
        state("grocer/home"),
        state("grocer/detail", "behind", behind=behind, claim=claim),
        state("bookshop/home", shipped=shipped(kind="restore", reason=reason)),
        state("a-rather-long-tenant/a-surface", "drifted", holds=[hold]),
        state("bookshop/cart", refused=[ToldFault("rolled-back", "manifests/bookshop/cart/manifest.json", "x")]),
    )
    return Status(COMMIT, NOW, states)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_looks_as_it_did(width: int) -> None:
    assert f"{status_table.render(shop(), width=width)}\n" == (GOLDEN / f"status-{width}.txt").read_text()


@pytest.mark.parametrize("width", [50, 80, 120, 200])
@pytest.mark.parametrize("target", ["a/home", "a-rather-long-tenant/a-surface", f"{'t' * 100}/s"])
def test_no_row_is_wider_than_the_terminal_and_no_target_is_cut(width: int, target: str) -> None:
    reason = "the feed of the night is broken and " * 9
    lines = table(state(target, shipped=shipped(kind="restore", reason=reason)), width=width)
    assert lines[1].startswith(target)
    told = next(line for line in lines if "restored: the feed" in line)
    assert columns(told) == width
    assert told.endswith("…")
    if columns(target) < width - 20:
        assert max(map(columns, lines[:2])) <= width


def test_wide_cuts_nothing_and_shows_commit_and_run() -> None:
    by, run = "Somebody With A Long Name <somebody@shop.example>", "https://ci.example/runs/7"
    lines = table(state("a/home", shipped=shipped(by=by, run=run)), wide=True, width=50)
    assert lines[0].split() == ["TARGET", "SERVING", "SHIPPED", "BY", "WINDOW", "COMMIT", "RUN", "TO", "KNOW"]
    assert lines[1].endswith(f"{by}  1d      3f2a91c03f2a  {run}")


def test_columns_stand_below_each_other_whatever_a_name_is_written_in() -> None:
    lines = table(
        state("a/home", shipped=shipped(by="山田 <y@shop.example>")), state("b/home", shipped=shipped(by="é"))
    )
    ends = [columns(line[: line.index("1d")]) for line in lines[1:3]]
    assert ends[0] == ends[1]
    assert columns(fitted("山田太郎", 5)) <= 5


def test_what_others_wrote_is_one_line_that_no_terminal_obeys() -> None:
    lines = table(state("a/home", shipped=shipped(by="\x1b[31mMallory", kind="restore", reason="x\ny\x9b2J")))
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


def test_only_the_state_is_coloured_and_the_heading_is_dim() -> None:
    lines = table(state("a/home"), state("b/home", "drifted"), style=lambda cell, mood: f"<{mood}>{cell}</>")
    assert lines[0].startswith("<head>TARGET")
    assert "<fine>in-sync</>" in lines[1]
    assert "<bad>drifted</>" in lines[2]


def test_nothing_shipped() -> None:
    assert table() == ["nothing was shipped yet"]


def test_a_window_that_has_not_ended_says_when_it_ends() -> None:
    window = Window("2026-03-01T00:00:00Z", "2026-03-09T00:00:00Z", -41 * 60, None, [])
    ahead = state("grocer/home", window=window)
    assert table(ahead)[1].endswith("  in 41m")
    assert "ends in 41.0 minutes" in "\n".join(status.lines_of(ahead))


if __name__ == "__main__":
    for each in WIDTHS:
        (GOLDEN / f"status-{each}.txt").write_text(f"{status_table.render(shop(), width=each)}\n")
