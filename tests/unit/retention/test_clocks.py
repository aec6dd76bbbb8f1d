"""The clock of markers runs on while a machine sleeps."""

from __future__ import annotations

import time

import pytest

from pointsman.retention.clocks import elapsed


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="the only clock there is counts sleep")
def test_sleep_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "clock_gettime", {time.CLOCK_BOOTTIME: 7.0, time.CLOCK_MONOTONIC: 1.0}.get)
    assert elapsed() == 7.0
