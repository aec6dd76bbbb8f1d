"""Whose turn it is to move main, when many want to: a line of tickets on the origin.

A ticket is a ref `refs/pointsman/landing/<number>-<patience>-<id>`, pushed by whoever has lost a race for main. The
lowest number is first: numbers are drawn as in Lamport's bakery, one above the highest that is there. A ticket
grants nothing. Main moves by compare-and-swap alone, so a wrong, old or hostile ticket costs time and nothing else.

The push that moves main deletes the ticket of whoever pushed. A ticket whose owner has died is deleted by those who
wait behind it, as soon as neither main nor the head of the line has changed for its `patience` in seconds, by the
clock of the one who waits. An owner that was only slow draws a new ticket with more patience.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from pointsman.errors import MovedFirst, Unreachable
from pointsman.patterns import pattern
from pointsman.progress import LONG, waits
from pointsman.state.objects import Oid

if TYPE_CHECKING:
    import random

TICKETS = "refs/pointsman/landing/"
_TICKET = pattern(re.escape(TICKETS) + r"([0-9]{1,12})-([0-9]{1,4})-[0-9a-f]{1,40}")
_PATIENCE = 5  # seconds that others wait for an owner of whom nothing is known
_LONGEST_PATIENCE = 300
_SHORTEST_LOOK, _LONGEST_LOOK = 0.05, 5.0  # seconds between two looks at the line
_FIRST_PACE = 0.1  # seconds that one turn takes, until it is seen


class Ticket(Struct, frozen=True, order=True):
    """A place in the line. Whoever holds it wants to land the commit `oid`, or something else if main has that."""

    number: int
    ref: str
    patience: int
    oid: Oid


class Line(Protocol):
    """The refs of the origin, as far as the line needs them."""

    def look(self) -> Mapping[str, Oid]:
        """Main and the tickets as they are now, by ref. Fetches nothing."""

    def change_ref(self, ref: str, new: Oid | None, was: Oid | None) -> None:
        """Make or delete one ref; MovedFirst if it is not at `was`, Unreachable if the origin says no."""


class Turns:
    """The line, as one process sees it. `limit`: for how many seconds it tries before it gives up."""

    def __init__(
        self,
        line: Line,
        limit: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        dice: random.Random | None = None,
    ) -> None:
        self.held: Ticket | None = None
        self.waiting: tuple[Ticket, ...] = ()  # as last seen, without `held`
        self._line = line
        self._limit = limit
        self._clock = clock
        self._sleep = sleep
        self._dice = dice
        self._users = 0
        self._until = 0.0
        self._closed = False  # the origin takes no tickets
        self._dead: set[str] = set()  # tickets whose owners were waited for in vain, also if they cannot be deleted
        self._slowest = 0.0  # seconds that the longest try took
        self._turn_began = 0.0

    @property
    def is_over(self) -> bool:
        """Whether the time to try is over."""
        return self._clock() >= self._until

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Keep the ticket that `wait` draws until main has moved or this ends. May be entered again inside."""
        if not self._users:
            self._turn_began = self._clock()
            self._until = self._turn_began + self._limit()
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._leave()

    def saw(self, refs: Mapping[str, Oid]) -> None:
        """Take notice of the tickets among these refs of the origin."""
        tickets = (_ticket(ref, oid) for ref, oid in refs.items())
        mine = self.held.ref if self.held is not None else ""
        self.waiting = tuple(sorted(each for each in tickets if each is not None and each.ref != mine))

    def wait(self, again: int, offer: Oid, *, urgent: bool = False) -> None:
        """Draw a ticket for `offer`, if none is held, and return when it is the first, or is no more.

        It is no more when its commit was landed by another, or when others gave up waiting for it. Where the origin
        takes no tickets, this waits a random time that grows with `again`. `urgent`: before all others.
        """
        self._slowest = max(self._slowest, self._clock() - self._turn_began)
        if self.held is None and not self._closed:
            self._draw(offer, urgent=urgent)
        if self._closed:
            self._sleep(self._between(0, 0.02 * 2 ** min(again, 8)))
        else:
            self._stand_in_line()
        self._turn_began = self._clock()

    def _draw(self, offer: Oid, *, urgent: bool) -> None:
        self.saw(self._line.look())
        number = 0 if urgent else max((each.number for each in self.waiting), default=0) + 1
        patience = min(_LONGEST_PATIENCE, max(_PATIENCE, int(4 * self._slowest)))
        name = f"{TICKETS}{number:06}-{patience}-{os.urandom(6).hex()}"
        ticket = Ticket(number, name, patience, offer)
        try:
            self._line.change_ref(ticket.ref, offer, None)
        except Unreachable:
            self._closed = True
        else:
            self.held = ticket

    def _stand_in_line(self) -> None:
        began = changed = self._clock()
        pace, longest, state = _FIRST_PACE, 0, None
        while not self.is_over:
            refs = self._line.look()
            self.saw(refs)
            if self.held is None or self.held.ref not in refs:
                self.held = None
                return
            ahead = [each for each in self.waiting if each < self.held and each.ref not in self._dead]
            if not ahead:
                return
            now, seen = self._clock(), (refs.get("refs/heads/main"), ahead[0].ref)
            if seen != state:
                state, changed = seen, now
            elif now - changed > min(ahead[0].patience, _LONGEST_PATIENCE):
                self._drop(ahead[0])
                self._dead.add(ahead[0].ref)
            longest = max(longest, len(ahead))
            if passed := longest - len(ahead):
                pace = (now - began) / passed
            if now > began + LONG:
                waits("others are before this command in the line of those who move main", self._until - now)
            rest = min(_LONGEST_LOOK, max(_SHORTEST_LOOK, 0.7 * pace * len(ahead)))
            self._sleep(rest * self._between(0.8, 1.2))

    def _between(self, least: float, most: float) -> float:
        if self._dice is None:
            import random

            self._dice = random.Random()
        return self._dice.uniform(least, most)

    def _leave(self) -> None:
        if self.held is not None:
            self._drop(self.held)
            self.held = None

    def _drop(self, ticket: Ticket) -> None:
        # Someone else may have deleted it, and an origin that is gone is told by whatever asks it next.
        with contextlib.suppress(MovedFirst, Unreachable):
            self._line.change_ref(ticket.ref, None, ticket.oid)


def _ticket(ref: str, oid: Oid) -> Ticket | None:
    found = _TICKET.fullmatch(ref)
    return Ticket(int(found[1]), ref, int(found[2]), oid) if found else None
