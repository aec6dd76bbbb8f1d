"""A bar for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pointsman.progress import Silence

if TYPE_CHECKING:
    from rich.progress import Progress as Drawn
    from rich.progress import TaskID


_SHORT = 1.0  # seconds; what is done by then needs no bar


class Bar(Silence):
    """A bar on stderr, from the second second on, gone when it is closed. For a terminal."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._drawn: Drawn | None = None
        self._tasks: dict[str, TaskID] = {}

    def counted(self, what: str, done: int, total: int | None) -> None:
        from time import monotonic

        if self._since is None:
            self._since = monotonic()
        if self._drawn is None and monotonic() - self._since > _SHORT:
            self._drawn = _draw()
        if self._drawn is not None:
            if what not in self._tasks:
                self._tasks[what] = self._drawn.add_task(what, total=total)
            self._drawn.update(self._tasks[what], completed=done, total=total)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._drawn is not None:
            self._drawn.stop()
            self._drawn = None


def _draw() -> Drawn:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    drawn = Progress(*columns, console=Console(stderr=True), transient=True)
    drawn.start()
    return drawn
