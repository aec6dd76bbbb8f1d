"""Guardrail `items-floor`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.guardrails.comparison import Finding, Step, changed
from pointsman.guardrails.guardrail import Guardrail
from pointsman.guardrails.limits import Limit, number, whole_number


def judge(limit: Limit, step: Step) -> Iterator[Finding]:
    for slot, record in changed(step):
        if slot == "popularity":
            items = record.summary.get("items", 0)
            broken = items < number(limit)
            says = f"popularity has {items} items, the floor is {number(limit):g}"
            yield Finding(slot, items, broken, says if broken else "")


GUARDRAIL = Guardrail(
    "items-floor",
    stops="a popularity with too few items",
    stopped_if="a popularity has fewer items than this",
    default=False,
    reads=whole_number("items"),
    judge=judge,
)
