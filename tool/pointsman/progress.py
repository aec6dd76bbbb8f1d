"""How a long command reports progress: lines with --verbose, a bar on a terminal."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the progress of a verb."""

    def __call__(self, line: str) -> None:
        """One step is done; `line` says which."""

    def counted(self, what: str, done: int, total: int | None) -> None:
        """`done` of `total` are done; `what` is a plural such as "blobs read". `total` is None if it is not known."""


class Silence:
    """Ignores all progress."""

    def __call__(self, line: str) -> None:
        return

    def counted(self, what: str, done: int, total: int | None) -> None:
        return


SILENCE = Silence()
