"""The first line of a review: what the change is, and what stops it or is accepted with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def verdict_line(document: Mapping[str, Any]) -> str:
    """One line: what stops it, what it accepts, or what it is."""
    targets = document["targets"]
    faults = [fault for each in (document, *targets) for fault in each["faults"]]
    stopping = list(dict.fromkeys(fault["rule"] for fault in faults if not fault["accepted"]))
    what = _what(document)
    if stopping:
        return f"Stopped by {', '.join(stopping)}: {what}"
    accepted = list(dict.fromkeys(fault["rule"] for fault in faults if fault["accepted"]))
    if accepted:
        return f"Accepts {', '.join(accepted)}: {what}"
    return what[:1].upper() + what[1:]


def _what(document: Mapping[str, Any]) -> str:
    holds = _holds(document["holds"])
    if holds and not document["targets"]:
        return holds
    return f"{_of_targets(document)}; {holds}" if holds else _of_targets(document)


def _holds(holds: Sequence[Mapping[str, Any]]) -> str:
    if len(holds) > 1:
        return f"{len(holds)} holds change"
    for hold in holds:
        on = "everything" if hold["target"] == "all" else hold["target"]
        return f"a hold on {on} until {hold['is']['until']}" if hold["is"] else f"the release of {on}"
    return ""


def _of_targets(document: Mapping[str, Any]) -> str:
    targets = document["targets"]
    if not targets:
        records = document["records"]
        return f"{records} record{'s' if records != 1 else ''}, no manifest changes" if records else "no state changes"
    kinds = list(dict.fromkeys(each["kind"] for each in targets))
    who = targets[0]["target"] if len(targets) == 1 else f"{len(targets)} targets"
    if kinds == ["unchanged"]:
        return f"no change of {who}"
    changed = sorted({slot for each in targets for slot in each["changes"]})
    types = ", ".join(changed)
    if kinds == ["ship"]:
        first = all(not any(old for old, _ in each["changes"].values()) and not _kept(each) for each in targets)
        verb = "the first ship of" if first else "a ship of"
        judged = " that could be judged" if any(each["notes"] for each in targets) else ""
        ordinary = "" if first else f"; every guardrail{judged} is within its limit"
        broken = any(not guard["ok"] for each in targets for guard in each["guardrails"])
        return f"{verb} {who}: {types}{'' if broken else ordinary}"
    if kinds == ["restore"]:
        undone = targets[0]["undoes"]
        of = f" at {undone['restored_at']}" if len(targets) == 1 and undone and undone["restored_at"] else ""
        return f"a restore of {who} to what it was{of}: {types}"
    if kinds == ["compared"]:
        return f"what {who} had and has: {types}"
    verbs = {"removal": "a removal of", "edit": "an edit by hand of"}
    return f"{verbs[kinds[0]] if len(kinds) == 1 else 'changes of several kinds to'} {who}: {types}"


def _kept(target: Mapping[str, Any]) -> bool:
    return any(each["was"] is not None for each in target["types"].values())
