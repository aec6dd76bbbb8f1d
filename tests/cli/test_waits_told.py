"""Whoever waits for somebody else says so once on stderr, without a terminal, too: what for, and until when."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from shop import Kept, popularity

from pointsman.cli.main import main
from pointsman.forge.http import Pacer
from pointsman.progress import SILENCE, telling, waits
from pointsman.report.site import turn as site_turn
from pointsman.retention import markers
from pointsman.store import own

Told = list[tuple[str, float]]
Take = Callable[[Path], AbstractContextManager[None]]
LINE = re.compile(
    r"^pointsman: waiting until \d\d:\d\d:\d\d UTC at the latest: gc may be taking .*\(marker other.*\)$",
    re.MULTILINE,
)


@pytest.fixture
def left_marker(two_ships: Kept, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, list[float]]:
    """A checkout, the marker of a gc that died, and the pauses of those who wait; they cost no time."""
    shop = two_ships.fresh()
    marker = shop.store / ".pointsman/gc/other-0.json"
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_text("it may name any")
    pauses: list[float] = []
    defaults = {"clock": lambda: sum(pauses), "pause": pauses.append}
    monkeypatch.setattr(markers.wait_for_markers, "__kwdefaults__", defaults)
    return shop.desk, marker, pauses


def test_the_marker_of_a_gc_that_died_is_told_once_and_the_document_stays_alone(
    left_marker: tuple[Path, Path, list[float]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk, _, pauses = left_marker
    assert main(["-C", str(desk), "publish", str(popularity(tmp_path / "p.json", 45)), "--json"]) == 0
    said = capsys.readouterr()
    assert sum(pauses) == markers.LIFE + markers.LONGEST
    assert len(LINE.findall(said.err)) == 1
    assert json.loads(said.out)["targets"]


def test_a_gc_that_is_done_within_a_second_is_not_told(
    left_marker: tuple[Path, Path, list[float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    desk, marker, _ = left_marker
    defaults = {"clock": lambda: 0.0, "pause": lambda _: marker.unlink()}
    monkeypatch.setattr(markers.wait_for_markers, "__kwdefaults__", defaults)
    assert main(["-C", str(desk), "publish", str(popularity(tmp_path / "p.json", 45)), "--json"]) == 0
    assert capsys.readouterr().err == ""


def test_a_forge_that_asks_for_a_pause_is_told_and_a_moment_is_not() -> None:
    told: Told = []
    pacer = Pacer(sleep=lambda _: None, patience=100)
    with telling(lambda why, seconds: told.append((why, seconds))):
        pacer.wait(0.2, "a moment")
        pacer.wait(30, "its rate limit asks to wait 30 s")
        pacer.wait(20, "its rate limit asks to wait 30 s")
    assert told == [("its rate limit asks to wait 30 s", 30)]


@contextmanager
def pointers(directory: Path) -> Iterator[None]:
    with own.own_directory(directory, directory) as fd, own.lock("lock", fd, f"file://{directory}"):
        yield


def site(directory: Path) -> AbstractContextManager[None]:
    return site_turn.turn(str(directory), SILENCE)


@pytest.mark.parametrize("module, take", [(site_turn, site), (own, pointers)], ids=["site", "pointers"])
def test_a_lock_that_another_holds_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    take: Callable[[Path], AbstractContextManager[None]],
) -> None:
    monkeypatch.setattr(module, "LONG", -1.0)
    holds, may_end = threading.Event(), threading.Event()
    told: Told = []

    def hold() -> None:
        with take(tmp_path):
            holds.set()
            may_end.wait(30)

    def tell(why: str, seconds: float) -> None:
        told.append((why, seconds))
        may_end.set()

    holder = threading.Thread(target=hold)
    holder.start()
    assert holds.wait(30)
    with telling(tell), take(tmp_path):
        holder.join()
    ((why, seconds),) = told
    assert why.startswith("another ")
    assert str(tmp_path) in why
    assert seconds > 0


def test_who_is_no_command_line_is_told_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    waits("a lock", 5)
    assert capsys.readouterr() == ("", "")
