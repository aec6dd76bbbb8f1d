"""Guardrail `type-dropped`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.guardrails.comparison import Finding, Step
from pointsman.guardrails.guardrail import Guardrail
from pointsman.guardrails.limits import Limit, on_or_off


def judge(limit: Limit, step: Step) -> Iterator[Finding]:
    for slot in sorted({*step.before, *step.unread}):
        gone = slot not in step.slots and slot not in step.dropped
        if gone:
            yield Finding(slot, "dropped", True, f"{slot} disappeared without publish --drop")


GUARDRAIL = Guardrail(
    "type-dropped",
    stops="a type that disappears without `publish --drop`",
    stopped_if="a type disappears without `publish --drop`",
    default=True,
    reads=on_or_off,
    judge=judge,
)
