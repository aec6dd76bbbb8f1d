"""The pointers that serving has, place by place."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from pointsman.errors import Blocked, NoAnswer
from pointsman.gate.documents import Documents
from pointsman.gate.unmounted import serves_from_store, unmounted
from pointsman.repo.snapshot import Snapshot
from pointsman.serving.fence import SYNCED, Fence, read_fence
from pointsman.serving.seen import SeenPlace
from pointsman.settings import Settings
from pointsman.state.names import Target
from pointsman.state.place import Place
from pointsman.store.base import Held, Store
from pointsman.store.closed import Closed
from pointsman.store.open import open_store
from pointsman.store.parallel import ask_all


def open_place(place: Place) -> Store:
    """The store of a place's pointers. Nothing is created or contacted yet."""
    return open_store(place.root, place.access)


def not_mounted(documents: Documents, head: Snapshot, settings: Settings, place: Place) -> str:
    """Why a place that is empty is not one where no sync ever was: its `file://` store is not mounted. "" if it is.

    A place with a store of its own may be one that has nothing yet.
    """
    if place.store or not (says := unmounted(documents, head, settings)):
        return ""
    inside = serves_from_store(settings, place)
    return says if inside or read_fence(open_place(place), SYNCED).commit is None else ""


def every_pointer(settings: Settings) -> Iterator[tuple[Place, Target, Held | Blocked]]:
    """The pointers of every place. Blocked: this one cannot be read. Unreachable if a place cannot be listed."""
    for place in settings.serving:
        yield from ((place, target, held) for target, held in pointers(open_place(place), place))


def pointers(store: Store, place: Place, closed: Closed | None = None) -> Iterator[tuple[Target, Held | Blocked]]:
    """The pointers of a place, with their targets. Blocked: this one cannot be read.

    `closed` gets the directories that cannot be listed; without it, Blocked is raised for them.
    """
    return _read(store, place, dict.fromkeys(store.keys("", place.depth, closed)))


def pointers_again(
    store: Store, place: Place, fence: Fence, seen: SeenPlace, closed: Closed
) -> Iterator[tuple[Target, Held | Blocked]]:
    """Like `pointers`, but those that have not changed since `seen` are not read again. The fence was read before."""
    found = dict(_read(store, place, dict(seen.pointers(store, place, fence, closed))))
    seen.read({place.key(target): held for target, held in found.items() if isinstance(held, Held)})
    yield from found.items()


class Listing(NamedTuple):
    """What a place has, before anything of it is read: its store, and the tag of each key."""

    store: Store
    tags: Mapping[str, str | None]


class Remembered:
    """The pointers of places as they were last read, for whoever looks at all of them again and again.

    A look is one listing; what has another tag than before, or none that is sure, is read.
    """

    def __init__(self) -> None:
        self._places: dict[Place, tuple[Store, Mapping[str, Held]]] = {}

    def listing(self, place: Place) -> Listing:
        """What a place has now, but for what is in directories that cannot be listed. Unreachable if nothing can."""
        if place not in self._places:
            self._places[place] = open_place(place), {}
        store, _ = self._places[place]
        return Listing(store, store.tags(place.depth, (), place.file, {}))

    def pointers(self, place: Place, listing: Listing, but: Collection[str]) -> Mapping[Target, Held | Blocked]:
        """The pointers of a listing, as they are now, without those under the keys of `but`."""
        _, before = self._places[place]
        tags = {key: tag for key, tag in listing.tags.items() if key not in but}
        same = {key: held for key, tag in tags.items() if (held := before.get(key)) is not None and held.tag == tag}
        found = dict(_read(listing.store, place, {key: same.get(key) for key in tags}))
        read = {place.key(target): each for target, each in found.items() if isinstance(each, Held)}
        self._places[place] = listing.store, read
        return found


def _read(store: Store, place: Place, found: Mapping[str, Held | None]) -> Iterator[tuple[Target, Held | Blocked]]:
    """The targets of these keys, and what is under them; None: it is read."""

    def read(key: str) -> Held | Blocked | None:
        try:
            return store.read(key)
        except (Blocked, NoAnswer) as trouble:
            return Blocked(str(trouble))

    unread = [key for key, held in found.items() if held is None and place.target(key) is not None]
    answers = dict(zip(unread, ask_all(read, unread, at_once=store.at_once), strict=True))
    for key, known in found.items():
        target, held = place.target(key), known or answers.get(key)
        if target is not None and held is not None:
            yield target, held
