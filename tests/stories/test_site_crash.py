"""A site whose run is killed before and after every step: its readers see whole pages, and running again mends it."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import world
from clocks import clock_at
from town import Town
from world import SHAPES, Verb, World

from pointsman.report.site import pages as pages_module
from pointsman.state.names import Target
from pointsman.store import file_tags
from pointsman.verbs import site
from pointsman.workspace import Workspace

TARGETS = [Target("grocer", name) for name in ("cart", "home")] + [Target("grocer-2", "home")]
STATE = ".pointsman-site.json"


def nothing(town: Town) -> None:
    """The first run."""


def a_ship_and_a_target_that_is_no_more(town: Town) -> None:
    town.build(town.out)
    town.ship(TARGETS[0])
    town.by_hand("grocer-2 has left", {TARGETS[2].manifest_path: None})
    town.sync()


def files(out: Path) -> dict[str, bytes]:
    """All that stands there, but for the state."""
    found = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name != STATE}


def state(out: Path) -> Any:
    """What the next run goes on from, but for its order, and for the tags of pointers, which are copied here."""
    found = json.loads((out / STATE).read_bytes())
    for (_, _, heard), row in found["rows"][5].values():
        found["rows"].append((heard, row))
    return {**found, "sum": "", "rows": sorted(map(str, found["rows"][6:]))}


def pages_hold_together(out: Path, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> None:
    """What a reader may rely on at any instant."""
    now = {name: data for name, data in files(out).items() if name.endswith(".html")}
    for name, data in now.items():
        assert data in (before.get(name), after.get(name)), f"{name} is neither the old page nor the new one"
    overviews = [name for name in now if "/" not in name and name != "audit.html"]
    for name in (*overviews, "audit.html") if "index.html" in now else ():
        for link in re.findall(rb'href="([a-z][^":]*\.html)"', now[name]):
            assert link.decode() in now, f"{name} leads to {link.decode()}, which is not there"
    if now.get("index.html") == after["index.html"] != before.get("index.html"):
        assert {name: now.get(name) for name in after} == after, "the overview is new, and not all of its pages are"


@pytest.mark.slow
@pytest.mark.parametrize("happened", [nothing, a_ship_and_a_target_that_is_no_more])
def test_killed_before_and_after_any_step_every_page_is_whole_and_running_again_makes_what_a_new_run_makes(
    tmp_path: Path, dice: random.Random, monkeypatch: pytest.MonkeyPatch, happened: Callable[[Town], None]
) -> None:
    monkeypatch.setattr(file_tags, "RACY", -(10**18))
    monkeypatch.setattr(pages_module, "_ONE_PAGE", 1)  # an overview of several pages
    town = Town(tmp_path / "town")
    town.ship(*TARGETS)
    town.sync()
    happened(town)
    before = files(town.out)
    shutil.copytree(town.root, tmp_path / "kept", symlinks=True)
    town.build(tmp_path / "fresh")
    after, left = files(tmp_path / "fresh"), state(tmp_path / "fresh")

    def stand_as_before() -> World:
        shutil.rmtree(town.root)
        shutil.copytree(tmp_path / "kept", town.root, symlinks=True)
        there = World(town.root, SHAPES[1])
        there.where = town.shop.desk
        return there

    verb: Verb = lambda repo: site.site(Workspace(repo, clock=clock_at(town.now)), str(town.out))  # noqa: E731
    undisturbed = world.record(stand_as_before(), verb)
    assert undisturbed.code == 0, undisturbed
    steps = (*undisturbed.steps, "the end")
    points = [place for place, step in enumerate(steps) if str(town.out) in step or step == "the end"]
    for place in dice.sample(points, world.how_many_points(8, len(points), 2)):
        ended = world.kill(stand_as_before(), verb, place, group=True)
        assert ended.signal == signal.SIGKILL, f"the run took another way to step {place}"
        try:
            pages_hold_together(town.out, before, after)
            town.build(town.out)
            assert files(town.out) == after
            assert state(town.out) == left
        except AssertionError as error:
            error.add_note(f"killed before step {place}, {steps[place]}")
            raise
