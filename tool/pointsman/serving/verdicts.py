"""What the checks of a ring said of the states of a target that wait for it: a small object beside its pointers.

`rollout` writes it, and sync gives the ring what passed lately. A failure stays, whatever is said later, until main has
or had the hold that stops the state: then that decides, and `rollout` takes the failure out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from pointsman.errors import MovedFirst
from pointsman.patterns import pattern
from pointsman.state.check import Check
from pointsman.state.documents import rfc3339
from pointsman.state.names import Target, is_name
from pointsman.state.objects import Oid
from pointsman.state.ring import verdict_key
from pointsman.state.strict_json import read
from pointsman.state.times import unix
from pointsman.store.base import Store

_MOST = 256  # verdicts of a target
_TRIES = 8
_COMMIT = pattern(r"[0-9a-f]{40}([0-9a-f]{24})?")


class Verdict(Struct, frozen=True):
    """What a check said of a state. `at`: when, seconds since 1970. `value`: the last one that it saw.

    `main`: what main was then. A hold that came after it is about this verdict.
    """

    commit: Oid
    check: str
    verdict: Literal["pass", "fail"]
    at: int
    main: Oid
    value: float | None = None


class Verdicts(Struct, frozen=True):
    """All that is known of what waits for one ring, the last ones last."""

    every: tuple[Verdict, ...] = ()

    def failed(self, checks: Iterable[str]) -> frozenset[Oid]:
        """The states that these checks failed: each stops, until a hold does."""
        names = set(checks)
        return frozenset(each.commit for each in self.every if each.verdict == "fail" and each.check in names)

    def passed(self, checks: Iterable[Check], commit: Oid, now: int) -> bool:
        """Whether all of these checks have passed for a state, each lately enough."""
        return all(self.last(check.name, commit, now, check.fresh) is not None for check in checks)

    def last(self, check: str, commit: Oid, now: int, fresh: int) -> Verdict | None:
        """The pass of a check for a state that is not older than `fresh` seconds; None if there is none."""
        found = self.of(check, commit)
        return found if found is not None and found.verdict == "pass" and abs(now - found.at) <= fresh else None

    def of(self, check: str, commit: Oid) -> Verdict | None:
        """What a check said of a state; None if it has said nothing."""
        return next((each for each in self.every if (each.commit, each.check) == (commit, check)), None)

    def after(self, said: Sequence[Verdict], settled: Iterable[Oid] = ()) -> Verdicts:
        """With what was said since. A failure stays, but for those of `settled` states, which a hold has stopped."""
        gone = set(settled)
        kept = {(each.commit, each.check): each for each in self.every if each.commit not in gone}
        for each in said:
            before = kept.get((each.commit, each.check))
            if before is None or before.verdict == "pass":
                kept.pop((each.commit, each.check), None)
                kept[each.commit, each.check] = each
        return Verdicts(_fewer(tuple(kept.values())))


def verdicts_of(store: Store, ring: str, target: Target) -> Verdicts:
    """What the checks of this ring said of a target's states. `store`: that of the ring's pointers."""
    held = store.read(verdict_key(ring, target))
    return read_verdicts(held.data) if held is not None else Verdicts()


def read_verdicts(data: bytes) -> Verdicts:
    """The same from the bytes of the object; none if it is none of ours, so that nothing is due by it."""
    document = read(data, "")
    found = document.get("verdicts") if isinstance(document, dict) and document.get("v") == 1 else None
    every = [_read(each) for each in found] if isinstance(found, list) else []
    return Verdicts(tuple(each for each in every if each is not None)) if None not in every else Verdicts()


def note_verdicts(
    store: Store, ring: str, target: Target, said: Sequence[Verdict], settled: Iterable[Oid] = ()
) -> Verdicts:
    """Write down what was said; what is known then. MovedFirst if others write all the time. The store is locked."""
    key, settled = verdict_key(ring, target), tuple(settled)
    for again in range(_TRIES):
        held = store.read(key)
        before = read_verdicts(held.data) if held is not None else Verdicts()
        after = before.after(said, settled)
        if after == before:
            return after
        try:
            store.replace(key, _render(target, after), was=held.tag if held else None)
            return after
        except MovedFirst:
            if again == _TRIES - 1:
                raise
    raise AssertionError


def _fewer(every: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """At most so many: the oldest passes go first, they count no longer than `fresh` anyway."""
    if len(every) <= _MOST:
        return every
    fails = [each for each in every if each.verdict == "fail"][-_MOST:]
    passes = [each for each in every if each.verdict == "pass"][len(fails) - _MOST :] if len(fails) < _MOST else []
    kept = {*fails, *passes}
    return tuple(each for each in every if each in kept)


def _read(each: Any) -> Verdict | None:
    if not isinstance(each, dict):
        return None
    commit, main = each.get("commit"), each.get("main")
    check, verdict, at, value = (each.get(key) for key in ("check", "verdict", "at", "value"))
    seconds = unix(at) if isinstance(at, str) else None
    if not isinstance(commit, str) or not isinstance(main, str):
        return None
    if seconds is None or not _COMMIT.fullmatch(commit) or not _COMMIT.fullmatch(main):
        return None
    if not isinstance(check, str) or not is_name(check) or verdict not in ("pass", "fail"):
        return None
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    return Verdict(Oid(commit), check, "pass" if verdict == "pass" else "fail", seconds, Oid(main), number)


def _render(target: Target, verdicts: Verdicts) -> bytes:
    told = [_told(each) for each in verdicts.every]
    return json.dumps({"v": 1, "target": str(target), "verdicts": told}, indent=1).encode() + b"\n"


def _told(each: Verdict) -> Mapping[str, Any]:
    value = each.value if each.value is not None and math.isfinite(each.value) else None
    return {
        "commit": each.commit,
        "check": each.check,
        "verdict": each.verdict,
        "at": rfc3339(each.at),
        "main": each.main,
        **({"value": value} if value is not None else {}),
    }
