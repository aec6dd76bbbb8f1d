"""Killed before and after every step, and answers lost: serving is whole at any instant, and running again converges.

The steps are those of a recorded run, none is picked by hand. `world.watching` says what counts as one.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
import world
from world import HOME, SHAPES, VERBS, Ended, Templates, Verb, World

from pointsman.errors import Unreachable
from pointsman.repo.git import Git
from pointsman.repo.object_reader import Ran
from pointsman.repo.repository import Repository
from pointsman.store.directory import FileStore

CASES = world.shapes_and(VERBS, world.OFTEN)
# Sync changes nothing by git; attest lands what approve does, and rollback --ratify what rollback --now does.
KILLED_GIT = world.shapes_and(
    [name for name in VERBS if name not in ("sync", "attest", "rollback --ratify")],
    ("publish --merge", "rollback --now"),
)
Point = TypeVar("Point")


@pytest.fixture(scope="module")
def shelves(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Templates]:
    return {shape: Templates(tmp_path_factory.mktemp("shelf"), shape) for shape in SHAPES}


def some(dice: random.Random, points: Sequence[Point], everyday: int, part: int) -> Iterator[Point]:
    """A sample spread over all points, the first and the last of each stretch being as likely as any."""
    count = world.how_many_points(everyday, len(points), part)
    for stretch in range(count):
        low, high = len(points) * stretch // count, len(points) * (stretch + 1) // count
        yield points[dice.randrange(low, high)]


def run_again(there: World, verb: Verb, wanted: dict[str, Any]) -> None:
    """A new process finishes the job, and what it leaves is what an undisturbed run leaves."""
    ended = there.run(verb)
    if ".lock" in said(ended):
        assert ended.code in (3, 4)
        do_what_is_said(said(ended))
        ended = there.run(verb)
    assert ended.code == 0, ended
    there.check()
    assert there.digest() == wanted


def said(ended: Ended) -> str:
    told = [each for each in ended.document.get("targets", ()) if isinstance(each, dict)]
    return ended.sentence or " ".join(each.get("says", "") for each in told)


def do_what_is_said(sentence: str) -> None:
    """What a person does who reads that a killed git has left its locks."""
    found = re.fullmatch(
        r"(/\S+\.lock(?:, /\S+\.lock)*) (?:is|are) in the way: another git is running there, or one was killed; "
        r"if none is running, delete (?:that file|those files) and run the command again",
        sentence,
    )
    assert found, sentence
    for path in found[1].split(", "):
        Path(path).unlink()


@pytest.mark.parametrize("shape,name", CASES)
def test_killed_before_and_after_any_step_serving_is_whole_and_running_again_converges(
    shelves: dict[str, Templates], shape: str, name: str, dice: random.Random, request: pytest.FixtureRequest
) -> None:
    stage, verb = VERBS[name]
    there = shelves[shape].at(stage)
    before = there.serving()
    served = {before, there.main_files().get(HOME.manifest_path)} if name == "sync" else {before}
    undisturbed = world.record(there, verb)
    assert undisturbed.code == 0, undisturbed
    there.check()
    wanted = there.digest()
    steps = (*undisturbed.steps, "the end")
    request.node.user_properties.append(("steps", len(steps)))

    seen: set[bytes] = set()
    points = [(place, group) for place in range(len(steps)) for group in (False, True)]
    for place, group in some(dice, points, 1, 2):
        there = shelves[shape].at(stage)
        ended = world.kill(there, verb, place, group=group)
        assert ended.signal == signal.SIGKILL, f"the run took another way to step {place}"
        try:
            assert there.serving() in served
            state = there.fingerprint()
            if state not in seen:
                there.check()
                run_again(there, verb, wanted)
                assert there.serving() in served
            seen.add(state)
        except AssertionError as error:
            error.add_note(f"{shape}, {name}: killed {'with git ' if group else ''}before step {place}, {steps[place]}")
            raise
    request.node.user_properties.append(("states", len(seen)))


# the answer lost, the step done

MUTATING = {
    "update-ref",
    "push",
    "unpack-objects",
    "index-pack",
    "pack-objects",
    "commit-tree",
    "fetch",
    "read-tree",
    "config",
    "init",
}


def losing(verb: Verb, place: int | None, met: list[str]) -> Verb:
    """The verb, with the answer of its mutating call number `place` lost; every such call is listed in `met`."""

    def lost(call: str) -> bool:
        met.append(call)
        return len(met) - 1 == place

    def of_store(name: str) -> None:
        real = getattr(FileStore, name)

        def call(store: FileStore, key: str, *arguments: Any, **named: Any) -> Any:
            answer = real(store, key, *arguments, **named)
            if lost(f"{name} {key}"):
                raise Unreachable(f"cannot write {store.url}/{key}: the answer was lost")
            return answer

        setattr(FileStore, name, call)

    def run(git: Git, *words: str, **named: Any) -> Ran:
        ran = really_run(git, *words, **named)
        if words[0] in MUTATING and lost(" ".join(words)):
            return Ran(1, b"", "fatal: the answer was lost")
        return ran

    really_run = Git.run

    def perform(repo: Repository) -> Any:
        world.freeze_clocks()
        for name in ("create", "replace", "delete"):
            of_store(name)
        Git.run = run  # type: ignore[assignment,method-assign]
        return verb(repo)

    return perform


def listed(there: World, verb: Verb) -> Ended:
    def action() -> Ended:
        met: list[str] = []
        ended = world.perform(there.where, losing(verb, None, met))
        return Ended(ended.code, ended.document, ended.sentence, steps=tuple(met))

    return world.Child(action).wait()


@pytest.mark.slow
@pytest.mark.parametrize("shape,name", CASES)
def test_a_step_that_was_done_but_whose_answer_was_lost_is_done_once(
    shelves: dict[str, Templates], shape: str, name: str, dice: random.Random, request: pytest.FixtureRequest
) -> None:
    stage, verb = VERBS[name]
    there = shelves[shape].at(stage)
    undisturbed = listed(there, verb)
    assert undisturbed.code == 0, undisturbed
    assert undisturbed.steps
    request.node.user_properties.append(("calls", len(undisturbed.steps)))
    wanted = there.digest()
    for place in some(dice, range(len(undisturbed.steps)), 1, 2):
        there = shelves[shape].at(stage)
        ended = there.run(losing(verb, place, []))
        try:
            assert ended.code in (0, 2, 3, 4, 5), ended
            there.check()
            run_again(there, verb, wanted)
        except AssertionError as error:
            error.add_note(f"{shape}, {name}: the answer lost of {undisturbed.steps[place]}")
            raise


# git killed in the middle of its own work

DEADLY = "link,linkat,mkdir,mkdirat,rename,renameat,renameat2,rmdir,unlink,unlinkat"
SHIM = f"""#!/bin/sh
# Stands before git and counts its processes; the one whose turn it is dies before it makes $CALL for the $NTH time.
turn=$(wc -l <"$SHIM/turns")
echo "$*" >>"$SHIM/turns"
trace="{shutil.which("strace")} -f -qq -o $SHIM/calls.$turn -e trace={DEADLY}"
case "$TURN" in
    all) exec $trace --seccomp-bpf {shutil.which("git")} "$@" ;;
    "$turn") exec $trace -e inject=$CALL:signal=SIGKILL:when=$NTH {shutil.which("git")} "$@" ;;
    *) exec {shutil.which("git")} "$@" ;;
