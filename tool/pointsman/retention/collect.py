"""One run of gc: survey the store, put back what is needed, take what is not, purge what was taken long ago.

The order is the safety (docs/decisions/0014): a marker first, then the look at main, branches and serving, then the
take; and nothing is taken past the marker's life. Taking is moving: the trash carries what a paused gc takes too late.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from heapq import merge
from itertools import chain, compress, count, filterfalse, islice
from operator import not_
from typing import TypeVar

from msgspec import Struct, field

from pointsman.errors import Problem
from pointsman.progress import Progress
from pointsman.repo.snapshot import Snapshot
from pointsman.retention.clocks import elapsed
from pointsman.retention.look import Party, View
from pointsman.retention.markers import LONGEST, MOST, Marker, left_over
from pointsman.retention.owners import require_sole_owner
from pointsman.retention.recorded import Recorded
from pointsman.retention.served import recorded_by_pipelines
from pointsman.retention.stored import Blobs, Stored
from pointsman.retention.survey import Survey, survey
from pointsman.retention.trash import (
    TRASH,
    is_over,
    is_set_aside,
    place_in_trash,
    place_of_going,
    put_back,
    read_place,
    slot_of,
)
from pointsman.store.base import Store
from pointsman.store.parallel import ask_all
from pointsman.timeouts import store_timeout

FEWEST = 20  # blobs from which on a share means something
_DAY = 86400  # seconds
_DEPTH = TRASH.count("/") + 1  # names of a key up to the day
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
FRESH = 60.0  # seconds for which a look is good enough to delete what nothing brings back


class Orders(Struct, frozen=True):
    """What a run may do. `grace`: seconds. `no_trash`: versions that go for good."""

    delete: bool = False
    grace: int = 86400
    max_share: float = 0.2
    no_trash: Collection[str] = ()


class Run(Struct):
    """What a run found and did. `spared`: blob → why it stays."""

    found: Survey
    spared: dict[str, str] = field(default_factory=dict)
    taken: Blobs = field(default_factory=Blobs)
    restored: list[str] = field(default_factory=list)
    purged: Blobs = field(default_factory=Blobs)
    for_good: list[Stored] = field(default_factory=list)  # what it took that is to be purged at once
    unfinished: str = ""  # why some are left

    @property
    def orphans(self) -> Blobs:
        return self.found.orphans.without(self.spared)

    @property
    def retired(self) -> Blobs:
        return self.found.retired.without(self.spared)

    def in_trash(self, versions: Collection[str]) -> set[str]:
        """Those of the versions that are still in the trash, of what was there or was to go for good."""
        purged = {each.key for each in self.purged.of(versions)}
        there = chain(self.found.trash.of(versions), self.for_good)
        return {each.version for each in there if each.key not in purged}

    def too_many(self, max_share: float) -> bool:
        """Whether more than this share of the blobs are orphans: then something else is wrong than a few leftovers."""
        return self.found.known >= FEWEST and len(self.orphans) > max_share * self.found.known

    def enough(self) -> float:
        """The smallest share, to a hundredth, that allows all orphans."""
        return next(share / 100 for share in range(101) if not self.too_many(share / 100))


class Collector:
    """The steps of one run over one store. The first party's targets are collected; the records of all count."""

    def __init__(
        self,
        store: Store,
        parties: Sequence[Party],
        orders: Orders,
        now: float,
        progress: Progress,
    ) -> None:
        self.store = store
        self.parties = parties
        self.orders = orders
        self.now = now
        self.progress = progress
        self._name = secrets.token_hex(8)

    def run(self) -> Run:
        """Everything that the orders allow. Unfinished, with what was done, if that ends in trouble."""
        if store_timeout() > LONGEST:
            raise Problem(f"gc needs a POINTSMAN_STORE_TIMEOUT of at most {LONGEST:.0f}: others wait for its requests")
        views = [party.look() for party in self.parties]
        head = self.parties[0]
        targets = map(str, Snapshot(head.workspace.repo, head.main).targets("registry"))
        with self._recorded() as recorded:
            run = Run(survey(self.store, recorded, targets, self.now - self.orders.grace, self.progress))
        run.found.pipelines.update(*(recorded_by_pipelines(party.settings) for party in self.parties))
        if needed := self._put_back(run, run.found.trash, views):
            run.found.trash = Blobs.of_those(each for each in run.found.trash if _key(each) not in needed)
        self._spare(run, run.found.orphans, run.found.retired, views)
        if not self.orders.delete:
            run.purged = Blobs.of_those(chain(self._due(run, views), self._would_go(run)))
            return run
        if not run.too_many(self.orders.max_share):
            self._take_all(run)
        self._purge(run, views)
        return run

    # what is needed comes back

    def _put_back(self, run: Run, trash: Blobs, views: Sequence[View]) -> set[str]:
        """What is in the trash and has a pointer, or a record without a tombstone, is put back where it is missing.

        The keys of what is needed. The survey was before this: what is back counts as live as the next one finds it.
        """
        needed = dict(self._needed(trash, views))
        for key, is_recorded in sorted(needed.items()):
            if self.store.size(key) is not None:
                continue
            if not self.orders.delete:
                run.restored.append(key)
            elif put_back(self.store, key):
                run.restored.append(key)
                run.found.live += is_recorded
                run.found.live_bytes += (self.store.size(key) or 0) if is_recorded else 0
                self.progress(f"put back from the trash: {self.store.url}/{key}")
        return set(needed)

    def _needed(self, trash: Blobs, views: Sequence[View]) -> Iterator[tuple[str, bool]]:
        """The key of each blob that is needed, and whether anybody has a record of it."""
        if not trash:
            return
        with self._recorded(latest=True) as recorded:
            # Records are read in the order of keys, which each day has.
            days = (map(_key, day) for day in trash.below(_DEPTH))
            for key in merge(*days, key=lambda key: key.encode()):
                states = [every.ask(key) for every in recorded]
                live = any(state.record and not state.tombstone for state in states)
                if live or any(key[-69:-5] in view.served for view in views):
                    yield key, any(state.record for state in states)

    @contextlib.contextmanager
    def _recorded(self, *, latest: bool = False) -> Iterator[list[Recorded]]:
        """What each party has on main, to be asked in the order of a listing; `latest`: as it was looked at last."""
        with contextlib.ExitStack() as stack:
            found = (party.recorded(latest=latest) for party in self.parties)
            yield [stack.enter_context(contextlib.closing(every)) for every in found]

    # what is not goes

    def _spare(self, run: Run, orphans: Blobs, retired: Iterable[Stored], views: Sequence[View]) -> None:
        """Note why each of these stays, for those that do."""
        for blob in orphans.of(run.found.pipelines):
            run.spared[blob.key] = "a record of recsys-pipelines names it"
        named = orphans.of(frozenset().union(*(view.named for view in views)))
        for blobs, why in ((named, View.spares_orphan), (retired, View.spares_retired)):
            for blob in blobs:
                if says := next(filter(None, (why(view, blob) for view in views)), ""):
                    run.spared.setdefault(blob.key, says)

    def _take_all(self, run: Run) -> None:
        left = chain(((blob, False) for blob in run.orphans), ((blob, True) for blob in run.retired))
        for number in count():
            batch = list(islice(left, MOST))
            if not batch:
                return
            marker = Marker(self.store, f"{self._name}-{number}", {blob.version for blob, _ in batch}, elapsed)
            try:
                marker.write()
                try:
                    views = self._look_again()
                except Problem:
                    with contextlib.suppress(Problem):
                        marker.take_away()  # nothing was taken under it
                    raise
                self._spare(run, Blobs.of_those(b for b, r in batch if not r), [b for b, r in batch if r], views)
                # Where this fails the marker stays until it dies: the store may still carry out what was asked of it.
                self._take(run, [blob for blob, _ in batch if blob.key not in run.spared], marker)
                if number == 0:
                    for key in left_over(self.store, marker.key):
                        self.store.remove(key)
                marker.take_away()
            except Problem as problem:
                raise Unfinished(run, problem) from problem

    def _take(self, run: Run, blobs: Sequence[Stored], marker: Marker) -> None:
        def take(blob: Stored) -> Stored | None:
            place = place_in_trash(blob.key, self.now)
            return blob if self.store.move(blob.key, place, blob.size, lambda: marker.lives) else None

        for blob in self._each(take, blobs):
            if blob is not None:
                run.taken.add(blob.key, blob.size, blob.written)
                if blob.version in self.orders.no_trash:
                    run.for_good.append(Stored(place_in_trash(blob.key, self.now), blob.size, self.now))
                self.progress(f"took {self.store.url}/{blob.key}")
                self.progress.counted("blobs taken", len(run.taken), None)
        if not marker.lives:
            run.unfinished = "taking took longer than a marker lives, so some were left: run pointsman gc again"

    def _look_again(self) -> list[View]:
        """What everybody has right before something goes; Problem if somebody else has come to the store meanwhile."""
        require_sole_owner(self.store, [party.workspace.repo for party in self.parties])
        return [party.look(sure=True) for party in self.parties]

    # what was taken long ago

    def _purge(self, run: Run, views: Sequence[View]) -> None:
        """Delete what has been in the trash for long enough, and what was to go for good."""
        aside = filter(_was_set_aside, run.found.trash)
        due = chain(filterfalse(_was_set_aside, self._due(run, views)), run.for_good)
        try:
            for each in (aside, due):  # nothing more is set aside where what is cannot be deleted
                while some := list(islice(each, MOST)):
                    self._purge_some(run, some)
        except Problem as problem:
            raise Unfinished(run, problem) from problem

    def _purge_some(self, run: Run, due: Sequence[Stored]) -> None:
        """Set aside, look, delete: nothing brings back what is deleted.

        Whoever takes a tombstone back shows a branch, and then looks whether the bytes are there. Those that are set
        aside are not, for them. So either this look sees the branch, or theirs sees that it is too late, however long
        anybody sleeps. A revert that shows no branch is seen as far as the look is not old.
        """
        aside = [(each, place_of_going(each.key, self._name)) for each in due]
        aside = list(compress(aside, self._move([(each.key, place, each.size) for each, place in aside])))
        while aside:
            try:
                views = self._look_again()
            except Problem:
                with contextlib.suppress(Problem):
                    self._move_back(aside)
                raise
            until = elapsed() + FRESH
            needed = self._put_back(run, Blobs.of_those(each for each, _ in aside), views)
            stays = [_key(each) in needed or _may_come_back(each, views) for each, _ in aside]
            self._move_back(compress(aside, stays))
            aside = list(compress(aside, map(not_, stays)))
            gone = list(ask_all(partial(self._remove_before, until), aside, at_once=self.store.at_once))
            for each, _ in compress(aside, gone):
                run.purged.add(each.key, each.size, each.written)
            aside = list(compress(aside, map(not_, gone)))

    def _remove_before(self, until: float, aside: tuple[Stored, str]) -> bool:
        if elapsed() >= until:
            return False
        self.store.remove(aside[1])
        return True

    def _move_back(self, aside: Iterable[tuple[Stored, str]]) -> None:
        """It is in the trash from today on."""
        self._move([(place, place_in_trash(_key(each), self.now), each.size) for each, place in aside])

    def _move(self, moves: Sequence[tuple[str, str, int]]) -> list[bool]:
        """Move objects from a key to another. Whether each was there."""

        def move(each: tuple[str, str, int]) -> bool:
            return each[0] == each[1] or self.store.move(*each, lambda: True)

        return list(self._each(move, moves))

    def _each(self, move: Callable[[_Item], _Result], items: Sequence[_Item]) -> Iterator[_Result]:
        """Many moves at once, after the first alone: a store that refuses deletes keeps one copy and not eight."""
        yield from map(move, items[:1])
        yield from ask_all(move, items[1:], at_once=self.store.at_once)

    def _would_go(self, run: Run) -> Iterator[Stored]:
        """What is in its place and would go for good."""
        if not run.too_many(self.orders.max_share):
            for each in chain(run.orphans.of(self.orders.no_trash), run.retired.of(self.orders.no_trash)):
                yield Stored(place_in_trash(each.key, self.now), each.size, self.now)

    def _due(self, run: Run, views: Sequence[View]) -> Iterator[Stored]:
        return (each for each in run.found.trash if self._is_due(each) and not _may_come_back(each, views))

    def _is_due(self, each: Stored) -> bool:
        place = read_place(each.key)
        assert place is not None
        # A publish that found a blob before it was taken may record it for as long as --grace says.
        days = max(self.parties[0].settings.trash_days, self.orders.grace / _DAY)
        return place[1][-69:-5] in self.orders.no_trash or is_over(place[0], each.written, days, self.now)


class Unfinished(Exception):
    """A run that ended in trouble after it had done something."""

    def __init__(self, run: Run, problem: Problem) -> None:
        super().__init__(str(problem))
        self.run = run
        self.problem = problem


def _was_set_aside(each: Stored) -> bool:
    return is_set_aside(each.key)


def _key(each: Stored) -> str:
    return each.key.split("/", _DEPTH)[_DEPTH]


def _may_come_back(each: Stored, views: Iterable[View]) -> bool:
    slot = slot_of(_key(each))
    assert slot is not None
    return any(view.may_come_back(slot) for view in views)
