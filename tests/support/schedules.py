"""Sync, driven step by step: every call to the origin and to serving waits until a schedule lets it happen.

The code is the real one, and so are the commits it reads. What is modelled is what it cannot rely on: when main moves,
who comes first, who dies, and which replica of the origin answers. Serving is a bucket whose tags are those of S3:
equal bytes have equal tags.

What an actor does next depends on nothing but what it was answered since its pass began. So two schedules that leave
main, serving and these answers alike are one state, and each state is left once in every way there is.
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import itertools
import json
import random
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from arrivals import Arrivals

from pointsman.errors import MovedFirst, Problem
from pointsman.outcome import Outcome
from pointsman.repo.heads import Heads
from pointsman.repo.origin import MAIN
from pointsman.repo.repository import Repository
from pointsman.serving.fence import SYNCED
from pointsman.serving.seen import Seen
from pointsman.state.objects import Oid
from pointsman.store.base import Held
from pointsman.verbs import sync
from pointsman.verbs.sync_together import Together
from pointsman.workspace import Workspace

DIES = -1  # a decision: the actor is killed instead of taking its step
Decision = tuple[int, int]  # actor, and which answer it gets: a place in main, or DIES


class Killed(BaseException):
    """SIGKILL, as far as the actor is concerned."""


@dataclass
class Actor:
    """One process. `waits`: the step that it wants to take; `heard`: all that its present pass was answered."""

    name: str
    work: Callable[[], Any]
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    waits: str = ""
    answer: int = 0
    heard: list[str] = field(default_factory=list)
    ended: str = ""
    result: Any = None


@dataclass
class World:
    """Main as a line of commits, of which the first `head + 1` are there, and the bucket that serving reads."""

    commits: Sequence[Oid]
    lag: bool = False
    crashes: int = 0
    head: int = 0
    objects: dict[str, bytes] = field(default_factory=dict)
    clean: bool = False  # a sync that saw the head has ended since main moved last

    def answers(self, actor: Actor) -> list[int]:
        """The ways in which an actor's next step may go."""
        ways = list(range(self.head, -1, -1)) if self.lag and actor.waits == "fetch" else [self.head]
        return [*ways, DIES] if self.crashes and actor.waits != "main moves" else ways

    @property
    def pointer(self) -> bytes | None:
        """What a reader of serving gets."""
        return next((data for key, data in self.objects.items() if not key.startswith(".")), None)


