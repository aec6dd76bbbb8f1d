"""Guardrail `kept-low`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.guardrails.comparison import Finding, Step
from pointsman.guardrails.guardrail import Compares, Guardrail
from pointsman.guardrails.likeness import under_floor
from pointsman.guardrails.limits import Limit, floor


def judge(limit: Limit, step: Step) -> Iterator[Finding]:
    yield from under_floor(limit, step, lambda like: like.kept, "kept {} of the ids")


GUARDRAIL = Guardrail(
    "kept-low",
    stops="a type that keeps too few of its ids",
    stopped_if=(
        "a type keeps less than this share of its ids: items, anchors of cooc, users; of your own type: the "
        "keys of its maps, the texts in its lists, or the `item_id`, `user_id` or `id` of their objects"
    ),
    default=0.3,
    reads=floor,
    compares=Compares.IDS,
    judge=judge,
    of_pairs=True,
)
