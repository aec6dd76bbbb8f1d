"""The rings as one command sees them: each is opened once, and what it has is read once for all who ask."""

from __future__ import annotations

from pointsman.errors import Blocked, Unreachable
from pointsman.serving.pointers import open_place
from pointsman.state.names import Target
from pointsman.state.place import Place
from pointsman.state.ring import Ring
from pointsman.store.base import Held, Store


class Others:
    """Each ring that has nothing asks what all others have. Read anew, that would grow by the square of their number.

    Whoever writes the pointers of a ring says so with `forget`. What other commands write meanwhile is not seen.
    """

    def __init__(self) -> None:
        self._stores: dict[Place, Store] = {}  # settings may move a ring
        self._held: dict[str, dict[Target, Held | None]] = {}

    def store(self, ring: Ring) -> Store:
        """The store of a ring's pointers."""
        if ring.place not in self._stores:
            self._stores[ring.place] = open_place(ring.place)
        return self._stores[ring.place]

    def has(self, ring: Ring, target: Target) -> Held | None:
        """The pointer of a ring, None if it has none or cannot be read."""
        known = self._held.setdefault(ring.name, {})
        if target not in known:
            known[target] = self.read(ring, target)
        return known[target]

    def read(self, ring: Ring, target: Target) -> Held | None:
        """The same as it is now."""
        try:
            return self.store(ring).read(ring.place.key(target))
        except (Unreachable, Blocked):
            return None

    def forget(self, ring: str) -> None:
        """What a ring has may be something else now."""
        self._held.pop(ring, None)

    def forget_all(self) -> None:
        """The same of every ring."""
        self._held.clear()
