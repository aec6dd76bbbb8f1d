"""Work is shared by processes: nothing is lost, nothing runs on, and what goes wrong in one is told by all."""

from __future__ import annotations

import subprocess
import sys

# In a process of their own: a test runner has threads, and a process with threads is not to be copied.
_PROGRAM = """
import os, signal, sys, time
from pointsman.errors import Unreachable
from pointsman.store.processes import in_processes

def work(number):
    {body}

try:
    print(in_processes(work, 3))
except BaseException as error:
    print(type(error).__name__, error)
try:
    os.waitpid(-1, os.WNOHANG)
    print("a child is left")
except ChildProcessError:
    pass
"""


def said(body: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(body=body)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_each_answer_comes_in_its_place_and_from_a_process_of_its_own() -> None:
    assert said("return number, 'x' * 200_000 * (number == 1)").startswith("[(0, ''), (1, 'xxx")
    assert said("global pids; return number").endswith("[0, 1, 2]")
    assert len(set(said("return os.getpid()").strip("[]").split(", "))) == 3


def test_what_goes_wrong_in_one_ends_all() -> None:
    wait = "time.sleep(600 if number == 1 else 0)"
    assert said(f"if number == 0: raise Unreachable('away')\n    {wait}") == "Unreachable away"
    assert said("if number == 2: raise Unreachable('away')") == "Unreachable away"
    assert said("if number: os.kill(os.getpid(), signal.SIGKILL)").startswith("RuntimeError a process")
    assert said(f"if number == 0: raise KeyboardInterrupt\n    {wait}") == "KeyboardInterrupt"
