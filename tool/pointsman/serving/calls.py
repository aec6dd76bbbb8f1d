"""Hooks: who is told, over HTTP or by a command, that something has happened. None of them can hold anything up.

Settings name where to call; what lets a call in comes from the environment and is never said.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any

from pointsman import __version__
from pointsman.errors import Problem, one_line

INVALIDATE_HEADERS = "POINTSMAN_INVALIDATE_HEADERS"
NOTIFY_HEADERS = "POINTSMAN_NOTIFY_HEADERS"
COMMAND_VARIABLES = "POINTSMAN_NOTIFY_"  # what a command may see of the environment, beside what any program needs
_ANY_PROGRAM = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
_TRIES = 3
_LONGEST = 5.0  # seconds for one answer, or for the command
_IN_ALL = 20.0  # seconds for all calls of one run
_PAUSE = 0.2  # seconds before a second try, then twice that
_SHOWN = 200  # characters of what a command says


class Calls:
    """The calls of one run, within one budget. Every call answers with what went wrong, "" if nothing did."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._ends = clock() + _IN_ALL

    def post(self, url: str, document: Mapping[str, Any], variable: str) -> str:
        """POST a document with the headers of an environment variable. 2xx is success; a redirect is not followed."""
        import httpx

        try:
            headers = {"User-Agent": f"pointsman/{__version__}", **read_headers(variable)}
        except Problem as problem:
            return str(problem)
        wrong = ""
        for again in range(_TRIES):
            left = self._ends - self._clock()
            if left <= 0:
                return wrong or "the time for calls of this run was used up"
            try:
                answer = httpx.post(url, json=document, headers=headers, timeout=min(_LONGEST, left))
            except httpx.HTTPError as error:
                wrong = one_line(str(error) or type(error).__name__)
            else:
                if answer.is_success:
                    return ""
                wrong = f"HTTP {answer.status_code}"
                if answer.status_code < 500 and answer.status_code not in (408, 429):
                    return wrong
            if again < _TRIES - 1:
                self._sleep(_PAUSE * 2**again)
        return wrong

    def run(self, command: str, document: Mapping[str, Any]) -> str:
        """Run a command, split as a shell would but without one, with a document on its stdin."""
        left = min(_LONGEST, self._ends - self._clock())
        if left <= 0:
            return "the time for calls of this run was used up"
        try:
            process = subprocess.Popen(
                shlex.split(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=_environment(),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return one_line(str(error))
        try:
            _, said = process.communicate(json.dumps(document).encode() + b"\n", left)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return f"it took more than {left:.0f} s and was killed"
        if process.returncode == 0:
            return ""
        return f"exit code {process.returncode}: {one_line(said.decode(errors='replace'))[:_SHOWN]}".rstrip(": ")


def read_headers(variable: str) -> dict[str, str]:
    """The headers in an environment variable, `Name: value` on a line each; Problem that does not say what it holds."""
    headers = {}
    for line in os.environ.get(variable, "").splitlines():
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9-]+", name.strip()) or not value.strip().isascii():
            raise Problem(f"{variable} has a line that is no header: write each as Name: value")
        headers[name.strip()] = value.strip()
    return headers


def _environment() -> dict[str, str]:
    """What a command sees: no credentials of ours."""
    return {
        name: value for name, value in os.environ.items() if name in _ANY_PROGRAM or name.startswith(COMMAND_VARIABLES)
    }
