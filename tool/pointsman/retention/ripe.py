"""Ripe tombstones: those that allow gc to take the bytes of their versions.

A tombstone is ripe if it landed on main `[retention] wait_days` ago, still stands there, and its version is not needed
again, by the function that rule `still-needed` asks. All of it is read from main alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from pointsman.errors import Problem
from pointsman.gate.documents import retired_by
from pointsman.gate.gate import Gate
from pointsman.gate.retention import Retention
from pointsman.repo.snapshot import Snapshot
from pointsman.retention.trash import Slot
from pointsman.settings import SETTINGS_PATH
from pointsman.state.documents import Tombstone, read_tombstone, rfc3339
from pointsman.state.names import Target
from pointsman.state.objects import Commit, Oid
from pointsman.state.paths import path_kind

_DAY = 86400  # seconds


class Verdict(Struct, frozen=True):
    """What a tombstone means for the bytes of its version. `why` it is not ripe, as a sentence; "" if it is."""

    tombstone: Tombstone | None  # None if it cannot be read
    why: str
    until: str = ""  # RFC 3339, of one that only time keeps from being ripe

    @property
    def is_ripe(self) -> bool:
        return not self.why


class Tombstones:
    """The tombstones of one commit of main, judged by its settings at a time.

    `now`: seconds since 1970; times of main after it do not count.
    """

    def __init__(self, gate: Gate, main: Oid, now: int) -> None:
        self._gate = gate
        self._repo = gate.repo
        self._head = Snapshot(gate.repo, main)
        self._main = main
        self._now = now
        self._settings = gate.settings(self._head)
        self._retention = Retention(gate.past)
        self._earlier: dict[Oid, Tombstones | None] = {}  # of mains before their settings changed; None: unreadable

    def verdict(self, target: Target, slot: str, version: str) -> Verdict | None:
        """What the tombstone of a version says; None if there is none."""
        path = target.tombstone_path(slot, version)
        entry = self._head.entry(path)
        if entry is None:
            return None
        data = self._repo.content(entry)
        read = read_tombstone(data, path) if data is not None else None
        if not isinstance(read, Tombstone):
            return Verdict(None, f"{path} cannot be read: pointsman check says why")
        if (landed := self._fresh.get(path)) is not None:
            until = rfc3339(landed + self._settings.wait_days * _DAY)
            says = f"it was retired less than {self._settings.wait_days} days ago ([retention] wait_days)"
            return Verdict(read, f"{says}, and waits until {until}", until)
        return Verdict(read, self._why_needed(target, slot, version, erase=bool(read.erase)))

    def _why_needed(self, target: Target, slot: str, version: str, *, erase: bool) -> str:
        main, asked = self._main, (slot, version)
        return self._retention.why_needed(main, main, target, asked, self._settings, self._now, erase=erase)

    def may_be_gone(self, target: Target, slot: str, version: str) -> bool:
        """Whether gc may have taken the bytes of a version: its tombstone is ripe, or was by settings that main had.

        Longer times in the settings bring nothing back that went by shorter ones. What is current is never gone.
        """
        verdict = self.verdict(target, slot, version)
        if verdict is None or verdict.tombstone is None or verdict.is_ripe:
            return verdict is not None and verdict.is_ripe
        if self._why_needed(target, slot, version, erase=True):
            return False
        landed = next(self._repo.history(self._main, target.tombstone_path(slot, version))).oid
        changes = self._repo.history(self._main, SETTINGS_PATH, no_older_than=landed)
        earlier = filter(None, map(self._before, changes))
        verdicts = (each.verdict(target, slot, version) for each in earlier)
        return any(verdict is not None and verdict.is_ripe for verdict in verdicts)

    def _before(self, change: Commit) -> Tombstones | None:
        """The tombstones of main as it was right before a change of the settings, judged at its time."""
        main = change.parents[0]
        if main not in self._earlier:
            try:
                self._earlier[main] = Tombstones(self._gate, main, min(change.time, self._now))
            except Problem:  # gc did nothing by settings that cannot be read
                self._earlier[main] = None
        return self._earlier[main]

    def retired_at(self, target: Target, slot: str, version: str) -> str:
        """When the tombstone landed last, RFC 3339, by the clock of its commit."""
        commit = next(self._repo.history(self._main, target.tombstone_path(slot, version)))
        return rfc3339(commit.time)

    def fresh(self) -> Iterator[Slot]:
        """The versions whose tombstones landed too late to be ripe."""
        for path in self._fresh:
            if path_kind(path) == "tombstone" and self._head.entry(path) is not None:
                yield retired_by(path)

    @cached_property
    def _settled(self) -> Oid | None:
        """The commit of main after which `wait_days` begin; None if main itself is younger."""
        return self._retention.settled(self._main, self._now - self._settings.wait_days * _DAY, self._now)

    @cached_property
    def _fresh(self) -> Mapping[str, int]:
        """The paths of registry/ that changed within `wait_days`, and when the last change took effect."""
        if not self._settings.wait_days:
            return {}
        commits = list(self._repo.history_below(self._main, "registry", no_older_than=self._settled))[::-1]
        times = self._retention.took_effect(self._main, [commit.oid for commit in commits], self._now)
        return {change.path: at for commit, at in zip(commits, times, strict=True) for change in commit.changes}
