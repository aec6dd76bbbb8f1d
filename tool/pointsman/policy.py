"""Guardrails: what an unusual ship looks like. Pure functions on a limit and two records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from pointsman.documents import Record

# What one type's size is counted in; a user's own type counts every top-level list it has.
_MEASURES = {
    "popularity": ("items",),
    "cooc": ("rows",),
    "implicit": ("users",),
    "session_seq": ("users",),
    "content_sim": ("items",),
}


def items_drop(share: float, before: Record, after: Record) -> str | None:
    """What is wrong if a count of `after` lies more than `share` under that of `before`."""
    for measure in _MEASURES.get(after.type, tuple(before.summary)):
        was, now = before.summary.get(measure, 0), after.summary.get(measure, 0)
        if was and now < was * (1 - share):
            less = (was - now) / was
            return f"{after.type} falls from {was} to {now} {measure} ({less:.0%} less, the limit is {share:.0%})"
    return None


_Guardrail = Callable[[float, Record, Record], str | None]
GUARDRAILS: Mapping[str, tuple[str, _Guardrail]] = {"items-drop": ("items_drop", items_drop)}


def judge(rule: str, limit: float, after: Iterable[Record], references: Sequence[Mapping[str, Record]]) -> list[str]:
    """What one guardrail says of the slots that a ship changes, against each state it may be compared with.

    A ship passes when it is within limits of any of `references` (slot → record); what it says is of the first.
    """
    _, guardrail = GUARDRAILS[rule]
    changed = list(after)
    current = next(iter(references), {})
    comparable = [old for old in references if all(new.type in old for new in changed if new.type in current)]
    verdicts = [
        [said for new in changed if new.type in old and (said := guardrail(limit, old[new.type], new)) is not None]
        for old in comparable
    ]
    return verdicts[0] if verdicts and all(verdicts) else []
