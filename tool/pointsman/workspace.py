"""What a command works with: one repository, its gate, its forge, a clock, and where progress is reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from pointsman.progress import SILENCE, Progress

# Gate and forge are imported when they are asked for: together they cost 20 ms, and not every command needs them.
if TYPE_CHECKING:
    from pointsman.forge.base import Forge
    from pointsman.gate.gate import Gate
    from pointsman.repo.repository import Repository
    from pointsman.rules.rule import Rule


def system_clock() -> datetime:
    """The time of this machine, in UTC."""
    return datetime.now(UTC)


class Workspace(Struct, frozen=True, dict=True):
    """Made once for a command, because the gate caches what it reads and the forge counts its calls.

    `offline`: do not read the store. `rules`: None for all of them; tests may leave one out.
    """

    repo: Repository
    clock: Callable[[], datetime] = system_clock
    progress: Progress = SILENCE
    offline: bool = False
    rules: Sequence[Rule] | None = None

    @cached_property
    def gate(self) -> Gate:
        """The gate of the repository."""
        from pointsman.gate.gate import Gate

        return Gate(self.repo, offline=self.offline, rules=self.rules, now=lambda: self.clock().timestamp())

    @cached_property
    def forge(self) -> Forge:
        """The forge that the settings on main name; Problem if it cannot be used."""
        from pointsman.forge.open import open_forge

        return open_forge(self.repo)

    @cached_property
    def away(self) -> dict[str, str]:
        """Rings that could not be reached, and why: nobody waits for one twice."""
        return {}

    @property
    def now(self) -> int:
        """Seconds since 1970."""
        return int(self.clock().timestamp())

    def again(self) -> Workspace:
        """A copy with the same forge and a gate with empty caches, for commands that look repeatedly."""
        new = replace(self)
        if "forge" in self.__dict__:
            new.__dict__["forge"] = self.forge
        return new
