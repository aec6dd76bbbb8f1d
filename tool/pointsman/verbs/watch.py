"""Watching: looking or syncing again and again, until serving follows main or until told to stop."""

from __future__ import annotations

import contextlib
import itertools
import random
import signal
import threading
import time
from collections.abc import Callable, Collection, Generator, Sequence
from functools import partial
from typing import Protocol, TypeVar

from msgspec.structs import replace

from pointsman.errors import Bug, MovedFirst, Problem, Unreachable
from pointsman.outcome import Outcome
from pointsman.progress import LONG, waits
from pointsman.report.status import having
from pointsman.report.target_state import Status, TargetState
from pointsman.serving.outcomes import Synced
from pointsman.serving.pointers import Remembered
from pointsman.serving.seen import Seen
from pointsman.state.names import Pattern, Target
from pointsman.verbs.rollout import Request, RolledOut, rollout
from pointsman.verbs.status import status
from pointsman.verbs.sync import Orders, sync
from pointsman.workspace import Workspace

EVERY = 5.0  # seconds between two looks
VERIFY_EVERY = 600.0  # seconds between two passes that read every pointer, changed or not
_JITTER = 0.1  # of the time between two passes
_REMEMBER = 100  # looks, for which what was read of history is kept
_Found = TypeVar("_Found")
_Value_contra = TypeVar("_Value_contra", contravariant=True)
_FIRST = 0.25  # seconds: the pause after the first look, doubled up to EVERY


