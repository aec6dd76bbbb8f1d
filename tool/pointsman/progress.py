"""How a long work tells that it goes on: lines for those who ask, a bar for those who look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    pass


class Progress(Protocol):
    """What a verb says while it works."""

    def __call__(self, line: str) -> None:
        """Something was done."""

    def counted(self, what: str, done: int, total: int | None) -> None:
        """So many of `what` are done, of `total`, or of who knows how many."""


class Silence:
    """Says nothing."""

    def __call__(self, line: str) -> None:
        return

    def counted(self, what: str, done: int, total: int | None) -> None:
        return


SILENCE = Silence()
