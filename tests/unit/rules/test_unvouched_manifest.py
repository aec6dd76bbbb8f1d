"""The time of new bytes: what `publish` writes always passes, and after whatever passes another ship can follow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pointsman.rules.evidence import Checkpoint, Evidence, Kind, TargetChange
from pointsman.rules.unvouched_manifest import RULE
from pointsman.settings import Settings
from pointsman.state.documents import Manifest, later_moment, moment
from pointsman.state.message import Said
from pointsman.state.names import Target
from pointsman.state.objects import Oid

TARGET = Target("grocer", "home")
LAST = Oid("c" * 40)
DAY, MICROSECOND = timedelta(days=1), timedelta(microseconds=1)
naive = st.datetimes(datetime(1971, 1, 1), datetime(9900, 1, 1))  # noqa: DTZ001 - Hypothesis wants them so
times = naive.map(lambda each: each.replace(tzinfo=UTC))
lengths = st.timedeltas(-2 * DAY, 2 * DAY) | st.timedeltas(timedelta(days=-200_000), timedelta(days=200_000))


def broken(
    before: datetime | None, after: datetime | str, clock: datetime | int, kind: Kind = Kind.SHIP, last: str = LAST
) -> list[str]:
    """What the rule says of a ship at `clock` that replaces a manifest of `before`."""
    was = Manifest("grocer", "home", {}, moment(before)) if before is not None else None
    now = Manifest("grocer", "home", {}, after if isinstance(after, str) else moment(after))
    said = Said(TARGET, manifest="a" * 64, supersedes=last)
    change = TargetChange(TARGET, kind, was, now, said, LAST)
    seconds = clock if isinstance(clock, int) else int(clock.timestamp())
    return [fault.says for fault in RULE.judge(Evidence(Checkpoint.CHANGE, Settings(""), (), [change], clock=seconds))]


@given(before=st.none() | times, now=times)
def test_what_publish_writes_passes_whatever_stands_on_main(before: datetime | None, now: datetime) -> None:
    after = later_moment(now, moment(before) if before is not None else None)
    assert broken(before, after, now) == []
    assert broken(before, after, now, Kind.RESTORE) == []


@given(before=times, off=lengths, now=times)
def test_what_passes_is_later_and_within_a_day_of_the_clock_or_a_second_of_what_was_there(
    before: datetime, off: timedelta, now: datetime
) -> None:
    for start in (before, now.replace(microsecond=0)):
        try:
            after = start + off
        except OverflowError:
            return
        if not 1000 < after.year < 9999:
            return
        within = after <= max(now.replace(microsecond=0) + DAY, before + timedelta(seconds=1))
        assert (broken(before, after, now) == []) == (before < after and within)


@pytest.mark.parametrize("kind", [Kind.SHIP, Kind.RESTORE])
def test_the_limits_are_exact(kind: Kind) -> None:
    now = datetime(2026, 3, 4, 12, tzinfo=UTC)
    ahead = now + 40 * DAY
    for before, passes, fails in (
        (None, now + DAY, now + DAY + MICROSECOND),
        (now - DAY, now + DAY, now + DAY + MICROSECOND),
        (now - DAY, now - DAY + MICROSECOND, now - DAY),
        (ahead, ahead + timedelta(seconds=1), ahead + timedelta(seconds=1) + MICROSECOND),
        (ahead, ahead + MICROSECOND, ahead),
        (ahead, ahead + MICROSECOND, now),
    ):
        assert broken(before, passes, now, kind) == []
        is_later = before is None or fails > before
        assert len(broken(before, fails, now, kind)) == (kind is Kind.SHIP or is_later)


def test_a_stale_ship_has_the_fault_of_another_rule_and_an_unknown_clock_bounds_nothing() -> None:
    now = datetime(2026, 3, 4, tzinfo=UTC)
    assert broken(now, now, now, last="d" * 40) == []
    assert broken(now, now + 900 * DAY, 0) == []
    assert broken(now, now, 0) != []


def test_bytes_that_nothing_vouches_for_are_no_matter_of_their_time() -> None:
    now = datetime(2026, 3, 4, tzinfo=UTC)
    was, older = (Manifest("grocer", "home", {}, moment(now - each * DAY)) for each in (1, 2))
    change = TargetChange(TARGET, Kind.RESTORE, was, older, None, LAST)
    for each in (change, replace(change, said=Said(TARGET, supersedes=LAST))):
        assert list(RULE.judge(Evidence(Checkpoint.CHANGE, Settings(""), (), [each], clock=1))) == []
