"""Guardrail `segment-changed`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.guardrails.comparison import Finding, Step
from pointsman.guardrails.guardrail import Guardrail
from pointsman.guardrails.limits import Limit, on_or_off


def judge(limit: Limit, step: Step) -> Iterator[Finding]:
    for slot, old, new in step.pairs():
        broken = old.segment != new.segment
        was, now = old.segment or "without a name", new.segment or "without a name"
        says = f"{slot} went from the segment {was} to the segment {now}"
        yield Finding(slot, new.segment, broken, says if broken else "")


GUARDRAIL = Guardrail(
    "segment-changed",
    stops="a version of one segment that is replaced by a version of another segment",
    stopped_if="the version of one segment is replaced by a version of another segment",
    default=True,
    reads=on_or_off,
    judge=judge,
    of_pairs=True,
)
