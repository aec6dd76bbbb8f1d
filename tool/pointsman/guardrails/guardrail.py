"""What a guardrail declares: its setting, how the setting is read, what is compared, and how it judges."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum

from msgspec import Struct

from pointsman.guardrails.comparison import Finding, Step
from pointsman.guardrails.limits import Limit


class Compares(Enum):
    """The part of two versions' contents that a guardrail compares."""

    IDS = "ids"
    TOP = "top"


class Guardrail(Struct, frozen=True):
    """One guardrail. Its name never changes: faults, `Accept:` lines, settings and pages show it.

    `judge` yields one finding for each thing that it looked at, also if nothing is wrong, so that a review can show the
    figure. It is called only if the limit is on.
    """

    name: str
    stops: str
    stopped_if: str  # for the page on settings: "a ship is stopped if …"
    default: Limit
    reads: Callable[[object, str], Limit]  # from a value other than false, and its name for messages; Problem if wrong
    judge: Callable[[Limit, Step], Iterator[Finding]]
    compares: Compares | None = None
    of_pairs: bool = False  # it compares the record of a slot with that of the version before
    of_manifest: bool = False  # it looks at all types together, so no type has a limit of its own

    @property
    def setting(self) -> str:
        """The key of its limit in `[policy]`."""
        return self.name.replace("-", "_")