def _tag(data: bytes | None) -> str | None:
    """An S3 entity tag."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest() if data is not None else None


class Bucket:
    """The store, as one actor sees it."""

    url = "memory://serving"
    at_once = reads_at_once = 1

    def __init__(self, run: Run) -> None:
        self.run = run

    def read(self, key: str) -> Held | None:
        data = self.run.step(f"read {key}", lambda _: self.run.world.objects.get(key))
        return Held(data, _tag(data) or "") if data is not None else None

    def replace(self, key: str, data: bytes, *, was: str | None) -> None:
        def write(_: int) -> bool:
            objects = self.run.world.objects
            if _tag(objects.get(key)) != was:
                return False
            objects[key] = data
            return True

        if not self.run.step(f"write {key}", write):
            raise MovedFirst(f"{key} was written by another")

    def still(self, tags: Mapping[str, str]) -> bool:
        def look(_: int) -> bool:
            return all(_tag(self.run.world.objects.get(key)) == tag for key, tag in tags.items())

        return bool(self.run.step("look again", look))

    def keys(self, prefix: str, depth: int, closed: object = None) -> Iterator[str]:
        found: list[str] = self.run.step("list", lambda _: [key for key in self.run.world.objects if key[0] != "."])
        yield from found

    def tags(
        self, depth: int, others: Collection[str], name: str = "", closed: object = None
    ) -> Mapping[str, str | None]:
        def look(_: int) -> dict[str, str | None]:
            return {key: _tag(data) for key, data in self.run.world.objects.items() if key[0] != "." or key in others}

        found: dict[str, str | None] = self.run.step("list", look)
        return found

    def locked(self, directory: str) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


class Run:
    """One schedule: the decisions given, then whoever was at work goes on.

    `look` is the second look at main, as the code does it or, in its place, something else.
    """

    passes_begin = f"read {SYNCED}"

    def __init__(self, world: World, repos: Sequence[Repository], moves: int) -> None:
        self.world = world
        self._local = threading.local()
        self._arrived = Arrivals[Actor]()
        self.actors = [Actor(f"sync {place}", partial(self._sync, repo)) for place, repo in enumerate(repos)]
        self.actors.append(Actor("main", partial(self._move, moves)))

    def look(self, repo: Repository, refresh: Callable[[], Oid], together: Together) -> Oid:
        return refresh()

    # what actors do

    def step(self, label: str, act: Callable[[int], Any]) -> Any:
        """Wait to be let go on, then act: nobody else does anything meanwhile."""
        actor: Actor = self._local.actor
        if label == self.passes_begin:
            del actor.heard[:-1]  # of the last pass only where main stood is still known
        actor.waits = label
        self._arrived.put(actor)
        actor.go.acquire()
        if actor.answer == DIES:
            raise Killed
        found = act(actor.answer)
        actor.heard.append(f"{label}: {found!r}")
        return found

    def _sync(self, repo: Repository) -> Outcome[Any]:
        def refresh() -> Oid:
            at: int = self.step("fetch", lambda answer: answer)
            repo.heads = Heads({MAIN: self.world.commits[at]})
            return repo.main

        def refresh_or_look() -> Oid:
            if sys._getframe(2).f_code is not Together._look_again.__code__:
                return refresh()
            return self.look(repo, refresh, sys._getframe(2).f_locals["self"])

        repo.refresh = refresh_or_look  # type: ignore[method-assign]
        return self.passes(repo)

    def passes(self, repo: Repository, seen: Seen | None = None) -> Outcome[Any]:
        """What one process does; here one pass."""
        outcome = sync.sync(Workspace(repo), seen=seen)
        self.world.clean |= outcome.document["commit"] == self.world.commits[self.world.head]
        return outcome

    def _move(self, moves: int) -> None:
        def move(_: int) -> int:
            self.world.head += 1
            self.world.clean = False
            return self.world.head

        for _ in range(moves):
            self.step("main moves", move)

    # who is let do it

    def play(self, decisions: Sequence[Decision], met: Callable[[Run, list[Decision]], None]) -> list[Decision]:
        """Run to the end. `met` looks at each state before it is left, with the decisions that led to it."""
        threads = []
        for actor in self.actors:
            thread = threading.Thread(target=self._work, args=(actor,), daemon=True)
            threads.append(thread)
            thread.start()
            self._arrived.wait()
        taken: list[Decision] = []
        while alive := [place for place, actor in enumerate(self.actors) if not actor.ended]:
            met(self, taken)
            if len(taken) < len(decisions):
                place, answer = decisions[len(taken)]
            else:
                place = taken[-1][0] if taken and taken[-1][0] in alive else alive[0]
                answer = self.world.answers(self.actors[place])[0]
            taken.append((place, answer))
            if answer == DIES:
                self.world.crashes -= 1
            self.actors[place].answer = answer
            self.actors[place].go.release()
            self._arrived.wait()
        for thread in threads:
            thread.join(60)
        return taken

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

    @property
    def state(self) -> str:
        """All that what comes next depends on."""
        actors = [[actor.waits if not actor.ended else actor.ended, actor.heard] for actor in self.actors]
        objects = {key: hashlib.sha256(data).hexdigest() for key, data in self.world.objects.items()}
        return json.dumps([self.world.head, self.world.clean, self.world.crashes, objects, actors], sort_keys=True)


class Watching(Run):
    """Each sync makes so many passes and remembers what it saw: what it does depends on all that it was answered."""

    passes_begin = ""
    times = 3

    def passes(self, repo: Repository, seen: Seen | None = None) -> Outcome[Any]:
        seen = Seen(1e9, clock=lambda: 0.0)
        for _ in range(self.times - 1):
            super().passes(repo, seen)
        return super().passes(repo, seen)


@dataclass(frozen=True)
class Explored:
    """What a search found: how many states, whether that is all there are, and the first schedule that went wrong."""

    states: int
    all: bool
    wrong: str
    schedule: Sequence[Decision] = ()


def explore(
    build: Callable[[], Run],
    wrong: Callable[[Run], str],
    *,
    runs: int = 0,
    at_any_time: Callable[[Run], str] = lambda _: "",
    dice: random.Random | None = None,
) -> Explored:
    """Every way to leave every state, at most so many runs (0: all); `wrong` judges ends, `at_any_time` each state.

    Those that leave the beaten track least often come first: what goes wrong does so in few places. `dice` decide
    between equals.
    """
    seen: set[str] = set()
    counter = itertools.count()
    ahead: list[tuple[int, float, list[Decision]]] = [(0, 0.0, [])]
    done = 0
    while ahead and (not runs or done < runs):
        done += 1
        turns, _, prefix = heapq.heappop(ahead)
        said = ""

        def met(run: Run, taken: Sequence[Decision], prefix: Sequence[Decision] = prefix, turns: int = turns) -> None:
            nonlocal said
            said = said or at_any_time(run)
            if len(taken) < len(prefix) or (state := run.state) in seen:
                return
            seen.add(state)
            ways = [
                (place, answer)
                for place, actor in enumerate(run.actors)
                if not actor.ended
                for answer in run.world.answers(actor)
            ]
            default = taken[-1][0] if taken and not run.actors[taken[-1][0]].ended else ways[0][0]
            first = next(way for way in ways if way[0] == default)
            for way in ways:
                if way != first:
                    heapq.heappush(ahead, (turns + 1, dice.random() if dice else next(counter), [*taken, way]))

        run = build()
        taken = run.play(prefix, met)
        broken = next((repr(actor.result) for actor in run.actors if actor.ended == "broken"), "")
        if said := said or broken or wrong(run):
            return Explored(len(seen), False, said, taken)
    return Explored(len(seen), not ahead, "")
