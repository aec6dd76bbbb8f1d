"""Where the actors of a schedule arrive: whoever waits for one that hangs is told where it hangs."""

from __future__ import annotations

import queue
import sys
import threading
import traceback
from typing import Generic, TypeVar

_PATIENCE = 180.0  # seconds
_Actor = TypeVar("_Actor")


class Arrivals(Generic[_Actor]):
    """Actors put themselves here at each step, and one waits for them."""

    def __init__(self) -> None:
        self._queue: queue.Queue[_Actor] = queue.Queue()

    def put(self, actor: _Actor) -> None:
        self._queue.put(actor)

    def wait(self) -> _Actor:
        """The next one that arrives; AssertionError with what each thread does if none does."""
        try:
            return self._queue.get(timeout=_PATIENCE)
        except queue.Empty:
            frames = sys._current_frames()
            at_work = [frames[each.ident] for each in threading.enumerate() if each.ident in frames]
            stacks = "\n".join("".join(traceback.format_stack(frame)) for frame in at_work)
            raise AssertionError(f"nobody arrived in {_PATIENCE:g} s\n{stacks}") from None
