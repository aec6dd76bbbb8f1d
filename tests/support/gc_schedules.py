"""gc, publishers and people, driven step by step: every call to the store and to the origin waits until it is let go.

The code is the real one, on a real directory or bucket and a real repository that is its own origin. What is modelled
is what it cannot rely on: who comes first, who dies, whose answer gets lost, and how long a machine sleeps.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import random
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from arrivals import Arrivals

from pointsman.errors import Problem, Unreachable
from pointsman.repo import retry
from pointsman.repo.origin import Origin
from pointsman.repo.repository import Repository
from pointsman.repo.turns import Turns
from pointsman.retention import collect, markers
from pointsman.retention.trash import TRASH
from pointsman.store.base import Store
from pointsman.store.bucket import Bucket
from pointsman.store.directory import FileStore

GOES, DIES, LOSES = "goes", "dies", "loses the answer"
SLEEP = "all sleep"
TAKES = "takes"  # of gc: its marker was alive a moment ago, and the blob goes next
Turn = tuple[str, str]  # an actor's name, and how the step begins before which it stops, or DIES; (SLEEP, "")
Decision = tuple[int, str]  # an actor, or the clock that comes after them, and how its next step goes
_CALLS = (
    "create", "remove", "move", "read", "digest", "size", "keys", "objects", "folders", "tags", "keep", "replace",
    "delete",
)  # fmt: skip
_WRITES = ("create", "remove", "move", "land", "replace", "delete")


class Killed(BaseException):
    """SIGKILL, as far as the actor is concerned."""


@dataclass
class Actor:
    """One process; `waits`: the step that it wants to take."""

    name: str
    work: Callable[[], Any]
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    waits: str = ""
    since: tuple[float, int, int] | None = None  # a waiter: what it saw when it began to wait
    lock: str = ""  # what it wants to have alone
    answer: str = GOES
    ended: str = ""
    result: Any = None


class Run:
    """One schedule: the decisions given, then whoever was at work goes on.

    `naps`: how often all machines may sleep for longer than a marker lives. `harm`: how many deaths and lost answers.
    """

    current: Run | None = None

    def __init__(self, works: Sequence[tuple[str, Callable[[], Any]]], *, naps: int, harm: int) -> None:
        self.actors = [Actor(*each) for each in works]
        self.naps = naps
        self.harm = harm
        self.clock = 0.0
        self.overslept = False  # a gc slept right before it took: only the trash helps then
        self.landed = 0  # how often refs were moved
        self.marked = 0  # how often markers came or went
        self.locked: set[str] = set()
        self.said: list[str] = []
        self._local = threading.local()
        self._arrived = Arrivals[Actor]()

    def step(self, label: str, act: Callable[[], Any], *, waits: bool = False, lock: str = "") -> Any:
        """Wait to be let go on, then act: nobody else does anything meanwhile."""
        actor: Actor | None = getattr(self._local, "actor", None)
        if actor is None:
            return act()
        actor.waits, actor.lock, actor.since = label, lock, self._seen() if waits else None
        self._arrived.put(actor)
        actor.go.acquire()
        self.said.append(f"{actor.name} {label}{'' if actor.answer == GOES else f', {actor.answer}'}")
        if actor.answer == DIES:
            raise Killed
        found = act()
        if actor.answer == LOSES:
            raise Unreachable(f"the answer to {label} was lost")
        return found

    def _seen(self) -> tuple[float, int, int]:
        return self.clock, self.landed, self.marked

    def ways(self) -> list[Decision]:
        """Every way in which it can go on now. Who waits for a marker only looks again if something has changed."""
        found: list[Decision] = []
        for place, actor in enumerate(self.actors):
            if actor.ended or (actor.since is not None and actor.since == self._seen()) or actor.lock in self.locked:
                continue
            found.append((place, GOES))
            if self.harm:
                found.append((place, DIES))
                if actor.waits.split(" ")[0] in _WRITES:
                    found.append((place, LOSES))
        at_work = any(not actor.ended for actor in self.actors)
        if at_work and (self.naps or not found):
            found.append((len(self.actors), GOES))
        return found

    def follow(self, turns: Sequence[Turn]) -> None:
        """Play one schedule: each turn goes on until the step that ends it, or until it cannot go on."""
        ahead = list(turns)

        def decide(_: list[Decision], ways: list[Decision], usual: Decision) -> Decision:
            while ahead:
                name, until = ahead[0]
                if name == SLEEP:
                    ahead.pop(0)
                    return len(self.actors), GOES
                place = next(place for place, actor in enumerate(self.actors) if actor.name.startswith(name))
                if until == DIES:
                    ahead.pop(0)
                    return place, DIES
                stops = until and self.actors[place].waits.startswith(until)
                if (place, GOES) in ways and not stops:
                    return place, GOES
                ahead.pop(0)
            return usual

        self.play(decide)

    def play(self, decide: Callable[[list[Decision], list[Decision], Decision], Decision]) -> None:
        """Run to the end. `decide` is told what was decided before, the ways that there are, and the usual one."""
        threads = [threading.Thread(target=self._work, args=(actor,), daemon=True) for actor in self.actors]
        for thread in threads:
            thread.start()
            self._arrived.wait()
        taken: list[Decision] = []
        while ways := self.ways():
            usual = next((way for way in ways if taken and way == (taken[-1][0], GOES)), ways[0])
            way = decide(taken, ways, usual)
            if way not in ways:
                way = usual
            taken.append(way)
            if way[0] == len(self.actors):
                self.clock += markers.LIFE + markers.LONGEST + 1
                self.naps -= self.naps > 0
                self.overslept |= any(not each.ended and each.waits.startswith(TAKES) for each in self.actors)
                self.said.append(SLEEP)
                continue
            self.harm -= way[1] != GOES
            actor = self.actors[way[0]]
            actor.answer = way[1]
            actor.go.release()
            self._arrived.wait()
        for thread in threads:
            thread.join(60)

    def _work(self, actor: Actor) -> None:
        self._local.actor = actor
        try:
            actor.result = actor.work()
            actor.ended = "done"
        except Killed:
            actor.ended = "killed"
        except Problem as problem:
            actor.ended, actor.result = "problem", problem
        except BaseException as error:  # noqa: BLE001 - the test says what it was
            actor.ended, actor.result = "broken", error
        self._arrived.put(actor)


def take_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every call of an actor to a store or to the origin is a step of the run that is current."""

    def pausing(key: str, _: str, __: int, still: Callable[[], bool]) -> Callable[[], bool]:
        """`still`, and after a yes a moment in which whoever asked may be held up."""
        if key.startswith(TRASH):
            return still

        def asked() -> bool:
            found = still()
            if found and Run.current is not None:
                Run.current.step(f"{TAKES} {key}", lambda: None)
            return found

        return asked

    def stepping(kind: type[FileStore] | type[Bucket], name: str) -> Callable[..., Any]:
        plain = getattr(kind, name)

        def call(store: Store, *words: Any, **more: Any) -> Any:
            if name == "move":
                words = (*words[:-1], pausing(*words))

            def act() -> Any:
                found = plain(store, *words, **more)
                if Run.current is not None and words and str(words[0]).startswith(markers.MARKERS):
                    Run.current.marked += name in _WRITES
                return list(found) if name in ("keys", "objects") else found

            run = Run.current
            found = act() if run is None else run.step(f"{name} {words[0] if words else ''}", act)
            return iter(found) if isinstance(found, list) and name != "folders" else found

        return call

    for kind in (FileStore, Bucket):
        for name in _CALLS:
            monkeypatch.setattr(kind, name, stepping(kind, name))
    for name in ("at_once", "reads_at_once"):  # other threads are nobody's steps
        monkeypatch.setattr(Bucket, name, 1)
    _take_over_locks(monkeypatch)
    _take_over_refs(monkeypatch)
    refresh = Repository.refresh
    monkeypatch.setattr(
        Repository,
        "refresh",
        lambda repo: Run.current.step("fetch", lambda: refresh(repo)) if Run.current else refresh(repo),
    )

    def elapsed() -> float:
        return Run.current.clock if Run.current else 0.0

    monkeypatch.setattr(collect, "elapsed", elapsed)

    def pause(_: float) -> None:
        if Run.current:
            Run.current.step("waits for a marker", lambda: None, waits=True)

    monkeypatch.setattr(markers.wait_for_markers, "__kwdefaults__", {"clock": elapsed, "pause": pause})

    def stand(_: float) -> None:
        if Run.current:
            Run.current.step("waits for its turn", lambda: None, waits=True)

    monkeypatch.setattr(Turns.__init__, "__defaults__", (elapsed, stand, random.Random(0)))
    monkeypatch.setattr(retry, "pause", lambda _: None)


