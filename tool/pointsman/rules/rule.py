"""What a rule declares: its name, what it stops, how to fix that, where it decides, and how it judges."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence


class Rule(Struct, frozen=True):
    """One rule. Its name never changes: faults, `Accept:` lines and pages show it."""

    name: str
    stops: str
    mend: str
    at: tuple[Checkpoint, ...]
    judge: Callable[[Evidence], Iterator[Fault]]
    acceptable: bool = False  # a change may accept it by name
