"""When a ring was given which states of a target: a small object beside its pointers, written after them.

The ring after it counts by these times. A state that is not there was given to nobody, so far as anyone can prove.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping

from pointsman.errors import MovedFirst, Problem
from pointsman.patterns import pattern
from pointsman.state.documents import rfc3339
from pointsman.state.names import Target
from pointsman.state.objects import Oid
from pointsman.state.ring import given_key
from pointsman.state.strict_json import read
from pointsman.state.times import unix
from pointsman.store.base import Held, Store

GIVING = ".pointsman/giving.json"  # beside the pointers, as long as a pass writes them
SKEW = 300  # seconds that the clock of another sync may be ahead
_MOST = 256  # states of a target
_MOST_SOAKED = 64  # of those that no ring has to wait for any more
_TRIES = 8
_COMMIT = pattern(r"[0-9a-f]{40}([0-9a-f]{24})?")


def given_states(store: Store, ring: str, target: Target) -> dict[Oid, int]:
    """Commit → when this ring was given what it made of the target, seconds since 1970; the last one given last."""
    held = store.read(given_key(ring, target))
    return read_given(held.data) if held is not None else {}


def read_given(data: bytes) -> dict[Oid, int]:
    """The same from the bytes of the object; empty if it is none of ours."""
    document = read(data, "")
    found = document.get("given") if isinstance(document, dict) and document.get("v") == 1 else None
    given: dict[Oid, int] = {}
    for each in found if isinstance(found, list) else ():
        commit, at = (each.get("commit"), each.get("at")) if isinstance(each, dict) else (None, None)
        seconds = unix(at) if isinstance(at, str) else None
        if seconds is None or not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            return {}
        given[Oid(commit)] = seconds
    return given


def note_given(store: Store, ring: str, target: Target, commit: Oid, now: int, longest: int) -> None:
    """Say that a ring has been given a state, if nobody has said so yet. MovedFirst if others write all the time.

    What was said by a clock that was far ahead does not count. The store is locked. `longest`: seconds that any ring
    waits after another. If there is much, what is older goes.
    """
    key = given_key(ring, target)
    for again in range(_TRIES):
        held = store.read(key)
        given = read_given(held.data) if held is not None else {}
        if given.pop(commit, now + SKEW + 1) <= now + SKEW:
            return
        data = _render(target, _fewer({**given, commit: now}, now - longest))
        try:
            store.replace(key, data, was=held.tag if held else None)
            return
        except MovedFirst:
            if again == _TRIES - 1:
                raise


def forget_given(store: Store, ring: str, target: Target, gone: Callable[[Oid], bool]) -> None:
    """Break-glass took states out of a ring: if one comes back, its time begins then. The store is locked.

    `gone`: whether a commit's state is one of these. MovedFirst if somebody else writes there.
    """
    key = given_key(ring, target)
    held = store.read(key)
    given = read_given(held.data) if held is not None else {}
    if held is not None and any(map(gone, given)):
        store.replace(key, _render(target, {each: at for each, at in given.items() if not gone(each)}), was=held.tag)


class Giving:
    """The targets to whose pointers one pass at a ring is about to write, written down before the first of them.

    A pass that is killed between a pointer and what is written after it leaves them to the next. The store is locked.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._targets = set[str]()
        self._held: Held | None = None  # what stands there, so far as this pass knows

    def unfinished(self) -> list[Target]:
        """Those that an earlier pass began with and nobody said to be done; none if it is no object of ours."""
        self._held = self._store.read(GIVING)
        document = read(self._held.data, "") if self._held is not None else None
        found = document.get("targets") if isinstance(document, dict) and document.get("v") == 1 else None
        self._targets = {each for each in found if isinstance(each, str)} if isinstance(found, list) else set()
        targets = []
        for each in sorted(self._targets):
            with contextlib.suppress(Problem):
                targets.append(Target.parse(each))
        return targets

    def begin(self, targets: Iterable[Target]) -> None:
        """Write down these, too. MovedFirst if another sync did since `unfinished`."""
        self._targets |= set(map(str, targets))
        data = json.dumps({"v": 1, "targets": sorted(self._targets)}).encode() + b"\n"
        self._store.replace(GIVING, data, was=self._held.tag if self._held is not None else None)
        self._held = Held(data, "")

    def end(self) -> None:
        """All is written down: nothing is left to the next pass. What another sync wrote meanwhile stays."""
        if self._held is not None:
            held = self._store.read(GIVING)
            if held is not None and held.data == self._held.data:
                with contextlib.suppress(MovedFirst):
                    self._store.delete(GIVING, was=held.tag)


def _fewer(given: Mapping[Oid, int], soaked: int) -> dict[Oid, int]:
    """At most so many: of those given before `soaked` the newest, of the others the older half and half the newer.

    So those that wait longest go on waiting, and none is put off for ever by what comes after it.
    """
    if len(given) <= _MOST:
        return dict(given)
    old = [commit for commit, at in given.items() if at <= soaked]
    kept = [commit for commit in given if commit not in old[:-_MOST_SOAKED]]
    if len(kept) > _MOST:
        kept = [*kept[: _MOST // 2], *kept[_MOST // 2 : -1 : 2], kept[-1]]
    return {commit: given[commit] for commit in kept}


def _render(target: Target, given: Mapping[Oid, int]) -> bytes:
    told = [{"commit": commit, "at": rfc3339(at)} for commit, at in given.items()]
    return json.dumps({"v": 1, "target": str(target), "given": told}, indent=1).encode() + b"\n"
