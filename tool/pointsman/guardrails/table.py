"""Guardrails: what an unusual ship looks like. Pure functions on a limit and the two states that a ship lies between.

Each yields one finding for everything that it looked at, within its limit or not, so that a review can show the figure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

from pointsman.artifact import window_instant
from pointsman.guardrails.limits import Age, Jump, Limit
from pointsman.rules.evidence import Evidence, Likeness, TargetChange
from pointsman.state.documents import Record

# What one type's size is counted in; a user's own type counts every top-level list it has.
MEASURES = {
    "popularity": ("items",),
    "cooc": ("rows",),
    "implicit": ("users",),
    "session_seq": ("users",),
    "content_sim": ("items",),
}
_YEAR_ONE = int(datetime(1, 1, 1, tzinfo=UTC).timestamp())  # what window_instant counts from, seconds since 1970


@dataclass(frozen=True, slots=True)
class Step:
    """What a ship makes of a state: slot → record, before and after, and what is known beside."""

    before: Mapping[str, Record]
    after: Mapping[str, Record]
    changed: Collection[str]  # slots that the ship points elsewhere
    slots: Collection[str] = ()  # all slots of the manifest after it, with a record or without
    dropped: Collection[str] = ()  # slots that its message says it drops
    clock: int = 0  # the commit's, seconds since 1970
    likeness: Mapping[tuple[str, str], Likeness] = field(default_factory=dict)  # versions before and after

    def pairs(self) -> Iterator[tuple[str, Record, Record]]:
        """Slot, earlier and new record of every changed slot that has both."""
        for slot in sorted(self.changed):
            if slot in self.before and slot in self.after:
                yield slot, self.before[slot], self.after[slot]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a guardrail found: the slot it looked at (None: all), its figure, and what is wrong, "" for nothing.

    A figure of None was not to be had, `says` then tells why. What may hold for several slots alike is said, after the
    slot's name, in words that fit one and many: `sentence` says it once.
    """

    slot: str | None
    figure: float | str | None
    broken: bool = False
    says: str = ""


def type_dropped(limit: Limit, step: Step) -> Iterator[Finding]:
    for slot in sorted(step.before):
        gone = slot not in step.slots and slot not in step.dropped
        if gone:
            yield Finding(slot, "dropped", True, f"{slot} disappeared, and nothing says that it shall (publish --drop)")


def type_missing(limit: Limit, step: Step) -> Iterator[Finding]:
    for slot in limit if isinstance(limit, tuple) else ():
        there = slot in step.slots
        says = "" if there else f"{slot}, which the settings require, is not there"
        yield Finding(slot, "there" if there else "missing", not there, says)


def items_drop(limit: Limit, step: Step) -> Iterator[Finding]:
    for slot, old, new in step.pairs():
        for measure in MEASURES.get(slot, tuple(old.summary)):
            was, now = old.summary.get(measure, 0), new.summary.get(measure, 0)
            if not was:
                continue
            less = max(0.0, (was - now) / was)
            broken = now < was * (1 - float(_number(limit)))
            fall, most = _shares(less, _number(limit))
            says = f"{slot} falls from {was} to {now} {measure} ({fall} less, the limit is {most})"
            yield Finding(slot, less, broken, says if broken else "")


def items_floor(limit: Limit, step: Step) -> Iterator[Finding]:
    for slot, record in _changed(step):
        if slot == "popularity":
            items = record.summary.get("items", 0)
            broken = items < _number(limit)
            says = f"popularity has {items} items, the floor is {_number(limit):g}"
            yield Finding(slot, items, broken, says if broken else "")


def kept_low(limit: Limit, step: Step) -> Iterator[Finding]:
    for slot, old, new in step.pairs():
        like = step.likeness.get((old.version, new.version))
        if like is None or like.kept is None:
            yield _unknown(slot, like)
            continue
        broken = like.kept < _number(limit)
        keeps, floor = _shares(like.kept, _number(limit))
        says = f"{slot} keeps {keeps} of what it had, the floor is {floor}"
        yield Finding(slot, like.kept, broken, says if broken else "")


