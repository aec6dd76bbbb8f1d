"""A sync that watches: pass after pass, through trouble, in little memory, until it is told to stop."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from shop import GROCER, Kept, Shop, git, popularity

from pointsman.errors import Problem, Refused
from pointsman.outcome import Outcome
from pointsman.verbs import watch
from pointsman.verbs.sync import Orders
from pointsman.workspace import Workspace


class Seen:
    """What each pass did; after each, the next step of the story, and in the end `stop`."""

    def __init__(self, *story: Any) -> None:
        self.stop = threading.Event()
        self.passes: list[Any] = []
        self._story = list(story)

    def done(self, outcome: Outcome[Any]) -> None:
        self._went({each["target"]: each["outcome"] for each in outcome.document["targets"]})

    def failed(self, problem: Problem) -> None:
        self._went(problem)

    def _went(self, what: Any) -> None:
        self.passes.append(what)
        if self._story:
            self._story.pop(0)()
        else:
            self.stop.set()


@pytest.fixture
def shop(one_ship: Kept) -> Shop:
    return one_ship.fresh()


def pointer(shop: Shop) -> Path:
    return shop.store / "registry" / "current" / str(GROCER) / "manifest.json"


def watched(shop: Shop, seen: Seen, orders: Orders = Orders(), where: Path | None = None) -> list[Any]:  # noqa: B008
    with shop.open(where) as repo:
        watch.keep_syncing(Workspace(repo), orders, 1e-9, seen, seen.stop)
    return seen.passes


@pytest.mark.slow
def test_it_follows_ships_heals_edits_and_goes_on_after_the_origin_was_away(shop: Shop, tmp_path: Path) -> None:
    away = shop.origin.with_name("away.git")
    seen = Seen(
        lambda: shop.publish(popularity(tmp_path / "p2.json", 11, day=2), merge=True),
        lambda: pointer(shop).write_text("{}"),
        lambda: shop.origin.rename(away),
        lambda: away.rename(shop.origin),
    )
    written, followed, healed, trouble, unchanged = watched(shop, seen, where=shop.desk)
    assert [written, followed, healed, unchanged] == [
        {"grocer/home": each} for each in ("written", "written", "healed", "unchanged")
    ]
    assert isinstance(trouble, Problem)
    assert pointer(shop).read_bytes() == shop.manifest


@pytest.mark.slow
def test_what_no_heal_keeps_is_reported_at_each_pass(shop: Shop) -> None:
    seen = Seen(lambda: pointer(shop).write_text("{}"), lambda: None)
    assert watched(shop, seen, Orders(heal=False))[1:] == [{"grocer/home": "kept"}] * 2
    assert pointer(shop).read_text() == "{}"


@pytest.mark.slow
def test_a_rewritten_main_is_refused_at_each_pass_and_serving_stays(shop: Shop, tmp_path: Path) -> None:
    def rewrite() -> None:
        shop.pull()
        git(shop.desk, "commit", "-q", "--amend", "-m", "another")
        git(shop.desk, "push", "-q", "--force", "origin", "main")

    before = shop.manifest
    seen = Seen(rewrite, lambda: None)
    _, *refused = watched(shop, seen)
    assert [type(each) for each in refused] == [Refused, Refused]
    assert "--accept-rewrite" in str(refused[0])
    assert pointer(shop).read_bytes() == before


@pytest.mark.slow
def test_it_stops_between_two_pointers(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.publish(popularity(tmp_path / "c.json", 5, surface="cart"), merge=True)
    asked = iter([False, True, True, True])
    with shop.open() as repo:
        from pointsman.verbs import sync

        outcome = sync.sync(Workspace(repo), Orders(stopped=lambda: next(asked)))
    assert [each["target"] for each in outcome.document["targets"]] == ["grocer/cart"]
    assert not pointer(shop).exists()
    assert shop.sync().exit_code == 0
    assert pointer(shop).read_bytes() == shop.manifest


@pytest.fixture
def collected() -> Iterator[Callable[[], object]]:
    """A collection of what became unreachable since the test began: all that other tests left is passed over."""
    gc.collect()
    gc.freeze()
    yield gc.collect
    gc.unfreeze()


@pytest.mark.slow
def test_pass_after_pass_holds_no_more_files_open(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collected: Callable[[], object]
) -> None:
    monkeypatch.setattr(watch, "_REMEMBER", 5)
    counts: list[int] = []

    def look() -> None:
        collected()
        counts.append(len(os.listdir("/proc/self/fd")))

    def ship() -> None:
        day = 2 + len(counts) % 3
        shop.publish(popularity(tmp_path / "p.json", 10 + day, day=day), merge=True, reship=True)
        look()

    seen = Seen(*[ship if count % 5 == 4 else look for count in range(60)])
    watched(shop, seen)
    assert all(isinstance(each, dict) for each in seen.passes)
    assert max(counts[20:]) <= max(counts[:20])


@pytest.mark.slow
def test_pass_after_pass_takes_no_more_memory(shop: Shop, collected: Callable[[], object]) -> None:
    passes = 80
    kept: list[int] = []

    def look() -> None:
        if len(seen.passes) % (passes // 4) == 0:
            collected()
            kept.append(tracemalloc.get_traced_memory()[0])

    seen = Seen(*[look] * passes)
    tracemalloc.start()
    try:
        watched(shop, seen)
    finally:
        tracemalloc.stop()
    assert set(map(str, seen.passes[1:])) == {"{'grocer/home': 'unchanged'}"}
    first, *later = kept
    assert max(later) < first + 64 * 1024, "beside the list of what each pass said, nothing grows"


@pytest.mark.parametrize("by", ["SIGTERM", pytest.param("an interrupt of all, git too", marks=pytest.mark.slow)])
def test_the_command_says_a_document_a_pass_and_ends_with_0_when_told_to_stop(shop: Shop, by: str) -> None:
    command = [sys.executable, "-m", "pointsman", "-C", str(shop.origin), "sync", "--watch", "0.01", "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    documents = [json.loads(process.stdout.readline()) for _ in range(3)]
    if by == "SIGTERM":
        process.terminate()
    else:
        os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert [each["targets"][0]["outcome"] for each in documents] == ["written", "unchanged", "unchanged"]


@pytest.mark.slow
def test_in_words_it_says_only_what_is_new(shop: Shop, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pointsman", "-C", str(shop.origin), "sync", "--watch", "0.01"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = [process.stdout.readline() for _ in range(2)]
    shop.publish(popularity(tmp_path / "p2.json", 11, day=2), merge=True)
    then = [process.stdout.readline() for _ in range(2)]
    process.terminate()
    process.communicate(timeout=60)
    for lines in (first, then):
        assert lines[0].startswith("grocer/home: written, ")
        assert lines[1].startswith("serving follows main at ")
    assert shop.main[:12] in then[1]
