"""Rings that left the settings: what still stands at the prefix of one, and taking it away.

Git tells which rings there were: main keeps every `pointsman.toml`. A prefix is ours as long as the fence there names a
commit of main, and no place of today is in it. The fence goes last, so whoever is killed is followed by the next.
"""

from __future__ import annotations

import contextlib
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from pointsman.errors import MovedFirst, Problem, Unreachable
from pointsman.gate.gate import Gate
from pointsman.repo.snapshot import Snapshot
from pointsman.serving import notify
from pointsman.serving.fence import AUDITED, SYNCED, Fence, read_fence
from pointsman.serving.given import GIVING
from pointsman.serving.instances import read_instances
from pointsman.serving.outcomes import LeftRing
from pointsman.serving.pointers import open_place, pointers
from pointsman.serving.states import LEFT_KEY
from pointsman.settings import SETTINGS_PATH, Settings
from pointsman.state.names import NAME, Target, short
from pointsman.state.objects import Oid
from pointsman.state.place import Place
from pointsman.store.base import Held, Store, listed
from pointsman.store.parallel import ask_all

_TOGETHER = 256  # pointers that go between two looks at the fence
_OF_TARGETS = rf"{NAME}/{NAME}\.json"
_BESIDE = {  # directory below the prefix → what Pointsman writes there
    ".pointsman/given/": rf"{NAME}/{_OF_TARGETS}",
    ".pointsman/verdicts/": rf"{NAME}/{_OF_TARGETS}",
    ".pointsman/states/": _OF_TARGETS,
    ".pointsman/claims/": _OF_TARGETS,
    ".pointsman/seen/": rf"{NAME}\.json",
}
_ALONE = (notify.KEY, LEFT_KEY, GIVING, AUDITED)
_PRUNE = "when nobody reads them any more, pointsman sync --prune takes them away"


def left_since(gate: Gate, before: Oid, head: Snapshot) -> list[Place]:
    """The places of rings that the settings had at an earlier commit, and that none of today meets."""
    assert head.commit is not None
    earlier = Snapshot(gate.repo, before)
    if not gate.repo.grew_from(before, head.commit) or earlier.entry(SETTINGS_PATH) == head.entry(SETTINGS_PATH):
        return []
    return _without(_rings(gate, [earlier]), _today(gate, head))


def ever_left(gate: Gate, head: Snapshot) -> list[Place]:
    """The same of all that main ever had, newest first, as far as the settings of today reach their buckets."""
    assert head.commit is not None
    commits = gate.repo.history(head.commit, SETTINGS_PATH)
    found = _without(_rings(gate, (Snapshot(gate.repo, each.oid) for each in commits)), _today(gate, head))
    settings = gate.settings(head)
    known = {(_bucket(place.root), place.access) for place in settings.serving}
    known.add((_bucket(settings.store), settings.access))
    return [place for place in found if (_bucket(place.root), place.access) in known]


def look_at_left(gate: Gate, main: Oid, place: Place) -> LeftRing | None:
    """What is left of a ring, without reading its pointers; None if nothing of ours is."""
    try:
        store = open_place(place)
        fence = read_fence(store, SYNCED)
        if fence.commit is None or not gate.repo.grew_from(fence.commit, main):
            return None
        count = sum(place.target(key) is not None for key in store.keys("", place.depth))
    except Unreachable as problem:
        return LeftRing(place.name, place.manifest, None, "kept", f"it cannot be looked at: {problem}")
    except Problem:  # what stands as its fence is none of ours
        return None
    return LeftRing(place.name, place.manifest, count, "kept", _PRUNE)


