"""What a command works with: one repository, its gate, its forge, a clock, and who is told how far it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from pointsman.forge.base import Forge
from pointsman.forge.open import open_forge
from pointsman.gate.gate import Gate
from pointsman.progress import SILENCE, Progress
from pointsman.repo.repository import Repository
from pointsman.rules.rule import Rule
from pointsman.rules.table import RULES


def system_clock() -> datetime:
    """The time of this machine, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Workspace:
    """Made once for a command. The gate remembers what it read, the forge what it counts.

    `offline` leaves the store alone. `rules` are all there are, but for tests that leave one out.
    """

    repo: Repository
    clock: Callable[[], datetime] = system_clock
    progress: Progress = SILENCE
    offline: bool = False
    rules: Sequence[Rule] = RULES

    @cached_property
    def gate(self) -> Gate:
        """The gate of the repository."""
        return Gate(self.repo, offline=self.offline, rules=self.rules)

    @cached_property
    def forge(self) -> Forge:
        """The forge that the settings on main name; Problem if it cannot be used."""
        return open_forge(self.repo)

    @property
    def now(self) -> int:
        """Seconds since 1970."""
        return int(self.clock().timestamp())

    def again(self) -> Workspace:
        """The same with a gate that remembers nothing, for whoever looks again and again."""
        new = replace(self)
        if "forge" in self.__dict__:
            new.__dict__["forge"] = self.forge
        return new
