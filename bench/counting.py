"""How many processes a command starts and how many fsyncs it waits for, its children's too, as strace counts them."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_RAN = re.compile(r"^\d+ +execve\((?P<path>\"[^\"]*\"), \[(?P<words>.*?)\](?:\.\.\.)?, .*= 0$")
_SYNCED = re.compile(r"^\d+ +f(?:data)?sync\(.*(?:= 0|unfinished \.\.\.>)$")


@dataclass(frozen=True, slots=True)
class Counted:
    """Programs started, by their first words, and fsyncs."""

    programs: Counter[str]
    fsyncs: int

    @property
    def processes(self) -> int:
        return self.programs.total()


def can_count() -> bool:
    """Whether there is an strace that may trace."""
    return (
        shutil.which("strace") is not None
        and subprocess.run(["strace", "-qq", "-e", "trace=none", "true"], check=False, capture_output=True).returncode
        == 0
    )


def count(command: Sequence[str]) -> Counted:
    """Run a command once under strace. It ends with 0, or the bench does."""
    with tempfile.NamedTemporaryFile("r", errors="replace") as log:
        words = [
            "strace",
            "-f",
            "-qq",
            "-s",
            "64",
            "-e",
            "trace=execve,fsync,fdatasync",
            "-e",
            "signal=none",
            "-o",
            log.name,
        ]
        done = subprocess.run([*words, *command], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        lines = log.read().splitlines()
    ran = [found for line in lines if (found := _RAN.match(line))]
    return Counted(Counter(map(_program, ran)), sum(_SYNCED.match(line) is not None for line in lines))


def _program(ran: re.Match[str]) -> str:
    """The name of a program; with the verb, if it is git."""
    words = iter(re.findall(r'"((?:[^"\\]|\\.)*)"', ran["words"]))
    name = Path(next(words, "")).name
    if name != "git":
        return name
    for word in words:
        if word in ("-c", "-C"):
            next(words, None)
        elif not word.startswith("-"):
            return f"git {word}"
    return "git …"
