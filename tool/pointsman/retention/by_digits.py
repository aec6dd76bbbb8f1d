"""Blobs that are named by the first digits of their versions, in their place or in the trash."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pointsman.errors import Problem
from pointsman.patterns import pattern
from pointsman.retention.trash import read_place, slot_of
from pointsman.state.names import short
from pointsman.store.base import Store, listed

_DIGITS = pattern(r"[0-9a-f]{4,64}")
_SHOWN = 3


def matching(keys: Iterable[str], text: str) -> Iterator[str]:
    """Those of the keys of blobs whose version begins with `text`. Problem if that cannot begin one."""
    if not _DIGITS.fullmatch(text):
        raise Problem(f"{text!r} is not a version: give at least 4 of its 64 hex digits, in lower case")
    return (key for key in keys if slot_of(key) is not None and key[-69:].startswith(text))


def in_store(store: Store, text: str) -> Iterator[str]:
    """The keys of such blobs of a store; of one in the trash, the key that it had."""
    places = ((each.key, read_place(each.key)) for each in listed(store))
    return matching((place[1] if place is not None else key for key, place in places), text)


def only(text: str, keys: Iterable[str]) -> str:
    """The one key that `text` names. Problem if there is none, or if several versions begin so."""
    found = sorted(set(keys))
    if not found:
        raise Problem(f"no blob of a version {text} is in the store or in its trash")
    if len({key[-69:-5] for key in found}) > 1:
        some = ", ".join(short(key[-69:]) for key in found[:_SHOWN])
        raise Problem(f"several versions begin with {text} ({some}): give more digits")
    return found[0]
