"""A review as one HTML page that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Sequence

from pointsman.report.approvals import signed_lines
from pointsman.report.html import template
from pointsman.report.review.rows import (
    HEADINGS,
    NOT_MEASURED,
    accepted,
    facts,
    guardrails,
    held,
    lost,
    movement,
    ringed,
    rows,
    slots,
    trend,
    undone,
)
from pointsman.report.review.value import Review, ReviewedTarget
from pointsman.report.words import percent

_DETAILED = 60  # targets whose artifacts are shown one by one


def render(review: Review) -> str:
    """The page."""
    return template("review.html").render(
        review=review,
        headings=HEADINGS,
        rows=[row for target in review.targets for row in rows(target)],
        detailed=review.targets[:_DETAILED],
        about=review.targets[0].target if len(review.targets) == 1 else f"{len(review.targets)} targets",
        mood=_mood(review),
        signed=list(signed_lines(review.approvals, review.evidence)),
        ringed=list(ringed(review)),
        broken=_broken,
        not_measured=NOT_MEASURED,
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


def _mood(review: Review) -> str:
    """bad: a rule stops it; wait: something is accepted, was not measured, or speaks against it; else fine."""
    if review.is_stopped:
        return "bad"
    accepts = any(fault.accepted for target in review.targets for fault in target.faults)
    unknown = any(guard.figure is None for target in review.targets for guard in target.guardrails)
    against = any(each.by and not each.meets for each in review.evidence or ())
    return "wait" if accepts or unknown or against else "fine"


def _broken(target: ReviewedTarget) -> set[str]:
    """The types of which a guardrail is broken: nothing of them is folded away."""
    every = {guard.type for guard in target.guardrails if not guard.ok}
    return set(target.types) if None in every else {each for each in every if each is not None}


def points(counts: Sequence[float], width: int = 220, height: int = 40) -> list[tuple[str, str]]:
    """Where counts stand in a picture, from left to right, 0 at the bottom."""
    highest = max(counts) or 1
    step = (width - 8) / max(len(counts) - 1, 1)
    return [
        (f"{4 + place * step:.1f}", f"{4 + (height - 8) * (1 - count / highest):.1f}")
        for place, count in enumerate(counts)
    ]