def overlap_low(limit: Limit, step: Step) -> Iterator[Finding]:
    for slot, old, new in step.pairs():
        like = step.likeness.get((old.version, new.version))
        if like is None or like.overlap is None:
            yield _unknown(slot, like)
            continue
        broken = like.overlap < _number(limit)
        shares, floor = _shares(like.overlap, _number(limit))
        says = f"{slot} has {shares} in common with what it had at the top, the floor is {floor}"
        yield Finding(slot, like.overlap, broken, says if broken else "")


def size_jump(limit: Limit, step: Step) -> Iterator[Finding]:
    assert isinstance(limit, Jump)
    for slot, old, new in step.pairs():
        if not old.size or _is_empty(old):
            continue  # what had nothing in it has no size to compare with
        shrinks, grows = new.size * limit.shrink < old.size, new.size > old.size * limit.grow
        if shrinks or grows:
            factor, allowed = (
                (old.size / max(new.size, 1), limit.shrink) if shrinks else (new.size / old.size, limit.grow)
            )
            how = "smaller" if shrinks else "larger"
            says = (
                f"{slot} goes from {old.size} to {new.size} bytes, {factor:.2f} times {how} (the limit is {allowed:g})"
            )
            yield Finding(slot, new.size / old.size, True, says)
        else:
            yield Finding(slot, new.size / old.size)


def too_large_to_serve(limit: Limit, step: Step) -> Iterator[Finding]:
    for slot, record in _changed(step):
        broken = record.size > _number(limit)
        says = f"{slot} has {record.size} bytes, serving loads at most {_number(limit):.0f}"
        yield Finding(slot, record.size, broken, says if broken else "")


def window_regressed(limit: Limit, step: Step) -> Iterator[Finding]:
    for slot, old, new in step.pairs():
        # An end that is on no calendar comes before all others.
        was, now = (window_instant(each.window_end) or (0, 0) for each in (old, new))
        broken = now < was
        says = f"{slot} went back from the window that ends {old.window_end} to the one that ends {new.window_end}"
        yield Finding(slot, new.window_end, broken, says if broken else "")


def window_stale(limit: Limit, step: Step) -> Iterator[Finding]:
    assert isinstance(limit, Age)
    for slot, record in _changed(step):
        age = window_age(record, step.clock)
        if age is None:
            yield Finding(slot, record.window_end, True, f"{slot} came from a window that ended at no time there is")
            continue
        broken = age > limit.seconds
        says = f"{slot} came from a window that ended {days(age)} ago ({record.window_end}), the limit is {limit}"
        yield Finding(slot, days(max(age, 0)), broken, says if broken else "")


def windows_differ(limit: Limit, step: Step) -> Iterator[Finding]:
    windows = {slot: (record.window_start, record.window_end) for slot, record in sorted(step.after.items())}
    instants = {tuple(map(window_instant, window)) for window in windows.values()}
    broken = len(instants) > 1
    each = ", ".join(f"{slot} {start[:10]} to {end[:10]}" for slot, (start, end) in windows.items())
    yield Finding(None, len(instants), broken, f"the types come from different windows: {each}" if broken else "")


def segment_changed(limit: Limit, step: Step) -> Iterator[Finding]:
    for slot, old, new in step.pairs():
        broken = old.segment != new.segment
        was, now = old.segment or "without a name", new.segment or "without a name"
        says = f"{slot} went from the segment {was} to the segment {now}"
        yield Finding(slot, new.segment, broken, says if broken else "")


Guardrail: TypeAlias = Callable[[Limit, Step], Iterator[Finding]]
_ALL: tuple[Guardrail, ...] = (
    type_dropped, type_missing, items_drop, items_floor, kept_low, size_jump, too_large_to_serve, window_regressed,
    window_stale, windows_differ, segment_changed, overlap_low,
)  # fmt: skip
GUARDRAILS: Mapping[str, Guardrail] = {each.__name__.replace("_", "-"): each for each in _ALL}


