"""Ripe tombstones: those that allow gc to take the bytes of their versions.

A tombstone is ripe if it landed on main `[retention] wait_days` ago, still stands there, and its version is not needed
again, by the function that rule `still-needed` asks. All of it is read from main alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pointsman.gate.gate import Gate
from pointsman.gate.retention import Retention
from pointsman.repo.snapshot import Snapshot
from pointsman.state.documents import Tombstone, read_tombstone, rfc3339
from pointsman.state.names import Target
from pointsman.state.objects import Oid

_DAY = 86400  # seconds


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a tombstone means for the bytes of its version. `why` it is not ripe, as a sentence; "" if it is."""

    tombstone: Tombstone | None  # None if it cannot be read
    why: str

    @property
    def is_ripe(self) -> bool:
        return not self.why


class Tombstones:
    """The tombstones of one commit of main, judged by its settings at a time.

    `now`: seconds since 1970; times of main after it do not count.
    """

    def __init__(self, gate: Gate, main: Oid, now: int) -> None:
        self._repo = gate.repo
        self._head = Snapshot(gate.repo, main)
        self._main = main
        self._now = now
        self._settings = gate.documents.settings(self._head)
        self._retention = Retention(gate.past)

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
        if self._fresh is None or path in self._fresh:
            says = f"it was retired less than {self._settings.wait_days} days ago ([retention] wait_days)"
            return Verdict(read, says)
        needed = self._retention.why_needed(
            self._main, self._main, target, (slot, version), self._settings, self._now, erase=bool(read.erase)
        )
        return Verdict(read, needed)

    def retired_at(self, target: Target, slot: str, version: str) -> str:
        """When the tombstone landed last, RFC 3339, by the clock of its commit."""
        commit = next(self._repo.history(self._main, target.tombstone_path(slot, version)))
        return rfc3339(commit.time)

    @cached_property
    def _fresh(self) -> frozenset[str] | None:
        """The paths of registry/ that changed within `wait_days`; None if main itself is younger."""
        if not self._settings.wait_days:
            return frozenset()
        settled = self._retention.settled(self._main, self._now - self._settings.wait_days * _DAY, self._now)
        if settled is None:
            return None
        commits = self._repo.history(self._main, "registry", no_older_than=settled)
        return frozenset(change.path for commit in commits for change in commit.changes)
