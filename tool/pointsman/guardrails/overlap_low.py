"""Guardrail `overlap-low`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.guardrails.comparison import Finding, Step
from pointsman.guardrails.guardrail import Compares, Guardrail
from pointsman.guardrails.likeness import under_floor
from pointsman.guardrails.limits import Limit, floor


def judge(limit: Limit, step: Step) -> Iterator[Finding]:
    words = "kept {} of the top entries of the version before"
    yield from under_floor(limit, step, lambda like: like.overlap, words)


GUARDRAIL = Guardrail(
    "overlap-low",
    stops="a type whose top entries differ too much from those of the version before",
    stopped_if=(
        "the top of a type has less than this share in common with the top before: the twenty highest of "
        "popularity, or the first twenty of each row on average"
    ),
    default=False,
    reads=floor,
    compares=Compares.TOP,
    judge=judge,
    of_pairs=True,
)
