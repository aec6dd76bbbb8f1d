"""Whether a store can be relied on: what everything else needs of it is tried, and cleaned up.

The one thing that nobody sees until it has gone wrong is a store that takes a conditional write and ignores the
condition. So several writers race for one key, and one of them must win.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import time

from pointsman.errors import Blocked, MovedFirst, Unreachable
from pointsman.store.base import Held, NoConditions, Store
from pointsman.store.parallel import ask_all

SCRATCH = ".pointsman/doctor"
_SKEW = 300  # seconds; S3 refuses requests that are 900 off
_RACERS = 4  # some stores let those who lose wait for seconds
_COPY = "-moved"
_REFUSED = (
    "The credentials that doctor runs with may not do it. That is right for an identity that needs it not "
    "(docs/gc.md, Rights); else allow it. What doctor wrote there may stay"
)
_IGNORES = "the store ignores {} and lets writers overwrite each other: use another store, or another gateway to it"


@dataclass(frozen=True, slots=True)
class _Finding(Exception):
    """What is wrong with a store, in a sentence."""

    says: str


def examine(store: Store) -> Iterator[tuple[str, str, bool]]:
    """Each check, what is wrong ("" if nothing is), and whether that is because the store refused it.

    Unreachable if the store cannot be written at all. What it refuses after that is for one check alone.
    """
    mine = f"{SCRATCH}/{secrets.token_hex(8)}"
    tries: Mapping[str, Callable[[Store, str], None]] = {
        "conditional writes": _conditions,
        "create-only": _create_only,
        "race of creates": _race_of_creates,
        "replace-if-unchanged": _replace,
        "race of replaces": _race_of_replaces,
        "clock": _clock,
        "list": _list,
        "delete": _delete,
        "move": _move,
    }
    with store.locked(f"{SCRATCH}/"):
        for place, (name, attempt) in enumerate(tries.items()):
            key = f"{mine}-{place}"
            wrong, refused = "", False
            try:
                attempt(store, key)
            except _Finding as finding:
                wrong = finding.says
            except NoConditions as error:
                wrong = str(error)
            except Unreachable as error:
                if place == 0 or not (isinstance(error, Blocked) or name == "list"):
                    raise
                wrong, refused = f"{error}. {_REFUSED}", True
            _clear(store, key)
            yield name, wrong, refused
            if wrong and name == "conditional writes":  # all that follows needs them
                return


def _conditions(store: Store, key: str) -> None:
    store.create(key, b"first")
    with contextlib.suppress(MovedFirst):  # whether they hold is for the other checks
        store.replace(key, b"second", was=_held(store, key).tag)


def _create_only(store: Store, key: str) -> None:
    if not store.create(key, b"first") or _held(store, key).data != b"first":
        raise _Finding("what was put cannot be read back as it was")
    if store.digest(key) != (5, hashlib.sha256(b"first").hexdigest()) or store.size(key) != 5:
        raise _Finding("the size that the store gives, or the bytes, are not those that were put")
    if store.create(key, b"second") or _held(store, key).data != b"first":
        raise _Finding(_IGNORES.format("If-None-Match"))


def _race_of_creates(store: Store, key: str) -> None:
    def create(number: int) -> bool:
        return store.create(key, b"racer %d" % number)

    winners = [number for number, won in enumerate(ask_all(create, range(_RACERS), at_once=_RACERS)) if won]
    if len(winners) != 1 or _held(store, key).data != b"racer %d" % winners[0]:
        says = f"of {_RACERS} creates of one key at once {len(winners)} were told that they had won"
        raise _Finding(f"{says}: {_IGNORES.format('If-None-Match, or decides it too late,')}")


def _replace(store: Store, key: str) -> None:
    store.create(key, b"first")
    first = _held(store, key)
    store.replace(key, b"second", was=first.tag)
    if _held(store, key).data != b"second":
        raise _Finding("what was replaced cannot be read back as it was")
    if _wins(store, key, b"third", first.tag) or _held(store, key).data != b"second":
        raise _Finding(_IGNORES.format("If-Match"))


def _race_of_replaces(store: Store, key: str) -> None:
    store.create(key, b"first")
    was = _held(store, key).tag

    def replace(number: int) -> bool:
        return _wins(store, key, b"racer %d" % number, was)

    # A directory has a lock in the place of conditions, and we hold it: its writers come one after another.
    at_once = _RACERS if store.at_once > 1 else 1
    winners = [number for number, won in enumerate(ask_all(replace, range(_RACERS), at_once=at_once)) if won]
    if len(winners) != 1 or _held(store, key).data != b"racer %d" % winners[0]:
        says = f"of {_RACERS} conditional replaces at once {len(winners)} were told that they had won"
        raise _Finding(f"{says}: {_IGNORES.format('If-Match, or decides it too late,')}")


def _clock(store: Store, key: str) -> None:
    store.create(key, b"first")
    written = store.written(key)
    ahead = written - time() if written is not None else 0.0
    if abs(ahead) > _SKEW:
        says = f"the store's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
        raise _Finding(f"{says}: set the clock that is wrong, stores refuse requests of another time")


def _list(store: Store, key: str) -> None:
    store.create(key, b"first")
    if key not in store.keys(f"{SCRATCH}/", 1):
        raise _Finding("what was put is not listed: sync would take a pointer that is there for one that is not")


def _delete(store: Store, key: str) -> None:
    store.create(key, b"first")
    store.delete(key, was=_held(store, key).tag)
    if store.read(key) is not None:
        raise _Finding("what was deleted can still be read")


def _move(store: Store, key: str) -> None:
    """As gc does: copied by the store, looked at, and taken away."""
    store.create(key, b"first")
    moved = store.move(key, key + _COPY, 5, lambda: True)
    if not moved or _held(store, key + _COPY).data != b"first" or store.size(key) is not None:
        raise _Finding("what was moved is not where it should be, or still where it was: gc cannot use the trash")
    store.remove(key + _COPY)


def _wins(store: Store, key: str, data: bytes, was: str) -> bool:
    try:
        store.replace(key, data, was=was)
    except MovedFirst:
        return False
    return True


def _held(store: Store, key: str) -> Held:
    held = store.read(key)
    if held is None:
        raise _Finding("what was put a moment ago cannot be read")
    return held


def _clear(store: Store, key: str) -> None:
    with contextlib.suppress(Unreachable):  # what is wrong has been said; a scratch object that stays does no harm
        for each in (key, key + _COPY):
            if store.size(each) is not None:
                store.remove(each)
