"""What a guardrail declares: its setting, what it reads there, what it compares, and how it judges."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from pointsman.guardrails.comparison import Finding, Step
from pointsman.guardrails.limits import Limit


class Compares(Enum):
    """What a guardrail needs of the contents of two versions."""

    IDS = "ids"
    TOP = "what stands at the top"


@dataclass(frozen=True, slots=True)
class Guardrail:
    """One guardrail. Its name is for ever: faults, `Accept:` lines, settings and pages show it.

    `judge` yields one finding for everything that it looked at, within the limit or not, so that a review can show the
    figure. It is only asked where the limit is in force.
    """

    name: str
    stops: str
    stopped_if: str  # for the page on settings: "a ship is stopped if …"
    default: Limit
    reads: Callable[[object, str], Limit]  # a value other than false, and its name in messages; Problem if it is none
    judge: Callable[[Limit, Step], Iterator[Finding]]
    compares: Compares | None = None

    @property
    def setting(self) -> str:
        """The key of its limit in `[policy]`."""
        return self.name.replace("-", "_")
