"""Calls of a URL or of a command, after something has happened. A call that is slow or fails stops nothing.

The settings say what to call. Credentials come from the environment and are never shown.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any

from pointsman import __version__
from pointsman.errors import Problem, one_line, without_secrets
from pointsman.patterns import pattern
from pointsman.progress import waiting
from pointsman.state.names import NAME
from pointsman.web import Line, Unfinished, trouble

INVALIDATE_HEADERS = "POINTSMAN_INVALIDATE_HEADERS"
NOTIFY_HEADERS = "POINTSMAN_NOTIFY_HEADERS"
COMMAND_VARIABLES = "POINTSMAN_NOTIFY_"  # prefix of the variables that a command gets, besides those below
_ANY_PROGRAM = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
_POST_TRIES = 3
_CALL_SECONDS = 5.0  # for one answer, or for the command
_RUN_SECONDS = 20.0  # for all calls of one run
_PAUSE_SECONDS = 0.2  # before the second try; twice that before the third
_MOST_OF_AN_ANSWER = 1 << 20  # bytes; nobody reads more than its first words
_POLL_SECONDS = 0.05
_CHUNK = 1 << 16  # bytes of the stderr of a command
_CHARACTERS_SHOWN = 200  # of the stderr of a command, or of the reason that a server gives
_SECRET_CHARACTERS = 6  # a word of a header with so many may be a credential
_HEADER = pattern(rf"(?:\[(?P<tenant>{NAME})\]\s*)?(?P<name>[A-Za-z0-9-]+)\s*:(?P<value>.*)")


class Calls:
    """The calls of one run, with one time limit for all. Each returns what went wrong, "" if nothing did.

    A server that gave no answer is not asked again in the same run. Several threads may use this at once.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._ends = clock() + _RUN_SECONDS
        self._silent: set[str] = set()  # scheme, host and port of servers that gave no answer

    def post(
        self, url: str, document: Mapping[str, Any], variable: str, tenant: str = "", kind: str = "application/json"
    ) -> str:
        """POST a document with the headers of an environment variable. Only 2xx is success: no redirect is followed.

        `tenant`: whom the call is about, for headers that depend on it. `kind`: what the document is.
        """
        import httpx

        try:
            own = {"User-Agent": f"pointsman/{__version__}", "Content-Type": kind}
            headers = {**own, **read_headers(variable, tenant)}
        except Problem as problem:
            return str(problem)
        server = "/".join(url.split("/")[:3])
        if server in self._silent:
            return "not tried: this server gave no answer to the call before"
        wrong, answered = "", False
        for again in range(_POST_TRIES):
            left = self._ends - self._clock()
            if left <= 0:
                return wrong or f"no time is left for this call: all calls of a run have {_RUN_SECONDS:.0f} s"
            seconds = min(_CALL_SECONDS, left)
            try:
                with httpx.Client(timeout=seconds) as client:
                    request = client.build_request("POST", url, json=document, headers=headers)
                    answer = Line(client).ask(request, seconds, _MOST_OF_AN_ANSWER)
            except (httpx.HTTPError, httpx.InvalidURL, Unfinished) as error:
                wrong = trouble(error, url)
            else:
                if answer.is_success:
                    return ""
                answered = True
                wrong = f"HTTP {answer.status_code}{reason(answer.content, headers)}"
                if answer.status_code < 500 and answer.status_code not in (408, 429):
                    return wrong
            if again < _POST_TRIES - 1:
                self._sleep(_PAUSE_SECONDS * 2**again)
        if not answered:
            self._silent.add(server)
        return wrong

    def run(self, command: str, document: Mapping[str, Any]) -> str:
        """Run a command with a document on its stdin. It is split as by a shell, but no shell runs."""
        left = min(_CALL_SECONDS, self._ends - self._clock())
        if left <= 0:
            return f"no time is left for this call: all calls of a run have {_RUN_SECONDS:.0f} s"
        try:
            words = shlex.split(command)
            process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=_environment(),
                start_new_session=True,
                bufsize=0,
            )
        except (OSError, ValueError) as error:
            return one_line(str(error))
        with waiting(f"{words[0]} has not ended", left):
            output = _talk(process, json.dumps(document).encode() + b"\n", self._clock() + left, self._clock)
        if output is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"it took more than {left:.0f} s and was killed"
        if process.returncode == 0:
            return ""
        says = one_line(" ".join(output.decode(errors="replace").split()))[:_CHARACTERS_SHOWN]
        return f"exit code {process.returncode}: {says}".rstrip(": ")


