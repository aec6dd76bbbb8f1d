"""The lock of a directory store, asked for by another process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# It asks for the lock and hardly waits for it, says how that went, and has it until nobody listens any more.
_OTHER = """
import sys
from pointsman.errors import Unreachable
from pointsman.store.open import open_store
try:
    with open_store(sys.argv[1]).locked(sys.argv[2]):
        print("in", flush=True)
        sys.stdin.read()
except Unreachable as error:
    if not isinstance(error.__cause__, BlockingIOError):
        raise
    print("kept out", flush=True)
"""


@contextmanager
def other_process(url: str, directory: str = "") -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A process that asks for the lock of the pointers below `directory`, and whether it is "in" or "kept out"."""
    hasty = {**os.environ, "POINTSMAN_LOCK_TIMEOUT": "0.001"}
    command = [sys.executable, "-c", _OTHER, url, directory]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=hasty) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process


def is_locked(url: str, directory: str = "") -> bool:
    """Whether another process would have to wait for the lock."""
    with other_process(url, directory) as (went, process):
        process.communicate()
    assert went in ("in", "kept out")
    return went == "kept out"
