"""Progress: a bar for who looks at a terminal, lines for who asks, nothing for a log."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from shop import Shop, popularity

from pointsman.cli.progress_bar import Bar

POINTSMAN = [sys.executable, "-m", "pointsman"]


def on_a_terminal(command: list[str]) -> bytes:
    """What a command writes to stderr if that is a terminal."""
    master, slave = pty.openpty()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=slave) as process:
        os.close(slave)
        seen = b""
        try:
            while some := os.read(master, 65536):
                seen += some
        except OSError:  # the other end is closed
            pass
        assert process.wait() == 0
    os.close(master)
    return seen


def test_a_long_work_shows_a_bar_on_a_terminal_and_takes_it_away(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pointsman.cli.progress_bar._SHORT", -1.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    bar = Bar()
    for done in range(4):
        bar.counted("blobs put", done, 3)
    bar.close()
    bar.close()
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "blobs put" in shown.err
    assert "3/3" in shown.err
    assert shown.err.rstrip("\n").endswith("\x1b[2K")  # the line is cleared


def test_a_short_work_shows_none(capfd: pytest.CaptureFixture[str]) -> None:
    bar = Bar()
    bar.counted("blobs put", 1, 2)
    bar.close()
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_lines_are_for_who_asks_and_a_log_stays_empty(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(popularity(tmp_path / "p.json", 3), merge=True)
    verify = [*POINTSMAN, "-C", str(shop.desk), "verify", "--all"]
    assert subprocess.run(verify, check=True, capture_output=True).stderr == b""
    spoken = [*POINTSMAN, "-v", *verify[len(POINTSMAN) :]]
    assert b"read 1 blobs" in subprocess.run(spoken, check=True, capture_output=True).stderr
    assert on_a_terminal(verify) == b""  # done before a bar is worth it
    assert b"read 1 blobs" in on_a_terminal(spoken)
