"""What a check says of a state, from the values that its query had since the ring before was given the state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from pointsman.state.check import Check
from pointsman.state.documents import rfc3339

Verdict = Literal["pass", "fail", "undecided"]


class Judgement(Struct, frozen=True):
    """What a check says. `value`: the last one, None if there is none. `says`: why, in words."""

    verdict: Verdict
    value: float | None = None
    says: str = ""


def points(check: Check, now: int) -> range:
    """The moments whose values decide, seconds since 1970: from `for` ago until now, the step of the check apart."""
    return range(now - -(-check.lasts // check.step) * check.step, now + 1, check.step)


def judged_from(check: Check, given: int) -> int:
    """The first moment whose value is only about a state that was given at `given`, of which the fraction is gone."""
    return given + 1 + check.reach


def too_early(check: Check, given: int | None, now: int) -> Judgement | None:
    """Why nothing can be decided yet: what the query looks at must all be of the time since the ring was given it."""
    if given is None:
        return Judgement("undecided", says="the ring before it has not been given this state yet")
    from_, first = judged_from(check, given), points(check, now)[0]
    if first >= from_:
        return None
    ready = rfc3339(now + from_ - first)
    return Judgement("undecided", says=f"not enough time yet: its values are only about this state from {ready} on")


def judge(check: Check, values: Mapping[int, float], now: int) -> Judgement:
    """Pass if each value is there and within the limit, fail if each is there and beyond it, else undecided.

    `values`: seconds since 1970 → the value of the one series.
    """
    wanted = points(check, now)
    missing = sum(each not in values for each in wanted)
    last = values.get(wanted[-1])
    if missing:
        says = f"not enough data: {missing} of {len(wanted)} values are missing"
        return Judgement("undecided", _finite(last), says)
    found = [values[each] for each in wanted]
    if odd := sum(not math.isfinite(each) for each in found):
        says = f"not enough data: {odd} of {len(wanted)} values are no numbers, as without any traffic"
        return Judgement("undecided", _finite(last), says)
    within = sum(map(check.holds, found))
    lowest, highest = min(found), max(found)
    spread = f"{lowest:.4g}" if lowest == highest else f"{lowest:.4g} to {highest:.4g}"
    if within == len(found):
        return Judgement("pass", last, f"{spread}, {check.wants}")
    if within == 0:
        return Judgement("fail", last, f"{spread}, and it must be {check.wants}")
    says = f"{len(found) - within} of {len(found)} values are not {check.wants} ({spread}), and the others are"
    return Judgement("undecided", last, says)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
