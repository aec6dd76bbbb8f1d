"""Guardrail `window-regressed`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.guardrails.comparison import Finding, Step, not_measured
from pointsman.guardrails.guardrail import Guardrail
from pointsman.guardrails.limits import Limit, on_or_off
from pointsman.state.times import window_instant


def judge(limit: Limit, step: Step) -> Iterator[Finding]:
    for slot, old, new in step.pairs():
        # An end that is not a valid date counts as earlier than all others.
        was, now = (window_instant(each.window_end) for each in (old, new))
        if was is None and now is None:
            yield not_measured(slot, "neither window has an end that is a valid date")
            continue
        broken = (now or (0, 0)) < (was or (0, 0))
        says = f"{slot} went back from the window that ends {old.window_end} to the one that ends {new.window_end}"
        yield Finding(slot, new.window_end, broken, says if broken else "")


GUARDRAIL = Guardrail(
    "window-regressed",
    stops="a type whose window ends earlier than that of the version it replaces",
    stopped_if="a type's window ends before that of the version it replaces",
    default=True,
    reads=on_or_off,
    judge=judge,
    of_pairs=True,
)
