"""The pointers that serving has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pointsman.errors import Blocked
from pointsman.serving.fence import Fence
from pointsman.serving.seen import Seen
from pointsman.settings import Settings
from pointsman.state.names import Target
from pointsman.store.base import Held, Store
from pointsman.store.parallel import ask_all


def pointers(store: Store, settings: Settings) -> Iterator[tuple[Target, Held | Blocked]]:
    """The pointers that serving has, with their targets. Blocked: this one cannot be read."""
    return _read(store, settings, dict.fromkeys(store.keys("", settings.serving_depth)))


def pointers_again(
    store: Store, settings: Settings, fence: Fence, seen: Seen
) -> Iterator[tuple[Target, Held | Blocked]]:
    """Like `pointers`, but those that have not changed since `seen` are not read again. The fence was read before."""
    found = dict(_read(store, settings, dict(seen.pointers(store, settings, fence))))
    seen.read({settings.serving_key(target): held for target, held in found.items() if isinstance(held, Held)})
    yield from found.items()


def _read(
    store: Store, settings: Settings, found: Mapping[str, Held | None]
) -> Iterator[tuple[Target, Held | Blocked]]:
    """The targets of these keys, and what is under them; None: it is read."""

    def read(key: str) -> Held | Blocked | None:
        try:
            return store.read(key)
        except Blocked as blocked:
            return blocked

    unread = [key for key, held in found.items() if held is None and settings.serving_target(key) is not None]
    answers = dict(zip(unread, ask_all(read, unread, at_once=store.at_once), strict=True))
    for key, known in found.items():
        target, held = settings.serving_target(key), known or answers.get(key)
        if target is not None and held is not None:
            yield target, held