def setting(rule: str) -> str:
    """The key of a guardrail's limit in `[policy]`."""
    return rule.replace("-", "_")


def is_on(limit: Limit) -> bool:
    """Whether a guardrail is in force."""
    return limit is not False and limit != ()


def judge(rule: str, limit: Limit, steps: Sequence[Step]) -> list[Finding]:
    """What one guardrail finds, the ship compared with each state that it may be compared with.

    A ship passes when it is within its limit against any of `steps`; what is told is of the first, the current state.
    """
    if not is_on(limit):
        return []
    current, *earlier = steps
    found = list(GUARDRAILS[rule](limit, current))
    vanished = {slot for slot in current.before if slot not in current.slots and slot not in current.dropped}
    compared = vanished | {slot for slot in current.changed if slot in current.before}
    others = (step for step in earlier if compared <= step.before.keys())
    if any(each.broken for each in found) and any(_passes(rule, limit, step) for step in others):
        return [Finding(each.slot, each.figure) for each in found]
    return found


def sentence(findings: Iterable[Finding]) -> str:
    """What findings say, slots of which the same is to be said together: "cooc, popularity went back from …; …"."""
    slots: dict[str, list[str]] = {}
    for each in findings:
        named = each.slot is not None and each.says.startswith(f"{each.slot} ")
        words = each.says.removeprefix(f"{each.slot} ") if named else each.says
        slots.setdefault(words, []).extend([each.slot] if named and each.slot is not None else [])
    return "; ".join(f"{', '.join(names)} {words}".strip() for words, names in slots.items())


def steps(evidence: Evidence, change: TargetChange) -> list[Step]:
    """What a change makes of each state that it may be compared with, the current one first."""
    after = {slot: record for slot, record in change.records.items() if record is not None}
    slots = tuple(change.after.current) if change.after is not None else ()
    dropped = tuple(change.said.drops) if change.said is not None else ()
    return [
        Step(before, after, change.changed, slots, dropped, evidence.clock, change.likeness)
        for before in change.references or [{}]
    ]


def _passes(rule: str, limit: Limit, step: Step) -> bool:
    return not any(each.broken or each.figure is None for each in GUARDRAILS[rule](limit, step))


def window_age(record: Record, clock: int) -> int | None:
    """Seconds from the end of a version's window to `clock`; None for an end that is no time."""
    end = window_instant(record.window_end)
    return None if end is None else clock - (end[0] + _YEAR_ONE)


def days(seconds: int) -> str:
    """A length of time as people say it."""
    return f"{seconds / 86400:.1f} days" if seconds >= 2 * 86400 else f"{seconds / 3600:.1f} hours"


def _is_empty(record: Record) -> bool:
    measures = MEASURES.get(record.type, tuple(record.summary))
    return bool(measures) and not any(record.summary.get(measure, 1) for measure in measures)


def _changed(step: Step) -> Iterator[tuple[str, Record]]:
    return ((slot, step.after[slot]) for slot in sorted(step.changed) if slot in step.after)


def _number(limit: Limit) -> float:
    assert isinstance(limit, int | float)
    return limit


def _shares(figure: float, limit: float) -> tuple[str, str]:
    """A share and its limit in per cent, with as many digits as it takes to tell the two apart, three at most."""
    pairs = ((f"{figure:.{digits}%}", f"{limit:.{digits}%}") for digits in (0, 1, 2))
    return next((pair for pair in pairs if pair[0] != pair[1]), (f"{figure:.3%}", f"{limit:.3%}"))


def _unknown(slot: str, like: Likeness | None) -> Finding:
    why = like.why if like is not None and like.why else "the contents were not looked at"
    return Finding(slot, None, False, f"{slot} not judged: {why}")
