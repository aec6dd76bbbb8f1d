"""Watching, whatever happens: one pass that fails is told, and the next one begins anew."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shop import GROCER, Shop, popularity

from pointsman.errors import Problem
from pointsman.outcome import Outcome
from pointsman.verbs import watch
from pointsman.verbs.sync import Orders
from pointsman.workspace import Workspace

Watch = Callable[[Workspace, "Told"], None]


class Told:
    """Who is told of each pass; after each the next step of the story, and in the end `stop`."""

    def __init__(self, *story: Callable[[], object]) -> None:
        self.stop = threading.Event()
        self.passes: list[Problem | None] = []
        self._story = list(story)

    def done(self, outcome: Outcome[Any]) -> None:
        self.seen(outcome)

    def failed(self, problem: Problem) -> None:
        self._went(problem)

    def seen(self, found: object) -> None:
        self._went(None)

    def missed(self, why: str) -> None:
        self._went(Problem(why))

    def _went(self, what: Problem | None) -> None:
        self.passes.append(what)
        if self._story:
            self._story.pop(0)()
        else:
            self.stop.set()


def syncing(workspace: Workspace, told: Told) -> None:
    watch.keep_syncing(workspace, Orders(), 1e-9, told, told.stop)


def looking(workspace: Workspace, told: Told) -> None:
    watch.watch(workspace, (GROCER,), told.seen, told.missed, told.stop, every=0)


both = pytest.mark.parametrize("watching", [syncing, looking])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    root = tmp_path_factory.mktemp("watch")
    shop = Shop(root / "shop")
    shop.publish(popularity(root / "p1.json", 10), merge=True)
    return shop


def kill_the_readers() -> None:
    """End every `git cat-file` that this process has started."""
    pids = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    readers = [int(pid) for pid in pids if b"cat-file" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert readers
    for pid in readers:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


@both
def test_a_git_that_dies_is_told_and_the_next_pass_has_a_new_one(shop: Shop, watching: Watch) -> None:
    def have_to_read() -> None:
        shop.pull()
        shop.push("something new to read")
        kill_the_readers()

    told = Told(have_to_read, lambda: None)
    with shop.open() as repo:
        watching(Workspace(repo), told)
    before, trouble, after = told.passes
    assert (before, after) == (None, None)
    assert "it was ended by signal 9" in str(trouble)


@both
@pytest.mark.parametrize("error", [ValueError("odd\x1b[31m"), OSError(5, "Input/output error"), RecursionError()])
def test_a_bug_in_one_pass_ends_no_watch(
    shop: Shop, watching: Watch, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object, **more: object) -> None:
        monkeypatch.undo()
        raise error

    def break_it() -> None:
        for verb in ("sync", "status"):
            monkeypatch.setattr(watch, verb, bug)

    told = Told(break_it, lambda: None)
    with shop.open() as repo:
        watching(Workspace(repo), told)
    before, trouble, after = told.passes
    assert (before, after) == (None, None)
    assert f"this pass failed by a bug ({type(error).__name__}: " in str(trouble)
    assert "\x1b" not in str(trouble)


@both
def test_what_fails_because_it_was_told_to_stop_is_no_trouble(
    shop: Shop, watching: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()

    def interrupted(*_: object, **more: object) -> None:
        told.stop.set()
        raise Problem("git was killed, too")

    for verb in ("sync", "status"):
        monkeypatch.setattr(watch, verb, interrupted)
    with shop.open() as repo:
        watching(Workspace(repo), told)
    assert told.passes == []


@both
def test_whoever_can_tell_nobody_any_more_ends(shop: Shop, watching: Watch) -> None:
    def gone() -> None:
        raise BrokenPipeError

    told = Told(gone)
    with shop.open() as repo, pytest.raises(BrokenPipeError):
        watching(Workspace(repo), told)
    assert told.passes == [None]


def test_status_goes_on_although_its_first_look_reaches_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    away = shop.origin.with_name("away.git")
    told = Told(lambda: away.rename(shop.origin), lambda: None)
    with shop.open(shop.desk) as repo:
        shop.origin.rename(away)
        looking(Workspace(repo), told)
    trouble, *after = told.passes
    assert isinstance(trouble, Problem)
    assert after == [None, None]


def test_the_handlers_of_a_watch_leave_alone_what_was_ignored_from_the_start() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with watch.stopped() as stop:
            signal.raise_signal(signal.SIGINT)
            assert not stop.is_set()
            signal.raise_signal(signal.SIGTERM)
            assert stop.is_set()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
