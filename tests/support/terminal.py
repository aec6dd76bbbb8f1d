"""A program on a terminal of its own, typed at and read as a person does."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PATIENCE = 60.0  # seconds, for a machine under load
_READ = "0" if os.uname().machine == "x86_64" else "63"  # Linux's number of read(), here and on every newer machine


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, command: Sequence[str], where: Path, environment: Mapping[str, str]) -> None:
        self.pid, self.fd = pty.fork()
        if not self.pid:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever started the tests may have had it ignored
            os.chdir(where)
            os.execvpe(command[0], [*command], dict(environment))  # noqa: S606
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def answer(self, keys: str) -> None:
        """Type once the program waits for it. It fails if the program does not come to read.

        Python shows a prompt first and reads then. A Ctrl-C in between is only noted, and heeded after the next key.
        """
        waits, ends = Path(f"/proc/{self.pid}/syscall"), time.monotonic() + PATIENCE
        while waits.exists() and waits.read_text().split()[:2] != [_READ, "0x0"]:  # read() of stdin
            assert time.monotonic() < ends, f"it does not read after {self.seen!r}"
            os.sched_yield()
        self.type(keys)

    def until(self, pattern: str) -> str:
        """What it showed since the last time, up to this. It fails if that does not come."""
        ends = time.monotonic() + PATIENCE
        while (found := re.search(pattern, self.seen)) is None:
            ready, _, _ = select.select([self.fd], [], [], max(ends - time.monotonic(), 0))
            assert ready, f"{pattern!r} did not come after {self.seen!r}"
            self.seen += os.read(self.fd, 4096).decode(errors="replace")
        shown, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return shown

    def ends(self) -> int:
        """Its exit code, once it has shown all it has to show. It fails, and ends it, if that takes too long."""
        ends = time.monotonic() + PATIENCE
        while select.select([self.fd], [], [], max(ends - time.monotonic(), 0))[0]:
            try:
                data = os.read(self.fd, 4096)
            except OSError:  # Linux says so where nobody holds the other side any more
                break
            if not data:
                break
            self.seen += data.decode(errors="replace")
        else:
            os.kill(self.pid, signal.SIGKILL)
            self.seen += " (it did not end)"
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)