esac
"""


def shimmed(verb: Verb, directory: Path, turn: str, call: str = "", nth: int = 0) -> Verb:
    """The verb, with git's process number `turn` killed right before it makes a system call for the nth time."""

    def perform(repo: Repository) -> Any:
        world.freeze_clocks()
        (directory / "turns").write_text("")
        os.environ |= {"SHIM": str(directory), "TURN": turn, "CALL": call, "NTH": str(nth)}
        os.environ["PATH"] = f"{directory}:{os.environ['PATH']}"
        return verb(repo)

    return perform


@pytest.fixture
def shim(tmp_path: Path) -> Path:
    world.tracer()
    (tmp_path / "git").write_text(SHIM)
    (tmp_path / "git").chmod(0o755)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("shape,name", KILLED_GIT)
def test_when_git_is_killed_at_work_one_sentence_says_what_to_mend_and_running_again_converges(
    shelves: dict[str, Templates],
    shape: str,
    name: str,
    dice: random.Random,
    shim: Path,
    request: pytest.FixtureRequest,
) -> None:
    stage, verb = VERBS[name]
    there = shelves[shape].at(stage)
    assert there.run(shimmed(verb, shim, "all")).code == 0
    wanted = there.digest()
    points = []
    for turn, words in enumerate((shim / "turns").read_text().splitlines()):
        made = Counter(re.findall(r"(?m)^(\d+) +(\w+)\(", (shim / f"calls.{turn}").read_text()))
        most = {call: max(count for (_, each), count in made.items() if each == call) for _, call in made}
        points += [(turn, call, nth, words) for call, count in most.items() for nth in range(1, 1 + count)]
    request.node.user_properties.append(("calls of git", len(points)))
    for turn, call, nth, words in some(dice, points, 1, 10):
        there = shelves[shape].at(stage)
        before = there.serving()
        ended = there.run(shimmed(verb, shim, str(turn), call, nth))
        assert "killed by SIGKILL" in (shim / f"calls.{turn}").read_text()
        try:
            assert ended.code in (0, 1, 2, 3, 4, 5), ended
            assert there.serving() == before
            there.check()
            run_again(there, verb, wanted)
        except AssertionError as error:
            git = words.rpartition(" -c ")[2].partition(" ")[2]
            error.add_note(f"{shape}, {name}: killed before {call} number {nth} of git {git}")
            error.add_note(f"the run that was disturbed ended with {ended}")
            raise
