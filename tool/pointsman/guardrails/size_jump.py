"""Guardrail `size-jump`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Problem
from pointsman.guardrails.comparison import MEASURES, Finding, Step, not_measured
from pointsman.guardrails.guardrail import Guardrail
from pointsman.guardrails.limits import Jump, Limit
from pointsman.state.documents import Record

DEFAULT = Jump(3, 10)


def judge(limit: Limit, step: Step) -> Iterator[Finding]:
    assert isinstance(limit, Jump)
    for slot, old, new in step.pairs():
        if not old.size or _is_empty(old):
            if slot not in MEASURES:  # it may have more than lists and maps
                yield not_measured(slot, "the lists and maps of the version before are empty")
            continue
        shrinks, grows = new.size * limit.shrink < old.size, new.size > old.size * limit.grow
        if shrinks or grows:
            factor, allowed = (
                (old.size / max(new.size, 1), limit.shrink) if shrinks else (new.size / old.size, limit.grow)
            )
            how = "smaller" if shrinks else "larger"
            says = (
                f"{slot} went from {old.size} to {new.size} bytes, {factor:.2f} times {how} (the limit is {allowed:g})"
            )
            yield Finding(slot, new.size / old.size, True, says)
        else:
            yield Finding(slot, new.size / old.size)


def _is_empty(record: Record) -> bool:
    measures = MEASURES.get(record.type, tuple(record.summary))
    return bool(measures) and not any(record.summary.get(measure, 1) for measure in measures)


def _jump(value: object, name: str) -> Limit:
    says = f"{name} must be like {{ shrink = {DEFAULT.shrink:g}, grow = {DEFAULT.grow:g} }}, or false, not {value!r}"
    if not isinstance(value, dict) or not value or not value.keys() <= {"shrink", "grow"}:
        raise Problem(says)
    for factor in value.values():
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 <= factor < 1e9:
            raise Problem(f"{says}: a factor must be at least 1")
    return Jump(float(value.get("shrink", DEFAULT.shrink)), float(value.get("grow", DEFAULT.grow)))


GUARDRAIL = Guardrail(
    "size-jump",
    stops="a blob that becomes many times smaller or larger",
    stopped_if=(
        "a blob is more than `shrink` times smaller or more than `grow` times larger than the one it "
        "replaces; a side that is left out has its default"
    ),
    default=DEFAULT,
    reads=_jump,
    judge=judge,
    of_pairs=True,
)
