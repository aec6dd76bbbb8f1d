"""Guardrail `window-ahead`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.guardrails.comparison import Finding, Step, changed, days, not_measured, window_age
from pointsman.guardrails.guardrail import Guardrail
from pointsman.guardrails.limits import Limit, on_or_off

_DAY = 86400  # seconds: windows end at midnight of some time zone


def judge(limit: Limit, step: Step) -> Iterator[Finding]:
    for slot, record in changed(step):
        age = window_age(record, step.clock)
        if age is None:
            yield not_measured(slot, "the window has an end that is not a valid date")
            continue
        broken = age < -_DAY
        says = f"{slot} came from a window that ends in {days(-age)} ({record.window_end}), the limit is a day"
        yield Finding(slot, record.window_end, broken, says if broken else "")


GUARDRAIL = Guardrail(
    "window-ahead",
    stops="a type whose window ends more than a day after the commit's clock: no later window could supersede it",
    stopped_if="a type's window ends later than a day from now, by the clock of the commit, or at a merge of the merge",
    default=True,
    reads=on_or_off,
    judge=judge,
)
