"""Rings: places that serving reads, in the order in which a ship reaches them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from pointsman.state.names import Pattern, Target
from pointsman.state.place import Place

NOT_SOAKED = "not-soaked"  # what an Accept: line names that sends a ship to every ring at once


class Ring(Struct, frozen=True):
    """One ring. `after`: seconds that the ring before must have had a state. `checks`: names of `[check.*]`."""

    place: Place
    after: int = 0
    checks: tuple[str, ...] = ()
    targets: tuple[Pattern, ...] = ()  # whose ships it takes in its turn; none: all. Others it is given at once

    @property
    def name(self) -> str:
        """The name of the ring, which is that of its place."""
        return self.place.name

    def orders(self, target: Target) -> bool:
        """Whether the ships of a target reach this ring in its turn."""
        return not self.targets or any(pattern.matches(target) for pattern in self.targets)


def ring_before(rings: Sequence[Ring], name: str, target: Target) -> tuple[Ring, Ring] | None:
    """The ring of this name, and the one that must have had a target's states before it.

    None: the ring follows main, because it is the target's first or takes no part in its order; or there is none so.
    """
    order = [ring for ring in rings if ring.orders(target)]
    place = next((place for place, ring in enumerate(order) if ring.name == name), 0)
    return (order[place], order[place - 1]) if place else None


def given_key(ring: str, target: Target) -> str:
    """The key, below the root of a ring, of when the ring was given which states of a target."""
    return f".pointsman/given/{ring}/{target.tenant}/{target.surface}.json"


def verdict_key(ring: str, target: Target) -> str:
    """The key, below the root of a ring, of what its checks said of the states of a target that wait for it."""
    return f".pointsman/verdicts/{ring}/{target.tenant}/{target.surface}.json"
