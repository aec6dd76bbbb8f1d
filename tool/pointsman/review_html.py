"""A review as one HTML page that needs nothing beside itself: no script, no font, no request of any kind."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pointsman import review_rows
from pointsman.review_rows import HEADINGS, accepted, facts, guardrails, lost, movement, rows, shown, undone

if TYPE_CHECKING:
    from jinja2 import Template

_PAGE = os.path.join(os.path.dirname(__file__), "templates", "review.html")
_DETAILED = 60  # targets whose artifacts are shown one by one


def render(document: Mapping[str, Any]) -> str:
    """The page."""
    return _template().render(
        document=document,
        headings=HEADINGS,
        rows=[row for target in document["targets"] for row in rows(target)],
        detailed=document["targets"][:_DETAILED],
        more=max(0, len(document["targets"]) - _DETAILED),
        stopped=any(not fault["accepted"] for each in (document, *document["targets"]) for fault in each["faults"]),
        owners=sorted({owner for target in document["targets"] for owner in target["owners"]}),
    )


@functools.cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"shown": shown}
    environment.globals |= {
        "accepted": accepted,
        "facts": facts,
        "guardrails": guardrails,
        "lost": lost,
        "undone": undone,
        "movement": movement,
        "percent": review_rows.percent,
        "line": line,
        "LISTS": ("entered", "left", "added", "removed", "tags_appeared", "tags_vanished"),
    }
    with open(_PAGE, encoding="utf-8") as file:
        return environment.from_string(file.read())


def line(past: Sequence[Mapping[str, Any]], width: int = 220, height: int = 40) -> str:
    """The points of a polyline through the counts of the last ships, the lowest for 0."""
    counts = [each["items"] for each in past]
    highest = max(counts) or 1
    step = (width - 8) / max(len(counts) - 1, 1)
    return " ".join(
        f"{4 + place * step:.1f},{4 + (height - 8) * (1 - count / highest):.1f}" for place, count in enumerate(counts)
    )