def _take_over_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = FileStore.locked

    @contextlib.contextmanager
    def locked(store: FileStore, directory: str) -> Iterator[None]:
        run, name = Run.current, f"{store.url}/{directory}"
        if run is None:
            with plain(store, directory):
                yield
            return
        run.step(f"lock {name}", lambda: run.locked.add(name), lock=name)
        try:
            with plain(store, directory):
                yield
        finally:
            run.locked.discard(name)

    monkeypatch.setattr(FileStore, "locked", locked)


def _take_over_refs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pushes are steps; tickets come and go unseen, and whoever waits for a turn looks again after each."""
    move, change_ref = Repository.move, Origin.change_ref

    def moved(repo: Repository, *words: Any, **more: Any) -> None:
        def act() -> None:
            move(repo, *words, **more)
            if Run.current is not None:
                Run.current.landed += 1

        if Run.current is None:
            act()
        else:
            Run.current.step("land", act)

    def changed(origin: Origin, *words: Any) -> None:
        change_ref(origin, *words)
        if Run.current is not None:
            Run.current.landed += 1

    monkeypatch.setattr(Repository, "move", moved)
    monkeypatch.setattr(Origin, "change_ref", changed)


@dataclass(frozen=True)
class Explored:
    """What a search found: how many schedules it played, and the first that went wrong."""

    runs: int
    wrong: str
    said: Sequence[str] = ()
    turns: int = 0  # every schedule that leaves the beaten track less often than this was played


def explore(build: Callable[[], Run], wrong: Callable[[Run], str], *, runs: int, dice: random.Random) -> Explored:
    """Play so many schedules; those that leave the beaten track least often come first, of these any."""
    counter = itertools.count()
    ahead: list[tuple[int, float, int, list[Decision]]] = [(0, 0.0, 0, [])]
    done = 0
    turns = 0
    while ahead and done < runs:
        done += 1
        turns, _, _, prefix = heapq.heappop(ahead)
        run = build()

        def decide(
            taken: list[Decision],
            ways: list[Decision],
            usual: Decision,
            prefix: list[Decision] = prefix,
            turns: int = turns,
        ) -> Decision:
            if len(taken) < len(prefix):
                return prefix[len(taken)]
            for way in ways:
                if way != usual:
                    heapq.heappush(ahead, (turns + 1, dice.random(), next(counter), [*taken, way]))
            return usual

        if says := _judged(run, lambda run: run.play(decide), wrong):
            return Explored(done, says, run.said)
    return Explored(done, "", turns=min((each[0] for each in ahead), default=turns + 1))


def wander(build: Callable[[], Run], wrong: Callable[[Run], str], *, runs: int, dice: random.Random) -> Explored:
    """Play so many schedules in which anybody may be next at any step; how restless, is drawn for each."""
    for done in range(runs):
        restless = dice.choice((0.02, 0.1, 0.3))

        def decide(_: list[Decision], ways: list[Decision], usual: Decision, restless: float = restless) -> Decision:
            others = [way for way in ways if way != usual]
            return dice.choice(others) if others and dice.random() < restless else usual

        run = build()
        if says := _judged(run, lambda run: run.play(decide), wrong):
            return Explored(done + 1, says, run.said)
    return Explored(runs, "")


def direct(run: Run, turns: Sequence[Turn], wrong: Callable[[Run], str]) -> Explored:
    """Play the one schedule that is given by its turns."""
    return Explored(1, _judged(run, lambda run: run.follow(turns), wrong), run.said)


def _judged(run: Run, play: Callable[[Run], None], wrong: Callable[[Run], str]) -> str:
    Run.current = run
    try:
        play(run)
    finally:
        Run.current = None
    broken = next((repr(actor.result) for actor in run.actors if actor.ended == "broken"), "")
    return broken or wrong(run)


def fresh(template: Path, root: Path) -> None:
    """Put the world back to where it began, at the same path."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(template, root, symlinks=True)


def there(directory: Path) -> Iterator[Path]:
    """The blobs below a directory."""
    return (path for path in directory.rglob("*.json") if path.is_file())
