"""The guardrails in the order of the pages, and how one of them judges a ship."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from pointsman.guardrails import (
    items_drop,
    items_floor,
    kept_low,
    overlap_low,
    segment_changed,
    size_jump,
    too_large_to_serve,
    type_dropped,
    type_missing,
    window_ahead,
    window_regressed,
    window_stale,
    windows_differ,
)
from pointsman.guardrails.comparison import Finding, Step, not_measured
from pointsman.guardrails.guardrail import Guardrail
from pointsman.guardrails.limits import Limit, is_on

_ALL = (
    type_dropped.GUARDRAIL,
    type_missing.GUARDRAIL,
    items_drop.GUARDRAIL,
    items_floor.GUARDRAIL,
    kept_low.GUARDRAIL,
    size_jump.GUARDRAIL,
    too_large_to_serve.GUARDRAIL,
    window_regressed.GUARDRAIL,
    window_stale.GUARDRAIL,
    window_ahead.GUARDRAIL,
    windows_differ.GUARDRAIL,
    segment_changed.GUARDRAIL,
    overlap_low.GUARDRAIL,
)
GUARDRAILS: Mapping[str, Guardrail] = {each.name: each for each in _ALL}
DEFAULTS: Mapping[str, Limit] = {each.setting: each.default for each in _ALL}
_BY_SETTING: Mapping[str, Guardrail] = {each.setting: each for each in _ALL}


LimitOf: TypeAlias = Callable[[str | None], Limit]


def read_limits(table: Mapping[str, Any], place: str, where: str) -> Mapping[str, Limit]:
    """The limits in one table of settings; `false` switches a guardrail off.

    Every key must be that of a guardrail. Problem for a wrong value.
    """
    return {
        key: False if value is False else _BY_SETTING[key].reads(value, f"{where}: {key} in {place}")
        for key, value in table.items()
    }


def judge(guardrail: Guardrail, limit: LimitOf, steps: Sequence[Step]) -> list[Finding]:
    """What one guardrail finds in a ship. `steps` compare the ship with several states, the current one first.

    `limit`: the limit of a slot, and of the manifest as a whole for None.

    A ship passes if any of `steps` is within the limit. The figures are always those of the first one.
    """
    current, *earlier = steps
    found = _found(guardrail, limit, current)
    if guardrail.of_pairs:
        why = "the version before has no record that can be read"
        unread = (slot for slot in sorted({*current.unread} & {*current.changed}) if is_on(limit(slot)))
        found += [not_measured(slot, why) for slot in unread]
    vanished = {
        slot for slot in (*current.before, *current.unread) if slot not in current.slots and slot not in current.dropped
    }
    compared = vanished | {slot for slot in current.changed if slot in current.before or slot in current.unread}
    others = (step for step in earlier if compared <= step.before.keys())
    if any(each.broken for each in found) and any(_passes(guardrail, limit, step) for step in others):
        return [Finding(each.slot, each.figure, says="" if each.broken else each.says) for each in found]
    return found


def sentence(findings: Iterable[Finding]) -> str:
    """What findings say, in one line. Slots with the same words are joined: "cooc, popularity went back from …"."""
    slots: dict[str, list[str]] = {}
    for each in findings:
        named = each.slot is not None and each.says.startswith(f"{each.slot} ")
        words = each.says.removeprefix(f"{each.slot} ") if named else each.says
        slots.setdefault(words, []).extend([each.slot] if named and each.slot is not None else [])
    return "; ".join(f"{', '.join(names)} {words}".strip() for words, names in slots.items())


def _passes(guardrail: Guardrail, limit: LimitOf, step: Step) -> bool:
    return not any(each.broken or each.figure is None for each in _found(guardrail, limit, step))


def _found(guardrail: Guardrail, limit: LimitOf, step: Step) -> list[Finding]:
    """What it finds in one comparison: once for each limit that there is, of the slots that have this limit."""
    slots = {None, *step.before, *step.after, *step.slots, *step.unread}
    limits = {(type(each), each) for each in map(limit, slots) if is_on(each)}  # 0 and false are equal to Python
    found = [
        finding
        for kind, each in limits
        for finding in guardrail.judge(each, step)
        if (type(limit(finding.slot)), limit(finding.slot)) == (kind, each)
    ]
    return found if len(limits) == 1 else sorted(found, key=lambda finding: finding.slot or "")
