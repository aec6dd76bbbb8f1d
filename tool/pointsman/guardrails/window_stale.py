"""Guardrail `window-stale`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.guardrails.comparison import Finding, Step, changed, days, window_age
from pointsman.guardrails.guardrail import Guardrail
from pointsman.guardrails.limits import Age, Limit, age


def judge(limit: Limit, step: Step) -> Iterator[Finding]:
    assert isinstance(limit, Age)
    for slot, record in changed(step):
        age = window_age(record, step.clock)
        if age is None:
            says = f"{slot} came from a window with an end that is not a valid date"
            yield Finding(slot, record.window_end, True, says)
            continue
        broken = age > limit.seconds
        says = f"{slot} came from a window that ended {days(age)} ago ({record.window_end}), the limit is {limit}"
        yield Finding(slot, days(max(age, 0)), broken, says if broken else "")


GUARDRAIL = Guardrail(
    "window-stale",
    stops="a type whose window ended longer ago than allowed, by the commit's clock",
    stopped_if=(
        "a type's window ended longer ago than this, by the clock of the commit, or at a merge by the clock "
        'of the merge: `"90m"`, `"36h"`, `"3d"`, `"2w"`'
    ),
    default=False,
    reads=age,
    judge=judge,
)
