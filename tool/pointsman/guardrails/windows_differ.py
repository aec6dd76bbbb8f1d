"""Guardrail `windows-differ`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.guardrails.comparison import Finding, Step, not_measured
from pointsman.guardrails.guardrail import Guardrail
from pointsman.guardrails.limits import Limit, on_or_off
from pointsman.state.times import window_instant


def judge(limit: Limit, step: Step) -> Iterator[Finding]:
    windows = {slot: (record.window_start, record.window_end) for slot, record in sorted(step.after.items())}
    instants = {tuple(map(window_instant, window)) for window in windows.values()}
    if len(instants) == 1 and None in next(iter(instants)):
        yield not_measured(None, "no window of the types has two valid dates")
        return
    broken = len(instants) > 1
    each = ", ".join(f"{slot} {start[:10]} to {end[:10]}" for slot, (start, end) in windows.items())
    yield Finding(None, len(instants), broken, f"the types come from different windows: {each}" if broken else "")


GUARDRAIL = Guardrail(
    "windows-differ",
    stops="types of one manifest that come from different windows",
    stopped_if="the types of the manifest come from different windows",
    default=False,
    reads=on_or_off,
    judge=judge,
    of_manifest=True,
)
