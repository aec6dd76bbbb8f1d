"""Many targets in one command: each costs the same however many the others are. Calls are counted, not seconds."""

from __future__ import annotations

import cProfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType

import pytest
from shop import Shop, popularity

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
