"""What a guardrail compares: two states of a target, and how much the contents of two versions have in common."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime

from msgspec import Struct, field

from pointsman.state.documents import Record
from pointsman.state.times import window_instant

# What is counted to measure a type. For a user's own type, it is every list and map that its record counts.
MEASURES = {
    "popularity": ("items",),
    "cooc": ("rows",),
    "implicit": ("users",),
    "session_seq": ("users",),
    "content_sim": ("items",),
}
_YEAR_ONE = int(datetime(1, 1, 1, tzinfo=UTC).timestamp())  # the zero of window_instant, in seconds since 1970


class Likeness(Struct, frozen=True):
    """How alike two versions of a type are. `why` is the reason for a figure that is not known."""

    kept: float | None = None  # share of the earlier ids that are still there
    overlap: float | None = None  # share of the top entries that both have
    why: str = ""


class Step(Struct, frozen=True):
    """A ship, compared with one earlier state of its target. `before` and `after` are slot → record."""

    before: Mapping[str, Record]
    after: Mapping[str, Record]
    changed: Collection[str]  # slots that point to another version after the ship
    slots: Collection[str] = ()  # all slots of the manifest after it, with a record or without
    dropped: Collection[str] = ()  # slots that its message drops
    clock: int = 0  # the commit's, seconds since 1970
    likeness: Mapping[tuple[str, str], Likeness] = field(default_factory=dict)  # versions before and after
    unread: Collection[str] = ()  # slots of the state before whose record is not there or cannot be read

    def pairs(self) -> Iterator[tuple[str, Record, Record]]:
        """Slot, earlier and new record of every changed slot that has both. `judge` speaks of the unread ones."""
        for slot in sorted(self.changed):
            if slot in self.before and slot in self.after:
                yield slot, self.before[slot], self.after[slot]


class Finding(Struct, frozen=True):
    """What a guardrail found in one slot, or in the whole manifest (`slot` is None).

    `says` is what is wrong, "" if nothing is. If the figure is None, `says` is why it is not known. `says` begins with
    the slot's name. The words after the name must fit several slots, too, because `sentence` joins equal ones.
    """

    slot: str | None
    figure: float | str | None
    broken: bool = False
    says: str = ""


def not_measured(slot: str | None, why: str) -> Finding:
    """What a guardrail says where it could not judge."""
    return Finding(slot, None, False, f"{slot} not measured: {why}" if slot is not None else f"not measured: {why}")


def changed(step: Step) -> Iterator[tuple[str, Record]]:
    """Slot and new record of every changed slot that has one."""
    return ((slot, step.after[slot]) for slot in sorted(step.changed) if slot in step.after)


def window_age(record: Record, clock: int) -> int | None:
    """Seconds from the end of a version's window to `clock`; None if the end is not a valid date."""
    end = window_instant(record.window_end)
    return None if end is None else clock - (end[0] + _YEAR_ONE)


def days(seconds: int) -> str:
    """A length of time in words. Below two days it is in hours."""
    return f"{seconds / 86400:.1f} days" if seconds >= 2 * 86400 else f"{seconds / 3600:.1f} hours"
