"""Guardrail `type-missing`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.guardrails.comparison import Finding, Step
from pointsman.guardrails.guardrail import Guardrail
from pointsman.guardrails.limits import Limit, types


def judge(limit: Limit, step: Step) -> Iterator[Finding]:
    for slot in limit if isinstance(limit, tuple) else ():
        there = slot in step.slots
        says = "" if there else f"{slot} not in the manifest, but required by [policy] type_missing"
        yield Finding(slot, "there" if there else "missing", not there, says)


GUARDRAIL = Guardrail(
    "type-missing",
    stops="a manifest without a type that the settings require",
    stopped_if="one of these types is not in the manifest, also if it was missing before the ship",
    default=(),
    reads=types,
    judge=judge,
    of_manifest=True,
)
