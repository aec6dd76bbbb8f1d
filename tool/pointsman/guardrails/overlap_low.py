"""Guardrail `overlap-low`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.guardrails.comparison import Finding, Step
from pointsman.guardrails.guardrail import Compares, Guardrail
from pointsman.guardrails.likeness import under_floor
from pointsman.guardrails.limits import Limit, floor


def judge(limit: Limit, step: Step) -> Iterator[Finding]:
    yield from under_floor(limit, step, lambda like: like.overlap, "has {} in common with what it had at the top")


GUARDRAIL = Guardrail(
    "overlap-low",
    stops="a type that has less in common with its predecessor, at the top, than a share",
    stopped_if=(
        "the top of a type has less than this share in common with the top before: the twenty highest of "
        "popularity, or the first twenty of each row on average"
    ),
    default=False,
    reads=floor,
    compares=Compares.TOP,
    judge=judge,
)
