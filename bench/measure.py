"""Whole processes, timed from outside in turn (A B A B …), and what their figures are held against."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True)
class Run:
    """One process from its start to its end. Its peak is the larger of its own and of its largest child's."""

    seconds: float
    cpu: float  # seconds of processor time, its children's too
    peak: int  # bytes


@dataclass(slots=True)
class Job:
    """A command that is run again and again; `ready` puts back what a run has changed and is not timed."""

    name: str
    command: Sequence[str]
    ready: Callable[[], None] = lambda: None
    every: int = 1  # runs in each n-th round only
    exit_code: int = 0
    runs: dict[int, Run] = field(default_factory=dict)  # by round

    def seconds(self) -> float:
        return median(run.seconds for run in self.runs.values())

    def peak(self) -> float:
        return median(run.peak for run in self.runs.values())


def run(job: Job) -> Run:
    """Run a job once; a wrong exit code ends the whole bench with what the command said."""
    job.ready()
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        process = subprocess.Popen(job.command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != job.exit_code:
            said.seek(0)
            text = said.read().decode(errors="replace")
            raise SystemExit(f"{job.name}: exit code {process.returncode}\n{' '.join(job.command)}\n{text}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def interleave(jobs: Sequence[Job], rounds: int) -> None:
    """Every job in turn, round after round, after one round that is not counted (it fills the caches)."""
    for number in range(-1, rounds):
        for job in jobs:
            if number < 0 or number % job.every == 0:
                result = run(job)
                if number >= 0:
                    job.runs[number] = result


def pairwise(one: Job, other: Job, *, less_one: float = 0.0) -> float:
    """The median of the ratios of runs of the same round, the first less a fixed cost."""
    both = one.runs.keys() & other.runs.keys()
    return median((one.runs[number].seconds - less_one) / other.runs[number].seconds for number in both)


def beyond(job: Job, fixed: Job, *, cpu: bool = False) -> float:
    """Seconds that a job takes beyond its fixed cost: the median of the differences within a round."""
    both = job.runs.keys() & fixed.runs.keys()
    if cpu:
        return median(job.runs[number].cpu - fixed.runs[number].cpu for number in both)
    return median(job.runs[number].seconds - fixed.runs[number].seconds for number in both)


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: a figure and, where it is judged, the most it may be."""

    group: str
    name: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def ok(self) -> bool:
        return self.limit is None or self.value <= self.limit


def table(figures: Sequence[Figure]) -> str:
    """Rows under the title of their group, the limit beside each figure."""
    lines, group = [], ""
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        if figure.group != group:
            group = figure.group
            lines += ["", group]
        shown = f"{figure.value:9.1f} {figure.unit}" if figure.unit == "ms" else f"{figure.value:9.2f} {figure.unit}"
        verdict = "" if figure.limit is None else f"limit {figure.limit:5.2f}  {'ok' if figure.ok else 'BROKEN'}"
        lines.append(f"  {figure.name:<{width}} {shown:<28} {verdict}".rstrip())
    return "\n".join(lines[1:])
