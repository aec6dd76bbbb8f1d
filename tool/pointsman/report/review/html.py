"""A review as one HTML page that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pointsman.report.html import template
from pointsman.report.review.rows import (
    HEADINGS,
    accepted,
    facts,
    guardrails,
    held,
    lost,
    movement,
    rows,
    slots,
    trend,
    undone,
)
from pointsman.report.words import percent

_DETAILED = 60  # targets whose artifacts are shown one by one


def render(document: Mapping[str, Any]) -> str:
    """The page."""
    return template("review.html").render(
        document=document,
        headings=HEADINGS,
        rows=[row for target in document["targets"] for row in rows(target)],
        detailed=document["targets"][:_DETAILED],
        more=max(0, len(document["targets"]) - _DETAILED),
        stopped=any(not fault["accepted"] for each in (document, *document["targets"]) for fault in each["faults"]),
        owners=sorted({owner for target in document["targets"] for owner in target["owners"]}),
        accepted=accepted,
        facts=facts,
        guardrails=guardrails,
        held=held,
        lost=lost,
        undone=undone,
        movement=movement,
        percent=percent,
        slots=slots,
        trend=trend,
        points=points,
        LISTS=("entered", "left", "added", "removed", "tags_appeared", "tags_vanished"),
    )


def points(counts: Sequence[int], width: int = 220, height: int = 40) -> list[tuple[str, str]]:
    """Where counts stand in a picture, from left to right, 0 at the bottom."""
    highest = max(counts) or 1
    step = (width - 8) / max(len(counts) - 1, 1)
    return [
        (f"{4 + place * step:.1f}", f"{4 + (height - 8) * (1 - count / highest):.1f}")
        for place, count in enumerate(counts)
    ]