@contextlib.contextmanager
def stopped() -> Generator[threading.Event]:
    """An event that SIGTERM and SIGINT set: what is at work ends in its own time.

    A signal that was ignored from the start stays so: a shell does that to SIGINT for what it runs in the background.
    """
    event = threading.Event()
    heard = (each for each in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(each) is not signal.SIG_IGN)
    before = {each: signal.signal(each, lambda *_: event.set()) for each in heard}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def wait(
    workspace: Workspace,
    named: Sequence[Target | Pattern],
    seconds: float,
    *,
    fail_on: Collection[str] = (),
    instances: int | None = None,
    pause: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome[Status]:
    """The state of the targets as soon as serving has all that main has; exit 4 if it has not after so many seconds.

    `instances`: also until so many instances have it, and none has another.

    Exit 3 if by then nobody can tell. A store or an origin that does not answer is asked again until then.
    """
    began, rest, told = clock(), _FIRST, False
    deadline = began + seconds
    while True:
        trouble: Unreachable | None = None
        outcome = None
        try:
            outcome = status(workspace.again(), named, fail_on=fail_on)
            lacking = [each for each in outcome.value.targets if _lacks(each) or _too_few(each, instances)]
            if not lacking:
                return outcome
        except Unreachable as error:
            trouble = error
        left = deadline - clock()
        if left <= 0:
            if outcome is None:
                assert trouble is not None
                raise trouble
            states = ", ".join(f"{each.target} ({_standing(each, instances)})" for each in lacking)
            code = 3 if any(each.serving == "unknown" for each in lacking) else MovedFirst.exit_code
            says = f"after {seconds:g} s serving does not have what main has: {states}"
            return replace(outcome, exit_code=code, notes=(*outcome.notes, says))
        if not told and clock() > began + LONG:
            waits("serving does not have what main has", left)
            told = True
        pause(min(rest, left))
        rest = min(2 * rest, EVERY)


def _lacks(each: TargetState) -> bool:
    """Whether serving has something else than main; what is kept without a manifest on main does not count."""
    return bool(each.serving != "in-sync" and (each.current or each.serving in ("drifted", "unknown")))


def _too_few(each: TargetState, instances: int | None) -> bool:
    """Whether fewer instances than asked have main's manifest, or some have another."""
    if instances is None or not each.current:
        return False
    return each.instances is None or each.instances.current < instances or each.instances.behind > 0


def _standing(each: TargetState, instances: int | None) -> str:
    if instances is None or each.instances is None:
        return f"{each.serving}{', no instance was seen' if instances is not None else ''}"
    return f"{each.serving}, {having(each.instances)}"


class Passes(Protocol[_Value_contra]):
    """Who is told of each pass of a command that watches."""

    def done(self, outcome: Outcome[_Value_contra]) -> None: ...

    def failed(self, problem: Problem) -> None: ...


def keep_syncing(
    workspace: Workspace,
    orders: Orders,
    every: float,
    passes: Passes[Synced],
    stop: threading.Event,
    jitter: Callable[[float, float], float] = random.uniform,
    verify_every: float = VERIFY_EVERY,
) -> None:
    """Sync every so many seconds, a tenth more or less, until `stop` is set: several of these soon are out of step.

    A pass that has nothing to do reads one listing and the heads of the origin; every `verify_every` seconds all. Of
    several places it lists one, the next pass the next one.

    Whatever goes wrong is told and tried again at the next pass: a store that is away, a main that was rewritten.
    """
    seen = Seen(verify_every)
    for count in itertools.count(1):
        look = partial(sync, orders=replace(orders, stopped=stop.is_set), seen=seen)
        trouble = _attempt(workspace, stop, look, passes.done)
        if trouble is not None:
            passes.failed(trouble)
        if stop.wait(every * jitter(1 - _JITTER, 1 + _JITTER)):
            return
        if count % _REMEMBER == 0:
            workspace.repo.forget()


def keep_rolling_out(
    workspace: Workspace,
    request: Request,
    every: float,
    passes: Passes[RolledOut],
    stop: threading.Event,
    jitter: Callable[[float, float], float] = random.uniform,
) -> None:
    """Look at the rings every so many seconds, a tenth more or less, until `stop` is set.

    Problem if the first look shows that the question is wrong. Else what goes wrong is told and tried again.
    """
    for count in itertools.count(1):
        trouble = _attempt(workspace, stop, partial(rollout, request=request), passes.done)
        if trouble is not None and count == 1 and trouble.exit_code == Problem.exit_code:
            raise trouble
        if trouble is not None:
            passes.failed(trouble)
        if stop.wait(every * jitter(1 - _JITTER, 1 + _JITTER)):
            return
        if count % _REMEMBER == 0:
            workspace.repo.forget()


def watch(
    workspace: Workspace,
    named: Sequence[Target | Pattern],
    seen: Callable[[Status], None],
    missed: Callable[[str], None],
    stop: threading.Event,
    *,
    every: float = EVERY,
) -> None:
    """Look every so many seconds until `stop` is set. `seen` gets what each look found, `missed` why there is none.

    Problem if the first look shows that the question is wrong: a target that nobody knows, settings that say nothing.
    A pointer whose tag is as it was is not read again, except at every hundredth look.
    """
    remembered = Remembered()
    for count in itertools.count(1):
        look = partial(_status, named=named, remembered=remembered)
        trouble = _attempt(workspace, stop, look, seen)
        if trouble is not None and count == 1 and trouble.exit_code == Problem.exit_code:
            raise trouble
        if trouble is not None:
            missed(str(trouble))
        if stop.wait(every):
            return
        if count % _REMEMBER == 0:
            workspace.repo.forget()
            remembered = Remembered()


def _status(workspace: Workspace, *, named: Sequence[Target | Pattern], remembered: Remembered) -> Status:
    return status(workspace, named, remembered=remembered).value


def _attempt(
    workspace: Workspace, stop: threading.Event, look: Callable[[Workspace], _Found], tell: Callable[[_Found], None]
) -> Problem | None:
    """Look once and tell what was found, or return what went wrong. OSError only if nobody can be told.

    Nothing went wrong if `stop` is set: a Ctrl-C in a terminal ends git, too, and what was asked of it fails. Notes
    about that are not told either.
    """
    looked = False
    try:
        found = look(workspace.again())
        looked = True
        tell(found)
    except Problem as problem:
        return None if stop.is_set() else problem
    except Exception as error:
        if looked and isinstance(error, OSError):
            raise
        return None if stop.is_set() else Bug.of(error, "this pass failed by a bug")
    finally:
        if stop.is_set():
            workspace.repo.notes.clear()
    return None
