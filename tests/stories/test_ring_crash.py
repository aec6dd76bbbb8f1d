"""What goes over three rings and is killed at any step: each ring serves what it may, and running again finishes."""

from __future__ import annotations

import json
import random
import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import world
from broken_glass import SETTINGS, manifests
from rings import HOUR, START, RingShop, rings_of
from shop import GROCER, git, popularity
from signers import key_of, signer
from world import Verb, World

from pointsman.serving.claims import claim_key
from pointsman.serving.given import GIVING, read_given
from pointsman.state.claim import NAMESPACE
from pointsman.state.ring import given_key
from pointsman.verbs import break_glass, status, sync
from pointsman.workspace import Workspace

RINGS = ("canary", "early", "prod")
POINTS = 12  # of one case, if nobody says how many


def at(seconds: int, **orders: Any) -> Verb:
    """A sync by a clock that says so."""
    clock = datetime.fromtimestamp(seconds, UTC)
    return lambda repo: sync.sync(Workspace(repo, clock=lambda: clock), sync.Orders(**orders))


def looking(repo: Any) -> Any:
    return status.status(Workspace(repo, clock=lambda: datetime.fromtimestamp(START + HOUR, UTC)), [GROCER])


class Rings(World):
    """A shop with three rings as what `world` kills in."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, world.SHAPES[1])
        self.where = root / "desk"

    def served(self, ring: str) -> bytes | None:
        path = self.root / ring / str(GROCER) / "manifest.json"
        return path.read_bytes() if path.exists() else None

    def given(self, ring: str) -> dict[str, int]:
        path = self.root / ring / given_key(ring, GROCER)
        return {str(each): at for each, at in read_given(path.read_bytes()).items()} if path.exists() else {}


def made(root: Path, case: str) -> tuple[bytes, bytes]:
    """A shop at `root` before the pass that is killed; the manifest that its rings have, and the one to come."""
    shop = RingShop(root, rings=dict.fromkeys(RINGS, ""))
    shop.publish(popularity(root / "p1.json", 10), merge=True)
    shop.pass_over()
    first = shop.manifest
    shop.publish(popularity(root / "p2.json", 11), merge=True)
    second = shop.manifest
    if case == "revert":
        shop.pass_over()
        shop.pull()
        git(shop.desk, "revert", "--no-edit", "HEAD")
        git(shop.desk, "push", "-q", "origin", "HEAD:main")
        return second, first
    if case == "prune":
        shop.set_rings(rings_of(root, early="", prod=""))
    return first, second


@pytest.mark.slow
@pytest.mark.parametrize("case", ["ship", "revert", "prune"])
def test_a_pass_over_three_rings_that_is_killed_at_any_step_converges(
    tmp_path: Path, dice: random.Random, case: str
) -> None:
    root, kept = tmp_path / "now", tmp_path / "kept"
    old, new = made(root, case)
    shutil.copytree(root, kept, symlinks=True)
    there, verb, later = Rings(root), at(START, prune=case == "prune"), START + 60
    undisturbed = world.record(there, verb)
    assert undisturbed.code == 0, undisturbed
    main = git(root / "origin.git", "rev-parse", "main")
    ship = git(root / "origin.git", "rev-list", "-1", "main", "--", GROCER.manifest_path)
    rings = RINGS if case != "prune" else RINGS[1:]
    assert [there.served(ring) for ring in rings] == [new] * len(rings)
    steps = (*undisturbed.steps, "the end")
    count = world.how_many_points(POINTS, len(steps), 2)
    seen: set[bytes] = set()
    for number in range(count):
        place = dice.randrange(len(steps) * number // count, len(steps) * (number + 1) // count)
        shutil.rmtree(root)
        shutil.copytree(kept, root, symlinks=True)
        assert world.kill(there, verb, place, group=True).signal == signal.SIGKILL
        if (state := there.fingerprint()) in seen:
            continue
        seen.add(state)
        try:
            before = {ring: there.given(ring).get(ship) for ring in RINGS}
            had = {ring: there.served(ring) for ring in RINGS}
            for ring in rings:
                assert had[ring] in (old, new)
                assert before[ring] is None or had[ring] == new, "it says that it was given what nobody was served"
            converges(there, later, case, new)
            for ring in rings:
                # What was written down stands. What was not counts from the next pass, never from before it was served.
                assert there.given(ring)[ship] == (before[ring] or later), ring
            (target,) = there.run(looking).document["targets"]
            assert [each["given_at"] is None for each in target["rings"]] == [False] * len(rings)
            fences = [json.loads((root / ring / ".pointsman/sync.json").read_text()) for ring in rings]
            assert {each["commit"] for each in fences} == {main}
        except AssertionError as error:
            error.add_note(f"{case}: killed before step {place}, {steps[place]}")
            raise
    assert len(seen) > 1


def converges(there: Rings, later: int, case: str, new: bytes) -> None:
    """The next pass ends with what an undisturbed one leaves, and the one after it finds nothing to do."""
    again = there.run(at(later, prune=case == "prune"))
    assert again.code == 0, again
    third = there.run(at(later + 60, prune=case == "prune"))
    assert [each["outcome"] for each in third.document["targets"]] == ["unchanged"]
    for ring in RINGS:
        assert not (there.root / ring / GIVING).exists()
        if case == "prune" and ring == "canary":
            left = {path.name for path in (there.root / ring).rglob("*") if path.is_file()}
            assert left <= {"lock"}
        else:
            assert there.served(ring) == new


# break-glass


def breaking(repo: Any) -> Any:
    """By a clock at which the claim of an earlier try is open still."""
    request = break_glass.Request(GROCER, "broken", key=str(key_of("ann")))
    clock = datetime.fromtimestamp(START + 3 * HOUR, UTC)
    return break_glass.break_glass(Path(repo.worktree), request, lambda _: None, clock=lambda: clock)


def glass(root: Path) -> list[bytes]:
    """Three ships, newest first; the newest is in the first two rings, and due in the last in an hour."""
    shop = RingShop(root, SETTINGS, dict.fromkeys(RINGS[:2], "") | {"prod": 'after = "2h"'})
    (shop.desk / "allowed_signers").write_text(signer("ann", options=f'namespaces="{NAMESPACE}"'))
    shop.push("signers")
    for number in (1, 2, 3):
        shop.publish(popularity(root / f"p{number}.json", 10 + number, day=number), merge=True)
        shop.pass_over(later=HOUR)
        shop.pass_over(later=HOUR if number < 3 else 0)
    return manifests(shop)


@pytest.mark.slow
@pytest.mark.parametrize("synced", [False, True])
def test_the_glass_that_is_broken_in_three_rings_and_killed_at_any_step_is_finished_by_running_again(
    tmp_path: Path, dice: random.Random, synced: bool
) -> None:
    key_of("ann")  # the children that are killed make none
    root, kept = tmp_path / "now", tmp_path / "kept"
    bad, good, _ = glass(root)
    shutil.copytree(root, kept, symlinks=True)
    there = Rings(root)
    assert [there.served(ring) for ring in RINGS] == [bad, bad, good]
    undisturbed = world.record(there, breaking)
    assert undisturbed.code == 0, undisturbed
    steps = (*undisturbed.steps, "the end")
    count = world.how_many_points(POINTS, len(steps), 2)
    seen: set[bytes] = set()
    for number in range(count):
        place = dice.randrange(len(steps) * number // count, len(steps) * (number + 1) // count)
        shutil.rmtree(root)
        shutil.copytree(kept, root, symlinks=True)
        assert world.kill(there, breaking, place, group=True).signal == signal.SIGKILL
        if (state := there.fingerprint()) in seen:
            continue
        seen.add(state)
        try:
            had = [there.served(ring) for ring in RINGS]
            claimed = [(root / ring / claim_key(GROCER)).exists() for ring in RINGS]
            assert had[2] == good
            for served, claim in zip(had[:2], claimed, strict=False):
                assert served == bad or (served == good and claim), "a pointer before its claim"
            assert claimed == sorted(claimed, reverse=True), "a later ring is claimed before an earlier one"
            if synced:  # a pass in between goes no way forward, and brings the last ring nothing before its time
                there.run(at(START + 3 * HOUR + 1))
                assert [there.served(ring) for ring in RINGS] == had
            assert there.run(breaking).code == 0
            assert [there.served(ring) for ring in RINGS] == [good] * 3
            assert all((root / ring / claim_key(GROCER)).exists() for ring in RINGS)
            ended = there.run(at(START + 9 * HOUR))
            assert [each["outcome"] for each in ended.document["targets"]] == ["claimed"]
            assert [there.served(ring) for ring in RINGS] == [good] * 3
        except AssertionError as error:
            error.add_note(f"killed before step {place}, {steps[place]}")
            raise
    assert len(seen) > 3
