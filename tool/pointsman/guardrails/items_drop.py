"""Guardrail `items-drop`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.guardrails.comparison import MEASURES, Finding, Step, not_measured
from pointsman.guardrails.guardrail import Guardrail
from pointsman.guardrails.likeness import shares
from pointsman.guardrails.limits import Limit, number, share


def judge(limit: Limit, step: Step) -> Iterator[Finding]:
    for slot, old, new in step.pairs():
        measures = [measure for measure in MEASURES.get(slot, tuple(old.summary)) if measure in old.summary]
        if not measures:
            yield not_measured(slot, "the record of the version before counts nothing")
        for measure in measures:
            was, now = old.summary[measure], new.summary.get(measure, 0)
            less = max(0.0, (was - now) / was) if was else 0.0
            broken = now < was * (1 - float(number(limit)))
            fall, most = shares(less, number(limit))
            says = f"{slot} fell from {was} to {now} {measure} ({fall} less, the limit is {most})"
            yield Finding(slot, less, broken, says if broken else "")


GUARDRAIL = Guardrail(
    "items-drop",
    stops="a type that loses too large a share of its items, rows or users",
    stopped_if=(
        "a type loses more than this share of its items (popularity, content_sim), rows (cooc) or users "
        "(implicit, session_seq); of your own type: of any list or map that is counted"
    ),
    default=0.5,
    reads=share,
    judge=judge,
    of_pairs=True,
)
