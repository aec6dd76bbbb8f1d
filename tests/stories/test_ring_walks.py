"""Random walks with three rings: ships, reverts, rollbacks, clocks that jump, rings away, syncs that are killed.

What is held against each pointer that changes is told from the outside: which bytes main had when and by what, which
ring was seen with them when. Nothing here asks the tool what is due.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest
from rings import HOUR, RingShop
from shop import GROCER, git, popularity

from pointsman.errors import Problem
from pointsman.store.directory import FileStore

STEPS = 24
AFTER = {"canary": 0, "early": HOUR, "prod": 2 * HOUR}
BEFORE = {"early": "canary", "prod": "early"}


class Killed(BaseException):
    """The process ended here."""


@dataclass
class Walk:
    """A shop, and what was seen of it. `main`: (bytes, whether a restore brought them), oldest first."""

    shop: RingShop
    dice: random.Random
    main: list[tuple[bytes, bool]] = field(default_factory=list)
    has: dict[str, bytes | None] = field(default_factory=dict)
    seen: dict[str, dict[bytes, int]] = field(default_factory=lambda: {ring: {} for ring in AFTER})
    touched: set[str] = field(default_factory=set)  # rings whose pointer somebody wrote by hand
    away: set[str] = field(default_factory=set)
    steps: list[str] = field(default_factory=list)
    moved: dict[str, int] = field(default_factory=lambda: dict.fromkeys(AFTER, 0))
    items: int = 9

    # what somebody does

    def ship(self) -> None:
        self.items += 1
        self.shop.publish(popularity(self.shop.root / f"p{self.items}.json", self.items), merge=True)
        self.main.append((self.shop.manifest, False))

    def revert(self) -> None:
        if len(self.main) < 2 or self.main[-1][1]:
            return
        self.shop.pull()
        git(self.shop.desk, "revert", "--no-edit", "HEAD")
        git(self.shop.desk, "push", "-q", "origin", "HEAD:main")
        self.main.append((self.shop.manifest, True))

    def roll_back(self) -> None:
        before = self.shop.manifest
        try:
            self.shop.roll_back(now=True, reason="a bad day")
        except Problem:
            return  # there is nothing to go back to
        if self.shop.manifest != before:
            self.main.append((self.shop.manifest, True))

    def write_by_hand(self) -> None:
        ring = self.dice.choice(list(AFTER))
        if ring not in self.away and self.has.get(ring) is not None:
            self.touched.add(ring)
            path = self.pointer(ring)
            if self.dice.random() < 0.5:
                path.unlink()
            else:
                path.write_text('{"v": 1}')

    def lose_or_find(self) -> None:
        ring = self.dice.choice(list(AFTER))
        there, gone = self.shop.root / ring, self.shop.root / f"{ring}.away"
        if ring in self.away:
            there.unlink()
            os.rename(gone, there)
            self.away.remove(ring)
        elif there.exists():
            os.rename(there, gone)
            there.symlink_to(there)
            self.away.add(ring)

    def wait(self) -> None:
        self.shop.now += self.dice.choice([60, 1800, HOUR, 2 * HOUR, 3 * HOUR, -600, -HOUR])

    def sync(self) -> None:
        try:
            self.shop.pass_over()
        except Problem:
            assert self.away

    def killed_sync(self) -> None:
        writes, replace = self.dice.randint(0, 14), FileStore.replace

        def dying(self_: FileStore, *given: Any, **more: Any) -> None:
            nonlocal writes
            writes -= 1
            if writes < 0:
                die()
            replace(self_, *given, **more)
            if writes == 0 and half:
                die()

        def die() -> NoReturn:
            raise Killed

        half = self.dice.random() < 0.5
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FileStore, "replace", dying)
            try:
                self.sync()
            except Killed:
                return

    # what is seen then

    def pointer(self, ring: str) -> Path:
        return self.shop.root / ring / str(GROCER) / "manifest.json"

    def look(self) -> None:
        """Hold every pointer that changed against what was seen so far."""
        for ring in AFTER:
            if ring in self.away:
                continue
            now = self.shop.serves(ring)
            if now != self.has.get(ring) and now is not None and now != b'{"v": 1}':
                self.judge(ring, self.has.get(ring), now)
                self.has[ring] = now
                self.moved[ring] += 1
            if now is not None and now != b'{"v": 1}':
                self.touched.discard(ring)
                self.seen[ring].setdefault(now, self.shop.now)

    def judge(self, ring: str, had: bytes | None, now: bytes) -> None:
        place = self.place(now)
        assert place is not None, f"main never had what {ring} has"
        assert not self.is_out(place), f"{ring} has what was taken out"
        if ring not in BEFORE:
            return
        before = self.place(had) if had is not None else None
        if before is None:
            return  # nobody was served there
        assert place > before, f"{ring} goes back on main"
        given = self.seen[BEFORE[ring]].get(now)
        soaked = given is not None and given + AFTER[ring] <= self.shop.now
        restored = self.main[place][1] and self.is_out(before)
        assert soaked or restored, f"{ring} has it too early"

    def place(self, data: bytes) -> int | None:
        """The newest place of these bytes on main."""
        return max((place for place, (each, _) in enumerate(self.main) if each == data), default=None)

    def is_out(self, place: int) -> bool:
        """Whether a later restore went back behind a state."""
        for later in range(place + 1, len(self.main)):
            data, is_restore = self.main[later]
            older = [each for each in range(later) if self.main[each][0] == data]
            if is_restore and older and max(older) < place:
                return True
        return False

    def end(self) -> None:
        """All rings are there, nobody ships, and time passes: each has what main has."""
        for ring in list(self.away):
            (self.shop.root / ring).unlink()
            os.rename(self.shop.root / f"{ring}.away", self.shop.root / ring)
            self.away.remove(ring)
        for _ in range(3):
            self.shop.now += 3 * HOUR
            self.sync()
            self.look()
        served = {ring: self.shop.serves(ring) for ring in AFTER}
        assert served == dict.fromkeys(AFTER, self.shop.manifest)


WHAT = {
    Walk.ship: 5,
    Walk.revert: 2,
    Walk.roll_back: 2,
    Walk.sync: 7,
    Walk.killed_sync: 4,
    Walk.wait: 7,
    Walk.lose_or_find: 2,
    Walk.write_by_hand: 1,
}


@pytest.mark.slow
def test_whatever_happens_each_ring_has_what_it_may_have(tmp_path: Path, dice: random.Random, rounds: int) -> None:
    moved = 0
    for number in range(max(rounds, 1)):
        rings = {name: f'after = "{after}s"' if after else "" for name, after in AFTER.items()}
        walk = Walk(RingShop(tmp_path / str(number), rings=rings), dice)
        walk.ship()
        walk.sync()
        walk.look()
        try:
            for _ in range(STEPS):
                step = dice.choices(list(WHAT), list(WHAT.values()))[0]
                walk.steps.append(step.__name__)
                step(walk)
                walk.look()
            walk.end()
        except AssertionError as error:
            error.add_note(f"after {' '.join(walk.steps)}")
            raise
        moved += walk.moved["prod"]
    assert moved > 1