def take_left(
    gate: Gate, place: Place, now: int, stopped: Callable[[], bool] = lambda: False, *, dry_run: bool = False
) -> LeftRing | None:
    """Take away what is ours of a ring that left the settings; None if nothing is there, or the ring is back.

    MovedFirst if somebody else writes there, Unreachable if the store does not answer. `now`: seconds since 1970.
    """
    store, repo = open_place(place), gate.repo
    if read_fence(store, SYNCED).commit is None:
        return None
    with contextlib.nullcontext() if dry_run else store.locked(""):
        fence = read_fence(store, SYNCED)
        found = dict(pointers(store, place))
        head = Snapshot(repo, repo.refresh())  # after the fence and the listing, as in sync
        main = head.commit
        if main is None or fence.commit is None or not _without([place], _today(gate, head)):
            return None
        kept = partial(LeftRing, place.name, place.manifest, len(found), "kept")
        if not repo.grew_from(fence.commit, main):
            whose = "it is another repository's now, or main was rewritten since"
            return kept(f"the fence there names {short(fence.commit)}, which is no commit of main: {whose}")
        heard = [each.name for each in read_instances(store, now) if now - each.last <= place.instance_ttl]
        if heard:
            return kept(f"{', '.join(heard[:3])} read them within the last {place.instance_ttl} s: end it first")
        repo.expect(len(found))
        ours = {
            target: held
            for target, held in found.items()
            if isinstance(held, Held) and gate.lineage(main, target).having(held.data) is not None
        }
        if not dry_run and not _take(store, place, fence, ours, stopped, whole=len(ours) == len(found)):
            return kept("sync was stopped before all were gone: run pointsman sync --prune again")
    if others := len(found) - len(ours):
        says = "main never had what they hold: look whose they are, and delete them by hand"
        return LeftRing(place.name, place.manifest, others, "kept", says)
    return LeftRing(place.name, place.manifest, len(ours), "pruned", "")


def _take(
    store: Store, place: Place, fence: Fence, ours: Mapping[Target, Held], stopped: Callable[[], bool], *, whole: bool
) -> bool:
    """Delete the pointers, then what stands beside them, then the fence if this was all. False if told to stop."""

    def delete(pointer: tuple[Target, Held]) -> None:
        target, held = pointer
        store.delete(place.key(target), was=held.tag)

    every = list(ours.items())
    for first in range(0, len(every), _TOGETHER):
        if stopped():
            return False
        _require_same(store, fence)
        deque(ask_all(delete, every[first : first + _TOGETHER], at_once=store.at_once), 0)
    _require_same(store, fence)
    deque(ask_all(store.remove, list(_beside(store)), at_once=store.at_once), 0)
    if whole and fence.tag is not None:
        store.delete(SYNCED, was=fence.tag)
    return True


def _require_same(store: Store, fence: Fence) -> None:
    if read_fence(store, SYNCED).tag != fence.tag:
        raise MovedFirst(f"another sync works at {store.url} again: run pointsman sync again")


def _beside(store: Store) -> Iterator[str]:
    """The keys of what Pointsman writes beside the pointers of a place, but for the fence."""
    for directory, form in _BESIDE.items():
        for each in listed(store, directory):
            if re.fullmatch(form, each.key.removeprefix(directory)):
                yield each.key
    yield from (key for key in _ALONE if store.size(key) is not None)


def _today(gate: Gate, head: Snapshot) -> tuple[Place, ...]:
    """The places of the settings: of those that count, and of those that stand there and are not approved yet."""
    return (*gate.settings(head).serving, *_settings(gate, head).serving)


def _rings(gate: Gate, snapshots: Iterable[Snapshot]) -> Iterator[Place]:
    """The places of all rings that these settings name."""
    for snapshot in snapshots:
        yield from (ring.place for ring in _settings(gate, snapshot).rings)


def _settings(gate: Gate, snapshot: Snapshot) -> Settings:
    """Settings as they stood; those of nobody if they cannot be read."""
    try:
        return gate.documents.settings(snapshot)
    except Problem:
        return Settings("")


def _without(places: Iterable[Place], today: Iterable[Place]) -> list[Place]:
    """The first of each prefix, without those that a place of today meets: what stands there is of that."""
    standing = list(today)
    first: dict[tuple[str, str], Place] = {}
    for place in places:
        if not any(place.meets(each) for each in standing):
            first.setdefault((place.root, place.access.endpoint), place)
    return list(first.values())


def _bucket(url: str) -> str:
    """The scheme and the bucket of a URL; of a directory the scheme alone."""
    return "/".join(url.split("/")[:3])
