"""Which versions may still be needed: what main pointed to of late, as far as its history and its settings tell."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from pointsman.gate.lineage import Lineage, Past
from pointsman.repo.repository import Repository
from pointsman.settings import Settings
from pointsman.state.documents import rfc3339
from pointsman.state.names import Target
from pointsman.state.objects import Oid

_DAY = 86400  # seconds
_LATER = "retire it later; if its bytes must go now, retire it with --erase"
Version = tuple[str, str]  # artifact type, version


class Retention:
    """Answers for one repository. What it reads of a lineage it keeps, so that audit reads it once."""

    def __init__(self, past: Past) -> None:
        self._repo = past.repo
        self._past = past
        self._clocks: dict[Oid, _Clocks] = {}
        self._uses: dict[tuple[Oid, Target], _Uses] = {}

    def why_needed(
        self, tip: Oid, base: Oid, target: Target, version: Version, settings: Settings, now: int, *, erase: bool
    ) -> str:
        """Why a version is still needed on `base`, a commit of the history of `tip`; "" if it is not.

        `now`: seconds since 1970; times of main after it do not count. `erase`: only what is current is needed.
        """
        clocks, key = self._clocks_of(tip), (tip, target)
        if key not in self._uses:
            self._uses[key] = _Uses(self._past.lineage(tip, target), clocks)
        asked = _Asked(self._uses[key], clocks, clocks.place[base], now - settings.keep_days * _DAY, now)
        if asked.is_current(version):
            return "the manifest on main points to this version: ship another version first"
        if erase:
            return ""
        if (left := asked.left_lately(version)) is not None:
            return (
                f"it was current until {rfc3339(left)}, and a rollback may need it for {settings.keep_days} days "
                f"([retention] keep_days): {_LATER}"
            )
        if asked.is_of_last(version, settings.keep_ships):
            return (
                f"one of the last {settings.keep_ships} ships of {target} has it, and a rollback may need it "
                f"([retention] keep_ships): {_LATER}"
            )
        return ""

    def settled(self, tip: Oid, since: int, now: int) -> Oid | None:
        """The newest commit up to `tip` that took effect no later than `since`; None if there is none.

        Seconds since 1970. Times after `now` tell nothing: a commit with one is as late as the next with another.
        """
        clocks = self._clocks_of(tip)
        last = len(clocks.times) - 1
        places = range(last + 1)
        found = bisect_left(places, True, key=lambda place: clocks.is_after(place, since, now, last))
        return clocks.ids[found - 1] if found else None

    def took_effect(self, tip: Oid, commits: Iterable[Oid], now: int) -> list[int]:
        """When commits of the history of `tip` took effect, as `settled` counts it, seconds since 1970."""
        clocks = self._clocks_of(tip)
        latest = list(accumulate((time if time <= now else 0 for time in clocks.times), max))
        found = []
        for place in map(clocks.place.__getitem__, commits):
            known = next((each for each in range(place, len(latest)) if clocks.times[each] <= now), None)
            found.append(latest[known] if known is not None else now)
        return found

    def _clocks_of(self, tip: Oid) -> _Clocks:
        if tip not in self._clocks:
            self._repo.deepen_to_first()
            self._clocks[tip] = _Clocks(self._repo, tip)
        return self._clocks[tip]


class _Clocks:
    """The committer's clocks of main, oldest first. They may run backwards, or be far ahead."""

    def __init__(self, repo: Repository, tip: Oid) -> None:
        commits = repo.clocks(tip)
        first = commits.height - len(commits) + 1
        self.times: Sequence[int] = commits.clocks[::-1]
        self.latest = list(accumulate(self.times, max))
        self.ids = [commits.at(first + place) for place in range(len(commits))]
        self.place = {oid: place for place, oid in enumerate(self.ids)}

    def is_after(self, place: int, since: int, now: int, last: int) -> bool:
        """Whether the commit at a place took effect after `since`: it, or any before it, has such a time.

        Times after `now` tell nothing. A commit with such a one is as late as the next that has another, up to `last`.
        """
        if self.latest[place] <= since:
            return False
        while self.times[place] > now:
            if place == last:
                return True
            place += 1
        return any(since < self.times[each] <= now for each in range(place, -1, -1))


class _Uses:
    """When each version of a target was current. Read from the newest step of its lineage on, as far as needed."""

    def __init__(self, lineage: Lineage, clocks: _Clocks) -> None:
        self._lineage = lineage
        self._clocks = clocks
        self.depths: list[int] = []  # of each step: how far below the tip of main, as a negative place of `_Clocks`
        self.current: dict[Version, list[int]] = {}  # the steps that left it current
        self.shipped: dict[Version, list[int]] = {}  # the ships among them
        self.ships = [0]  # how many of the steps before this one are ships
        self.removals: list[int] = []

    def more(self) -> bool:
        """Read one more step. False if there is none."""
        place = len(self.depths)
        step = self._lineage.at(place)
        if step is None:
            return False
        self.depths.append(-self._clocks.place[step.commit.oid])
        for version in step.versions.items():
            self.current.setdefault(version, []).append(place)
            if step.is_ship:
                self.shipped.setdefault(version, []).append(place)
        self.ships.append(self.ships[-1] + step.is_ship)
        if step.after is None:
            self.removals.append(place)
        return True


class _Asked:
    """One question: about the steps from `base` on, a place of `clocks`, and what was current after `since`."""

    def __init__(self, uses: _Uses, clocks: _Clocks, base: int, since: int, now: int) -> None:
        self._uses, self._clocks = uses, clocks
        self._base, self._since, self._now = base, since, now
        while not (uses.depths and uses.depths[-1] >= -base) and uses.more():
            pass
        self._first = bisect_left(uses.depths, -base)

    def is_current(self, version: Version) -> bool:
        """Whether the newest step left it current."""
        return self._next(self._uses.current.get(version, ()), self._first) == self._first

    def left_lately(self, version: Version) -> int | None:
        """The clock of the commit that took it out of use after `since`, if one did."""
        while self._is_late(len(self._uses.depths) - 1) and self._uses.more():
            pass
        place = self._next(self._uses.current.get(version, ()), self._first)
        if place is None or not self._is_late(place - 1):
            return None
        return self._clocks.times[-self._uses.depths[place - 1]]

    def is_of_last(self, version: Version, count: int) -> bool:
        """Whether one of the last `count` ships has it. Those before a removal not after `since` do not count."""
        uses, before = self._uses, self._uses.ships[self._first]
        while uses.ships[-1] - before < count and uses.more():
            pass
        place = self._next(uses.shipped.get(version, ()), self._first)
        if place is None or uses.ships[place] - before >= count:
            return False
        removed = bisect_left(uses.removals, place) - 1  # the last before it: no other removal is older
        return not (
            removed >= 0 and uses.removals[removed] >= self._first and not self._is_late(uses.removals[removed])
        )

    def _is_late(self, step: int) -> bool:
        """Whether a step took effect after `since`. One newer than the base did."""
        if step < self._first:
            return True
        return self._clocks.is_after(-self._uses.depths[step], self._since, self._now, self._base)

    @staticmethod
    def _next(places: Sequence[int], first: int) -> int | None:
        """The first of these places that is not before `first`."""
        at = bisect_left(places, first)
        return places[at] if at < len(places) else None
