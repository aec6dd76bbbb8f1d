"""The process of git that reads objects, and how a run of git ends. A dead reader is made anew for the next read."""

from __future__ import annotations

import contextlib
import io
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from msgspec import Struct

from pointsman.errors import Unreachable, one_line
from pointsman.patterns import pattern
from pointsman.repo.pipes import Patient, kill, last_words
from pointsman.state.objects import Oid

AT_ONCE = 500  # ids in one write: half of what the smallest usual pipe (64 KiB) holds
_MOST_SAID = 1000  # characters
_CUT_OFF = "fatal: Could not read from remote repository."  # what git says of any trouble of ssh
_CARRIER = 3  # lines of ssh
_LACKING = pattern(r"^error: Could not read [0-9a-f]{40,64}$", re.MULTILINE)  # not what the other side says of itself
_NO_ROOM = pattern("No space left on device|Disk quota exceeded|File too large|Input/output error")
_REFETCH = "this clone lacks commits of its own history; to get all of them again, run git fetch --refetch origin"
_INTERRUPT = 0.2  # seconds: a Ctrl-C ends git, and may reach this process a moment later


class Ran(Struct, frozen=True):
    """The result of one run of git."""

    code: int
    out: bytes
    err: str

    @property
    def killed(self) -> bool:
        """Whether a signal ended it: it gave no answer at all."""
        return self.code < 0

    @property
    def says_nothing(self) -> bool:
        """Whether it is no answer to what was asked: a signal ended it, or the disk did not take what it wrote."""
        return self.killed or _NO_ROOM.search(self.err) is not None

    @property
    def reason(self) -> str:
        """Git's error lines, joined to one line, and no more of it than a reader has use for."""
        lines = [line.strip() for line in self.err.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", "!", "ERROR"))] or lines
        if _CUT_OFF in lines:  # whoever was to carry the call has said why, in words of its own
            errors = [*lines[: lines.index(_CUT_OFF)][-_CARRIER:], *errors]
        ended = f"it was ended by {_signal(-self.code)}" if self.killed else f"git ended with exit code {self.code}"
        says = said("; ".join(dict.fromkeys(errors))) or ended
        return f"{says}; {_REFETCH}" if _LACKING.search(self.err) else says


def _signal(number: int) -> str:
    """Which signal it was, and what to do where that is known."""
    if number == signal.SIGXFSZ:
        return "SIGXFSZ: a file may not grow that large here: raise the limit (ulimit -f) and run again"
    return f"signal {number}"


def said(text: str) -> str:
    """What git or a server said, in one line that a terminal only shows, cut if it is long."""
    line = one_line(text)
    return line if len(line) <= _MOST_SAID else f"{line[:_MOST_SAID]} …"


def pause_for_interrupt(ran: Ran) -> None:
    """If a Ctrl-C ended git, give the handler of this process the time to run: then nobody takes it for trouble."""
    if ran.code == -signal.SIGINT:
        time.sleep(_INTERRUPT)


class Reader:
    """Answers with the kind and content of objects. `start` starts `git cat-file --batch`."""

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._start = start
        self.patience: Callable[[], float] | None = None  # seconds for an answer, where git may ask a remote for it
        self._process: subprocess.Popen[bytes] | None = None
        self._stdout: io.BufferedReader | None = None
        self._reading = threading.Lock()  # walks in several threads share it

    def close(self) -> None:
        if self._process is not None:
            self._end(self._process)

    def read(self, oids: Sequence[Oid]) -> list[tuple[str, bytes] | None]:
        """One answer for each of at most AT_ONCE ids; None: there is no such object. Unreachable if git cannot tell.

        If anything goes wrong, the process is ended: nobody may take what it still has to say for another answer.
        """
        with self._reading:
            return self._read(oids)

    def _read(self, oids: Sequence[Oid]) -> list[tuple[str, bytes] | None]:
        if self._process is None:
            self._process = self._start()
            assert self._process.stdout is not None
            if self.patience is not None:
                self._stdout = io.BufferedReader(Patient(self._process.stdout.fileno(), self.patience()), 1 << 16)
        process = self._process
        found: list[tuple[str, bytes] | None] = []
        try:
            found.extend(_answers(process, self._stdout or process.stdout, oids))
        except TimeoutError:
            kill(process)
            self._end(process)
            says = "its remote did not answer in time: check the network, POINTSMAN_REMOTE_TIMEOUT gives it more"
            raise Unreachable(f"git cannot read object {oids[len(found)]}: {says}") from None
        except _NoAnswer:
            ran = self._end(process)
            pause_for_interrupt(ran)
            why = "" if ran.killed else "the repository is damaged or its remote does not answer: "
            raise Unreachable(f"git cannot read object {oids[len(found)]}: {why}{ran.reason}") from None
        except BaseException:  # an interrupt
            process.kill()
            self._end(process)
            raise
        return found

    def _end(self, process: subprocess.Popen[bytes]) -> Ran:
        """End the process, whatever became of it."""
        self._process = self._stdout = None
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        with contextlib.suppress(OSError):  # if it is dead, nobody takes what is left to be sent
            process.stdin.close()
        process.stdout.close()
        err = last_words(process.stderr).decode(errors="replace")
        process.stderr.close()
        popen = getattr(process, "proc", process)  # GitPython's own `wait` raises for an exit code
        return Ran(popen.wait(), b"", err)


class _NoAnswer(Exception):
    """The process has ended, or it said something else."""


def _answers(
    process: subprocess.Popen[bytes], stdout: IO[bytes] | None, oids: Sequence[Oid]
) -> Iterator[tuple[str, bytes] | None]:
    assert process.stdin is not None
    assert stdout is not None
    with contextlib.suppress(BrokenPipeError):  # reading tells what is wrong
        process.stdin.write("".join(f"{oid}\n" for oid in oids).encode())
        process.stdin.flush()
    for oid in oids:
        yield _answer(oid, stdout)


def _answer(oid: Oid, stdout: IO[bytes]) -> tuple[str, bytes] | None:
    head = stdout.readline().split()
    if head == [oid.encode(), b"missing"]:
        return None
    if len(head) != 3 or head[0] != oid.encode():
        raise _NoAnswer
    content = stdout.read(int(head[2]))
    if len(content) != int(head[2]) or stdout.read(1) != b"\n":
        raise _NoAnswer
    return head[1].decode(), content
