"""What a guardrail compares: two states of a target, and how much the contents of two versions have in common."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pointsman.state.documents import Record
from pointsman.state.times import window_instant

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
class Likeness:
    """How much two versions of a type have in common; None where their contents are not available, with the reason."""

    kept: float | None = None  # share of the earlier ids that are still there
    overlap: float | None = None  # of what stands at the top
    why: str = ""


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


def changed(step: Step) -> Iterator[tuple[str, Record]]:
    """Slot and new record of every changed slot that has one."""
    return ((slot, step.after[slot]) for slot in sorted(step.changed) if slot in step.after)


def window_age(record: Record, clock: int) -> int | None:
    """Seconds from the end of a version's window to `clock`; None for an end that is no time."""
    end = window_instant(record.window_end)
    return None if end is None else clock - (end[0] + _YEAR_ONE)


def days(seconds: int) -> str:
    """A length of time as people say it."""
    return f"{seconds / 86400:.1f} days" if seconds >= 2 * 86400 else f"{seconds / 3600:.1f} hours"
