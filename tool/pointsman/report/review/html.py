"""A review as one HTML page that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Sequence

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
from pointsman.report.review.value import Review
from pointsman.report.words import percent

_DETAILED = 60  # targets whose artifacts are shown one by one


def render(review: Review) -> str:
    """The page."""
    return template("review.html").render(
        review=review,
        headings=HEADINGS,
        rows=[row for target in review.targets for row in rows(target)],
        detailed=review.targets[:_DETAILED],
        more=max(0, len(review.targets) - _DETAILED),
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
    )


def points(counts: Sequence[float], width: int = 220, height: int = 40) -> list[tuple[str, str]]:
    """Where counts stand in a picture, from left to right, 0 at the bottom."""
    highest = max(counts) or 1
    step = (width - 8) / max(len(counts) - 1, 1)
    return [
        (f"{4 + place * step:.1f}", f"{4 + (height - 8) * (1 - count / highest):.1f}")
        for place, count in enumerate(counts)
    ]
