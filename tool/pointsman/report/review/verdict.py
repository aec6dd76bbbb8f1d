"""The first line of a review: what the change is, and what stops it or is accepted with it."""

from __future__ import annotations

from collections.abc import Sequence

from pointsman.report.review.value import Review, ReviewedEvidence, ReviewedHold, ReviewedTarget

_SHOWN = 3  # findings that speak against it


def verdict_line(review: Review) -> str:
    """One line: what stops it, what it accepts, or what it is."""
    faults = [*review.faults, *(fault for target in review.targets for fault in target.faults)]
    stopping = list(dict.fromkeys(fault.rule for fault in faults if not fault.accepted))
    what = f"{_against(review)}{_what(review)}"
    if stopping:
        return f"Stopped by {', '.join(stopping)}: {what}"
    accepted = list(dict.fromkeys(fault.rule for fault in faults if fault.accepted))
    if accepted:
        return f"Accepts {', '.join(accepted)}: {what}"
    return what[:1].upper() + what[1:]


def speaks_against(review: Review) -> list[ReviewedEvidence]:
    """The evidence that speaks against it."""
    return [each for each in review.evidence or () if each.by and not each.meets]


def _against(review: Review) -> str:
    return "".join(f"{each.name} by {each.by} says {each.says}; " for each in speaks_against(review)[:_SHOWN])


def _what(review: Review) -> str:
    holds = _holds(review.holds)
    if holds and not review.targets:
        return holds
    return f"{_of_targets(review)}; {holds}" if holds else _of_targets(review)


def _holds(holds: Sequence[ReviewedHold]) -> str:
    if len(holds) > 1:
        return f"{len(holds)} holds change"
    for hold in holds:
        on = "everything" if hold.target == "all" else hold.target
        return f"a hold on {on} {hold.is_}" if hold.is_ else f"the release of {on}"
    return ""


def _of_targets(review: Review) -> str:
    targets, records = review.targets, review.records
    if not targets:
        return f"{records} record{'s' if records != 1 else ''}, no manifest changes" if records else "no state changes"
    kinds = list(dict.fromkeys(each.kind for each in targets))
    who = targets[0].target if len(targets) == 1 else f"{len(targets)} targets"
    if kinds == ["unchanged"]:
        return f"no change of {who}"
    types = ", ".join(sorted({slot for each in targets for slot in each.changes}))
    if kinds == ["ship"]:
        return _of_ships(targets, who, types)
    if kinds == ["restore"]:
        undone = targets[0].undoes
        of = f" at {undone.restored_at}" if len(targets) == 1 and undone and undone.restored_at else ""
        return f"a restore of {who} to what it was{of}: {types}"
    if kinds == ["compared"]:
        return f"what {who} had and has: {types}"
    verbs = {"removal": "a removal of", "edit": "an edit by hand of"}
    return f"{verbs[kinds[0]] if len(kinds) == 1 else 'changes of several kinds to'} {who}: {types}"


def _of_ships(targets: Sequence[ReviewedTarget], who: str, types: str) -> str:
    first = all(not any(old for old, _ in each.changes.values()) and not _kept(each) for each in targets)
    verb = "the first ship of" if first else "a ship of"
    if any(not guard.ok for each in targets for guard in each.guardrails):
        return f"{verb} {who}: {types}"
    return f"{verb} {who}: {types}{'' if first else _measured(targets)}"


def _measured(targets: Sequence[ReviewedTarget]) -> str:
    """That guardrails are within their limits, and which of them could not look, by rule."""
    unmeasured: dict[str, set[str]] = {}
    for target in targets:
        for guard in target.guardrails:
            if guard.figure is None:
                unmeasured.setdefault(guard.rule, set()).add(guard.type or "all types")
    if not unmeasured:
        return "; every guardrail is within its limit"
    told = ", ".join(f"{rule} of {_few(sorted(types))}" for rule, types in unmeasured.items())
    return f"; not measured: {told}; every other guardrail is within its limit"


def _few(types: Sequence[str]) -> str:
    return ", ".join(types) if len(types) < 4 else f"{len(types)} types"


def _kept(target: ReviewedTarget) -> bool:
    return any(each.was is not None for each in target.types.values())