def answers(url: str) -> str:
    """Why a server gives no answer; "" if it gives one, whatever it says. Only headers are asked for, of its root.

    No credential is sent, so a server that wants one answers, too.
    """
    import httpx

    root = "/".join(url.split("/")[:3])
    try:
        with httpx.Client(timeout=_CALL_SECONDS) as client:
            Line(client).ask(client.build_request("HEAD", f"{root}/"), _CALL_SECONDS, _MOST_OF_AN_ANSWER)
    except (httpx.HTTPError, httpx.InvalidURL, Unfinished) as error:
        return trouble(error, root)
    return ""


def _talk(process: subprocess.Popen[bytes], given: bytes, until: float, clock: Callable[[], float]) -> bytes | None:
    """Give a process its stdin and wait for its end; the first bytes of its stderr. None if it takes too long.

    What it starts may live on and keep its pipes open, and it may write without end: neither is waited for.
    """
    assert process.stdin is not None
    assert process.stderr is not None
    kept = bytearray()
    with process.stdin as to, process.stderr as out:
        for pipe in (to, out):
            os.set_blocking(pipe.fileno(), False)
        reads, writes = [out], [to]
        while True:
            ended = process.poll() is not None
            if not ended and clock() > until:
                return None
            readable, writable, _ = select.select(reads, writes, [], 0 if ended else _POLL_SECONDS)
            if readable:
                piece = out.read(_CHUNK)
                kept += (piece or b"")[: _CHUNK - len(kept)]
                if not piece:
                    reads = []
            if writable:
                try:
                    given = given[os.write(to.fileno(), given) :]
                except BrokenPipeError:
                    given = b""
                if not given:
                    to.close()
                    writes = []
            if ended and (not readable or len(kept) == _CHUNK):
                return bytes(kept)
            if not ended and not reads and not writes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(until - clock(), 0))


def read_headers(variable: str, tenant: str = "") -> dict[str, str]:
    """The headers in an environment variable, one `Name: value` a line. A Problem does not show the value.

    `{tenant}` in a value becomes the tenant. A line that begins with `[<tenant>]` is for that tenant alone.
    """
    headers = {}
    for line in os.environ.get(variable, "").splitlines():
        if not line.strip():
            continue
        found = _HEADER.fullmatch(line.strip())
        if found is None or not found["value"].strip().isascii():
            raise Problem(f"{variable} has a line that is not a header: write each line as Name: value")
        if found["tenant"] in (None, tenant):
            headers[found["name"]] = found["value"].strip().replace("{tenant}", tenant)
    return headers


def reason(answer: bytes, headers: Mapping[str, str]) -> str:
    """What a server says of a refusal, as `: <detail>`: the detail of RFC 9457, or the error of Prometheus, if it is
    that, else its first words.

    A server may send back what it got: words of the headers of the request are not shown.
    """
    text = answer[: 64 * _CHARACTERS_SHOWN].decode(errors="replace")
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(text)
        says = [document.get(name) for name in ("detail", "code", "error")] if isinstance(document, dict) else []
        text = ", ".join(each for each in says if isinstance(each, str) and each) or text
    for secret in (word for value in headers.values() for word in value.split() if len(word) >= _SECRET_CHARACTERS):
        text = text.replace(secret, "***")
    shown = one_line(without_secrets(" ".join(text.split()))[:_CHARACTERS_SHOWN])
    return f": {shown}" if shown else ""


def _environment() -> dict[str, str]:
    """The environment of a command, without Pointsman's credentials."""
    return {
        name: value for name, value in os.environ.items() if name in _ANY_PROGRAM or name.startswith(COMMAND_VARIABLES)
    }
