"""Guardrail `too-large-to-serve`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.guardrails.comparison import Finding, Step, changed
from pointsman.guardrails.guardrail import Guardrail
from pointsman.guardrails.limits import Limit, number, whole_number


def judge(limit: Limit, step: Step) -> Iterator[Finding]:
    for slot, record in changed(step):
        broken = record.size > number(limit)
        says = f"{slot} has {record.size} bytes, serving loads at most {number(limit):.0f}"
        yield Finding(slot, record.size, broken, says if broken else "")


GUARDRAIL = Guardrail(
    "too-large-to-serve",
    stops="a blob that is too large for serving to load",
    stopped_if=(
        "a blob has more bytes than this. The default is the default of recsys-service. Raise it together "
        "with `[limits] artifact_bytes`, which stops `publish` earlier and cannot be accepted"
    ),
    default=10_000_000,
    reads=whole_number("bytes"),
    judge=judge,
)
