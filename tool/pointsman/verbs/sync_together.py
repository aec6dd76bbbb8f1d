"""Sync at all places of the settings together: one look at the origin is enough for all that were read before it.

Places come from main, too. If a look shows that its settings have other places now, what was read is no longer what is
asked for, and all begins anew: a place that is new is not left out, and one that has left gets nothing more.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence

from pointsman.errors import MovedFirst, Problem, Unreachable, trouble_of
from pointsman.repo.origin import MAIN
from pointsman.repo.retry import pause
from pointsman.repo.snapshot import Snapshot
from pointsman.serving.others import Others
from pointsman.serving.outcomes import CallResult
from pointsman.serving.seen import Seen
from pointsman.state.names import Target
from pointsman.state.objects import Entry, Oid
from pointsman.state.place import Place
from pointsman.timeouts import landing_timeout
from pointsman.verbs.sync_place import PlaceSync
from pointsman.verbs.sync_target import Orders
from pointsman.workspace import Workspace


class Try:
    """The sync of one place, and what went wrong with it. What goes wrong at the only place is raised."""

    def __init__(self, sync: PlaceSync) -> None:
        self.sync = sync
        self.notes: tuple[str, ...] = ()
        self.problem: Problem | None = None
        self.calls: list[CallResult] = []
        self._unread: Exception | None = None
        self._is_mounted = False
        self._mounts: tuple[str, ...] = ()

    def move(self, place: Place) -> None:
        """Begin anew where the settings have this place now."""
        self.sync.place, self.sync.main = place, None
        self.problem, self._is_mounted = None, False

    def read(self) -> None:
        """Read what serving has. What goes wrong counts only if the settings have this place still."""
        self._unread = None
        try:
            self.sync.read()
        except Exception as error:  # noqa: BLE001 - told by `settle`
            self._unread = error

    def settle(self, main: Oid, standing: Mapping[Target, Entry], head: Snapshot) -> None:
        """Make it what main is. If somebody wrote meanwhile, it is not at `main` then."""
        self.sync.main = None
        try:
            if not self._is_mounted:
                self._mounts = self.sync.look_at_mounts(head)
                self._is_mounted = True
            if self._unread is not None:
                raise self._unread
            self.notes = (*self._mounts, *self.sync.not_looked_into(standing))
            self.sync.settle(main, standing)
        except MovedFirst:
            return
        except Exception as error:  # noqa: BLE001 - of several places the others are synced all the same
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """It is not tried again."""
        if not self.sync.place.name:
            raise error
        self.problem = trouble_of(error)

    def deliver(self) -> None:
        """Make the calls that are due."""
        try:
            self.calls = self.sync.deliver()
        except Unreachable as problem:
            self.fail(problem)


class Together:
    """One sync. `tries`: the places of the settings that count, in their order."""

    def __init__(self, workspace: Workspace, orders: Orders, seen: Seen | None) -> None:
        self.tries: Sequence[Try] = []
        self._workspace = workspace
        self._repo = workspace.repo
        self._orders = orders
        self._seen = seen
        self._others = Others()
        self._main: Oid | None = None  # as it was looked at last
        self._standing: tuple[Oid | None, Mapping[Target, Entry]] = (None, {})

    def follow(self) -> None:
        """Until every place that can be synced has the main of a look after the last write; MovedFirst if none will.

        What was known of main before tells where to read. Then comes the first look at the origin; where nothing is
        to be done it is the only one.
        """
        self._begin()
        until = time.monotonic() + landing_timeout()
        for again in itertools.count():
            for group in self._late():
                for each in group:
                    each.read()
                if not self._look():
                    break
                self._settle(group)
                if self._orders.stopped():
                    return
            else:
                if not self._orders.dry_run and any(each.sync.wrote for each in self.tries):
                    self._look_again()
            late = [each for group in self._late() for each in group]
            if not late or self._orders.stopped():
                return
            if time.monotonic() > until:
                for each in late:
                    each.fail(MovedFirst("main or serving moved at every look: run pointsman sync again"))
                return
            if any(each.sync.main is None for each in late):
                pause(again)

    def _begin(self) -> None:
        """The places as far as anybody knows without asking the origin."""
        known = self._repo.heads.get(MAIN) or self._repo.last_main()
        try:
            if known is not None:
                self._take(known)
                return
        except Problem:  # there may be better settings by now
            pass
        self._look()

    def _look(self) -> bool:
        """Look at main; whether its settings have the same places as before."""
        self._main = self._repo.refresh()
        for each in self.tries:
            each.sync.wrote = False
        return self._take(self._main)

    def _look_again(self) -> None:
        """See whether main moved while serving was written: another sync may have written what it is now, before."""
        self._look()

    def _take(self, main: Oid) -> bool:
        places = self._workspace.gate.settings(Snapshot(self._repo, main)).serving
        if list(places) == [each.sync.place for each in self.tries]:
            return True
        known = {_where(each.sync.place): each for each in self.tries}
        self.tries = [self._try(place, known.get(_where(place))) for place in places]
        return False

    def _try(self, place: Place, known: Try | None) -> Try:
        """The try of a place: the one that was there, if the settings had it there before."""
        if known is None:
            seen = self._seen.of(place) if self._seen is not None else None
            return Try(PlaceSync(self._workspace, place, self._orders, seen, self._others))
        if known.sync.place != place:
            known.move(place)
        return known

    def _late(self) -> list[list[Try]]:
        """Those that are not at main yet. Those that failed in the last pass are a group of their own, the second.

        They may take long to give no answer again, and the others must not wait for that.
        """
        going = [each for each in self.tries if each.problem is None]
        late = [each for each in going if each.sync.main is None or each.sync.main != self._main]
        failed = [each for each in late if self._seen is not None and self._seen.failed(each.sync.place)]
        return [group for group in ([each for each in late if each not in failed], failed) if group]

    def _settle(self, group: Sequence[Try]) -> None:
        main = self._repo.main
        head = Snapshot(self._repo, main)
        self._others.forget_all()
        if self._standing[0] != main:
            self._standing = main, dict(_standing(head))
        for each in group:
            each.settle(main, self._standing[1], head)


def _where(place: Place) -> tuple[object, ...]:
    """What makes a place of other settings the same one."""
    return place.name, place.root, place.access


def _standing(head: Snapshot) -> Iterator[tuple[Target, Entry]]:
    """Every target of main, and what stands where its manifest belongs, a plain file or not."""
    for target in head.targets("manifests"):
        if (entry := head.entry(target.manifest_path)) is not None:
            yield target, entry
