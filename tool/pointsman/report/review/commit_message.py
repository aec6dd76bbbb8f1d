"""A review in a few lines of plain text, for the message of the commit that ships.

No line of it can be one of the lines of exact grammar that the rules read: each begins with a target.
"""

from __future__ import annotations

from pointsman.report.review.rows import rows
from pointsman.report.review.value import Review

_LINES = 20


def render(review: Review) -> str:
    """One line for each changed slot, the unusual ones first, as far as a message should be long."""
    every = [row for target in review.targets for row in rows(target)]
    kept = {
        (target.target, each.type): each.figure
        for target in review.targets
        for each in target.guardrails
        if each.rule == "kept-low"
    }
    lines = []
    for row in every[:_LINES]:
        figures = [row.count, _kept(kept.get((row.target, row.type), "")), row.size]
        lines.append(f"{row.target} {row.type} {row.was} → {row.becomes}: {', '.join(filter(None, figures))}")
    over = len(every) - _LINES
    return "\n".join([*lines, *([f"{every[-1].target} and others: {over} more types change"] if over > 0 else [])])


def _kept(share: float | str | None) -> str:
    """ "" where `kept-low` has no figure because it is off or the type is new."""
    return "kept not measured" if share is None else f"keeps {share:.0%}" if isinstance(share, float | int) else ""
