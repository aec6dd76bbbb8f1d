"""Many targets in one command: each costs the same however many the others are. Calls are counted, not seconds."""

from __future__ import annotations

import cProfile
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from shop import Shop, git, popularity

from pointsman.repo.git import Git
from pointsman.state.names import Target
from pointsman.verbs import audit, rollback, status
from pointsman.workspace import Workspace

FEW = 25  # targets
ELSEWHERE = 120  # calls that may come on top: from some number on, history is read for all targets at once

pytestmark = pytest.mark.slow  # a profile of whole commands

Calls = Mapping[str, int]


def calls_of(run: Callable[[], object]) -> Calls:
    """How often each function of the tool was called, generators and comparisons included."""
    profile = cProfile.Profile()
    profile.runcall(run)
    counted: Counter[str] = Counter()
    for entry in profile.getstats():  # unlike pstats, it tells the comparisons of one dataclass from those of another
        code = entry.code
        if isinstance(code, CodeType) and code.co_name != "__lt__":  # sorting takes more than linear
            file = Path(code.co_filename)
            if "pointsman" in file.parts or file.name == "<string>":
                counted[f"{file.name}:{code.co_name}"] += entry.callcount
    return counted


def story(root: Path, count: int) -> dict[str, Calls]:
    """What publishing, serving, seeing, auditing and rolling back `count` targets at once calls."""
    shop = Shop(root, '[forge]\ngroup = "run"\n')
    targets = [Target(f"shop-{place // 5}", f"surface-{place % 5}") for place in range(count)]

    def publish(day: int) -> None:
        files = [
            popularity(root / f"{day}" / f"{place}.json", 3, tenant=each.tenant, surface=each.surface, day=day)
            for place, each in enumerate(targets)
        ]
        done = shop.publish(*files, merge=True, run="https://ci.example/1")
        assert {each["outcome"] for each in done.document["targets"]} == {"merged"}

    def looked(verb: Callable[[Workspace], object]) -> Callable[[], object]:
        def look() -> object:
            with shop.open() as repo:
                return verb(Workspace(repo))

        return look

    publish(1)
    return {
        "publish": calls_of(lambda: publish(2)),
        "sync": calls_of(shop.sync),
        "status": calls_of(looked(lambda workspace: status.status(workspace, ()))),
        "audit": calls_of(looked(audit.audit)),
        "check": calls_of(lambda: shop.check(head="origin/main")),
        "rollback": calls_of(
            looked(
                lambda workspace: rollback.roll_back(
                    workspace, rollback.Request(tuple(targets), now=True, reason="bad")
                )
            )
        ),
    }


def test_twice_the_targets_take_no_more_than_twice_the_calls(tmp_path: Path) -> None:
    few, many = story(tmp_path / "few", FEW), story(tmp_path / "many", 2 * FEW)
    steep = [
        f"{command} {name}: {few[command].get(name, 0)} calls for {FEW} targets, {calls} for {2 * FEW}"
        for command, counted in many.items()
        for name, calls in counted.items()
        if calls > 2.2 * few[command].get(name, 0) + ELSEWHERE
    ]
    assert steep == []


def in_a_fresh_clone(root: Path, nights: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many commits git tells of the past of one target to whoever just cloned, after so many nights."""
    shop = Shop(root)
    told: list[str] = []

    def counted(read: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def counting(*words: Any, **more: Any) -> Iterator[Any]:
            for commit in read(*words, **more):
                told.append(read.__name__)
                yield commit

        return counting

    def day(night: int) -> Path:
        return popularity(root / f"{night}.json", 3, day=night)

    def commits(verb: Callable[[Path], object]) -> int:
        clone = root / "clone"
        git(root, "clone", "-q", str(shop.origin), str(clone))
        told.clear()
        with monkeypatch.context() as patched:
            for read in (Git.first_parents, Git.chain):
                patched.setattr(Git, read.__name__, counted(read))
            verb(clone)
        shutil.rmtree(clone)
        return len(told)

    for night in range(1, nights + 1):
        shop.publish(day(night), merge=True)
    rollback_branch = ("for-each-ref", "--format=%(refname)", "refs/remotes/origin/rollback")
    return {
        "rollback": commits(lambda clone: shop.roll_back(where=clone, reason="bad")),
        "check": commits(lambda clone: shop.check("origin/main", git(clone, *rollback_branch), where=clone)),
        "publish": commits(lambda clone: shop.publish(day(nights + 1), where=clone)),
        "publish --merge": commits(lambda clone: shop.publish(day(nights + 2), where=clone, merge=True)),
        "rollback --now": commits(lambda clone: shop.roll_back(where=clone, reason="bad", now=True)),
    }


def test_in_a_fresh_clone_the_past_is_read_only_as_far_as_the_answer_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = (in_a_fresh_clone(tmp_path / f"{nights}", nights, monkeypatch) for nights in (5, 10))
    assert min(few.values()) > 0
    assert many == few
