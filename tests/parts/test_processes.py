"""Work is shared by processes: nothing is lost, nothing runs on, and what goes wrong in one is told by all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

# In a process of their own: a test runner has threads, and a process with threads is not to be copied.
_PROGRAM = """
import os, signal, sys, time
from pointsman.errors import Fault, Problem, Refused, Unreachable
from pointsman.files import NoPlainFile, TooLong
from pointsman.store.processes import both, in_processes, shared

def work(number):
    {body}

try:
    print(in_processes(work, {count}))
except BaseException as error:
    print(type(error).__name__, error)
try:
    os.waitpid(-1, os.WNOHANG)
    print("a child is left")
except ChildProcessError:
    pass
"""


def said(body: str, count: int = 3) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(body=body, count=count)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_each_answer_comes_in_its_place_and_from_a_process_of_its_own() -> None:
    assert said("return number, 'x' * 200_000 * (number == 1)").startswith("[(0, ''), (1, 'xxx")
    assert said("global pids; return number").endswith("[0, 1, 2]")
    assert len(set(said("return os.getpid()").strip("[]").split(", "))) == 3


@pytest.mark.slow
def test_what_goes_wrong_in_one_ends_all() -> None:
    wait = "time.sleep(600 if number == 1 else 0)"
    assert said(f"if number == 0: raise Unreachable('away')\n    {wait}") == "Unreachable away"
    assert said("if number == 2: raise Unreachable('away')") == "Unreachable away"
    assert said("if number: os.kill(os.getpid(), signal.SIGKILL)").startswith("RuntimeError a process")
    assert said(f"if number == 0: raise KeyboardInterrupt\n    {wait}") == "KeyboardInterrupt"


@pytest.mark.slow
def test_what_is_raised_in_a_process_is_raised_again_as_what_it_is() -> None:
    fault = "Fault('p', 'a rule', 'says')"
    assert said(f"if number: raise Refused([{fault}])") == "Refused p: a rule: says"
    body = f"if number: raise Refused([{fault}])"
    asked = "try: in_processes(inner, 2)\n    except Refused as error: return error.faults[0].rule"
    assert said(f"def inner(number):\n        {body}\n    {asked}") == "['a rule', 'a rule', 'a rule']"
    away = "OSError(5, 'Input/output error', '/a/b')"
    assert said(f"if number: raise {away}") == "OSError [Errno 5] Input/output error: '/a/b'"
    assert (
        said("if number: raise TooLong('/a/b', 3)")
        == "Unreachable /a/b: it has more than 3 bytes, and no more are read"
    )
    assert said("class Own(Exception): pass\n    if number: raise Own(1)").startswith("Bug this is a bug")


@pytest.mark.slow
def test_of_two_at_once_each_gives_its_own_and_what_goes_wrong_in_either_is_told() -> None:
    here = "found = (lambda: {})(); return found[0][0], found[1][0], found[0][1] == found[1][1]"
    asked = here.format("both(lambda: ('mine', os.getpid()), lambda: ('other', os.getpid()), at_once={})")
    assert said(asked.format(False)).startswith("[('mine', 'other', True)")
    if len(os.sched_getaffinity(0)) > 1:
        assert said(asked.format(True)).startswith("[('mine', 'other', False)")
    for at_once in (True, False):
        assert said(f"both(lambda: 1, lambda: 1 / 0, at_once={at_once})").startswith("ZeroDivisionError")
        assert said(f"both(lambda: 1 / 0, lambda: 1, at_once={at_once})").startswith("ZeroDivisionError")


def test_of_what_is_shared_each_is_done_once_and_comes_in_its_place() -> None:
    for count in (0, 1, 2, 64, 256):
        asked = f"shared(lambda n: n, lambda: lambda n: n, {count}) == list(range({count}))"
        assert said(f"return {asked}") == "[True, True, True]"


def test_whoever_has_much_to_do_leaves_the_rest_to_the_others() -> None:
    """The first one ends only when the last one is done."""
    if len(os.sched_getaffinity(0)) > 1:
        one = "first, last = os.pipe()\n    def one(n): return n or os.read(first, 1)"
        last = "def other(n): return os.write(last, b'x') if n == 63 else one(n)"
        asked = "return shared(other, lambda: other, 64) == [b'x', *range(1, 63), 1]"
        assert said(f"{one}\n    {last}\n    {asked}") == "[True, True, True]"


@pytest.mark.slow
def test_what_goes_wrong_with_what_is_shared_ends_all() -> None:
    asked = "return shared(lambda n: 1 / 0, lambda: lambda n: time.sleep(600), 8)"
    assert said(asked, 1).startswith("ZeroDivisionError")
    if len(os.sched_getaffinity(0)) > 1:
        waits = "first, last = os.pipe()\n    mine = lambda n: os.read(first, 1)"
        fails = "theirs = lambda n: os.write(last, b'12345678') // 0"
        asked = "return shared(mine, lambda: theirs, 8)"
        assert said(f"{waits}\n    {fails}\n    {asked}", 1).startswith("ZeroDivisionError")


def test_a_process_whose_parent_was_killed_ends_and_holds_nothing_any_more() -> None:
    body = "if number == 0: os.kill(os.getpid(), signal.SIGKILL)\n    return 'x' * 10_000_000"
    command = [sys.executable, "-c", _PROGRAM.format(body=body, count=3)]
    ended = subprocess.run(command, capture_output=True, check=False, timeout=60)  # until nobody has its output open
    assert ended.returncode == -signal.SIGKILL


def test_of_what_is_shared_nobody_takes_more_when_the_one_who_asked_was_killed() -> None:
    if len(os.sched_getaffinity(0)) > 1:
        kill = "me = os.getpid()\n    def other(n):\n        os.kill(me, signal.SIGKILL)"
        gone = "while os.getppid() == me: pass\n        print(n, flush=True)"
        body = f"{kill}\n        {gone}\n    shared(lambda n: time.sleep(600), lambda: other, 64)"
        command = [sys.executable, "-c", _PROGRAM.format(body=body, count=1)]
        ended = subprocess.run(command, capture_output=True, check=False, timeout=60)
        assert 1 <= len(ended.stdout.split()) < len(os.sched_getaffinity(0))
