"""Random walks with three rings: ships, reverts, rollbacks, clocks that jump, rings away, syncs that are killed.

In others rings come and go, too: they are added, removed, named again, renamed, narrowed, and taken away by --prune.
What is held against each pointer that changes is told from the outside: which bytes main had when and by what, which
ring was seen with them when. Nothing here asks the tool what is due.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rings import HOUR, RingShop
from shop import GROCER, git, popularity

from pointsman.errors import Problem
from pointsman.serving.fence import SYNCED
from pointsman.store.directory import FileStore

STEPS = 24
AFTER = {"canary": 0, "early": HOUR, "prod": 2 * HOUR}
MOST = 5  # rings
_RING = """[[ring]]
name = "{name}"
serving = "file://{root}/{place}/{{tenant}}/{{surface}}/manifest.json"
{more}
"""


@dataclass
class Ring:
    """A ring as the settings have it. `place`: the directory of its pointers, by which it is known here."""

    name: str
    place: str
    after: int
    takes: bool = True  # whether the ships of the target reach it in its turn


class Killed(BaseException):
    """The process ended here."""


@dataclass
class Walk:
    """A shop, and what was seen of it. `main`: (bytes, whether a restore brought them), oldest first."""

    shop: RingShop
    dice: random.Random
    rings: list[Ring] = field(default_factory=lambda: [Ring(name, name, after) for name, after in AFTER.items()])
    main: list[tuple[bytes, bool]] = field(default_factory=list)
    has: dict[str, bytes | None] = field(default_factory=dict)  # place → the last pointer that nobody wrote by hand
    seen: dict[str, dict[bytes, int]] = field(default_factory=dict)  # place → state → the earliest clock there
    touched: set[str] = field(default_factory=set)  # places whose pointer somebody wrote by hand
    renamed: set[str] = field(default_factory=set)  # places whose ring had another name: what it was given is unknown
    unfinished: set[str] = field(default_factory=set)  # places where a killed sync may not have noted what it gave
    left: dict[str, bytes | None] = field(default_factory=dict)  # places of rings that left, and their pointers then
    away: set[str] = field(default_factory=set)
    steps: list[str] = field(default_factory=list)
    moved: Counter[str] = field(default_factory=Counter)
    items: int = 9
    names: int = 0

    # what somebody does

    def ship(self) -> None:
        self.items += 1
        self.shop.publish(popularity(self.shop.root / f"p{self.items}.json", self.items), merge=True)
        self.main.append((self.shop.manifest, False))

    def revert(self) -> None:
        if len(self.main) < 2 or self.main[-1][1]:
            return
        self.shop.pull()
        ship = git(self.shop.desk, "rev-list", "-1", "HEAD", "--", GROCER.manifest_path)
        git(self.shop.desk, "revert", "--no-edit", ship)
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
        place = self.dice.choice(self.rings).place
        if place not in self.away and self.has.get(place) is not None:
            self.touched.add(place)
            if self.dice.random() < 0.5:
                self.pointer(place).unlink(missing_ok=True)
            else:
                self.pointer(place).write_text('{"v": 1}')

    def lose_or_find(self) -> None:
        place = self.dice.choice(self.rings).place
        there, gone = self.shop.root / place, self.shop.root / f"{place}.away"
        if place in self.away:
            self.find(place)
        elif there.exists():
            os.rename(there, gone)
            there.symlink_to(there)
            self.away.add(place)

    def find(self, place: str) -> None:
        (self.shop.root / place).unlink()
        os.rename(self.shop.root / f"{place}.away", self.shop.root / place)
        self.away.remove(place)

    # what becomes of the rings

    def add_ring(self) -> None:
        """A ring anywhere in the order, of a new place or of one that left."""
        if len(self.rings) >= MOST:
            return
        self.names += 1
        new = Ring(f"ring{self.names}", f"place{self.names}", self.dice.choice([0, HOUR, 2 * HOUR]))
        again = sorted(self.left.keys() - self.away)
        if again and self.dice.random() < 0.5:
            new.place = self.dice.choice(again)
            del self.left[new.place]
            self.renamed.add(new.place)
        self.rings.insert(self.dice.randrange(len(self.rings) + 1), new)
        self.set_rings()

    def remove_ring(self) -> None:
        if len(self.rings) > 1:
            place = self.rings.pop(self.dice.randrange(len(self.rings))).place
            self.left[place] = self.serves(f"{place}.away" if place in self.away else place)
            self.set_rings()

    def rename_ring(self) -> None:
        self.names += 1
        ring = self.dice.choice(self.rings)
        ring.name = f"ring{self.names}"
        self.renamed.add(ring.place)
        self.set_rings()

    def narrow_ring(self) -> None:
        ring = self.dice.choice(self.rings)
        ring.takes = not ring.takes
        self.set_rings()

    def set_rings(self) -> None:
        text = ""
        for number, ring in enumerate(self.rings):
            more = [f'after = "{ring.after}s"'] if number and ring.after else []
            more += [] if ring.takes else ['targets = ["other/*"]']
            text += _RING.format(name=ring.name, root=self.shop.root, place=ring.place, more="\n".join(more))
        self.shop.set_rings(text)

    def prune(self) -> None:
        self.sync(prune=True)

    def wait(self) -> None:
        self.shop.now += self.dice.choice([60, 1800, HOUR, 2 * HOUR, 3 * HOUR, -600, -HOUR])

    def sync(self, **orders: Any) -> None:
        try:
            self.shop.pass_over(**orders)
        except Problem:
            assert self.away
            return
        self.unfinished -= {ring.place for ring in self.rings if ring.takes} - self.touched
        if orders.get("prune"):
            for place in self.left.keys() - self.away - self.touched:
                assert self.serves(place) is None, f"--prune left {place}"
                self.left[place] = None

    def killed_sync(self) -> None:
        writes = self.dice.randint(0, 14)
        half = self.dice.random() < 0.5

        def dying(method: Any) -> Any:
            def call(store: FileStore, *given: Any, **more: Any) -> Any:
                nonlocal writes
                writes -= 1
                if writes < 0:
                    raise Killed
                found = method(store, *given, **more)
                if writes == 0 and half:
                    raise Killed
                return found

            return call

        with pytest.MonkeyPatch.context() as patch:
            for name in ("replace", "delete", "remove"):
                patch.setattr(FileStore, name, dying(getattr(FileStore, name)))
            try:
                self.sync(prune=self.dice.random() < 0.3)
            except Killed:
                self.unfinished |= {ring.place for ring in self.rings}

    # what is seen then

    def pointer(self, place: str) -> Path:
        return self.shop.root / place / str(GROCER) / "manifest.json"

    def serves(self, place: str) -> bytes | None:
        path = self.pointer(place)
        return path.read_bytes() if path.exists() else None

    def look(self) -> None:
        """Hold every pointer that changed against what was seen so far."""
        for ring in self.rings:
            place = ring.place
            if place in self.away:
                continue
            now = self.serves(place)
            assert now is not None or place in self.touched or self.has.get(place) is None, f"{place} lost its pointer"
            if now is None or now == b'{"v": 1}':
                continue
            if now != self.has.get(place):
                self.judge(ring, self.has.get(place), now)
                self.has[place] = now
                self.moved[place] += 1
            self.touched.discard(place)
            seen = self.seen.setdefault(place, {})
            seen[now] = min(seen.get(now, self.shop.now), self.shop.now)
        for place in self.left.keys() - self.away:
            now = self.serves(place)
            assert now in (None, self.left[place]), f"{place} left, and somebody wrote there"
            if now is None:
                self.has[place] = None

    def judge(self, ring: Ring, had: bytes | None, now: bytes) -> None:
        place = self.place(now)
        assert place is not None, f"main never had what {ring.name} has"
        assert not self.is_out(place), f"{ring.name} has what was taken out"
        order = [each for each in self.rings if each.takes]
        if not ring.takes or order[0] is ring:
            return  # it follows main
        before = self.place(had) if had is not None else None
        if before is None:
            return  # nobody was served there
        if ring.place in self.touched & (self.renamed | self.unfinished):
            return  # its pointer was lost, and nothing tells what it had
        assert place > before, f"{ring.name} goes back on main"
        given = self.seen.get(order[order.index(ring) - 1].place, {}).get(now)
        soaked = given is not None and given + ring.after <= self.shop.now
        restored = self.main[place][1] and self.is_out(before)
        assert soaked or restored, f"{ring.name} has it too early"

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
        """All rings are there, nobody ships, and time passes: each has what main has, and nothing else is left."""
        for place in list(self.away):
            self.find(place)
        for _ in range(len(self.rings)):
            self.shop.now += 3 * HOUR
            self.sync()
            self.look()
        served = {ring.place: self.serves(ring.place) for ring in self.rings}
        assert served == dict.fromkeys(served, self.shop.manifest)
        self.prune()
        self.look()
        for place in self.left.keys() - self.touched:
            assert not (self.shop.root / place / SYNCED).exists(), f"--prune left the fence of {place}"


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


OF_RINGS = {
    Walk.add_ring: 3,
    Walk.remove_ring: 2,
    Walk.rename_ring: 2,
    Walk.narrow_ring: 1,
    Walk.prune: 2,
}


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, OF_RINGS], ids=["the same rings", "rings that come and go"])
def test_whatever_happens_each_ring_has_what_it_may_have(
    tmp_path: Path, dice: random.Random, rounds: int, more: dict[Any, int]
) -> None:
    moved, what = 0, {**WHAT, **more}
    for number in range(max(rounds, 1)):
        rings = {name: f'after = "{after}s"' if after else "" for name, after in AFTER.items()}
        walk = Walk(RingShop(tmp_path / str(number), rings=rings), dice)
        walk.ship()
        walk.sync()
        walk.look()
        try:
            for _ in range(STEPS):
                step = dice.choices(list(what), list(what.values()))[0]
                walk.steps.append(step.__name__)
                step(walk)
                walk.look()
            walk.end()
        except AssertionError as error:
            error.add_note(f"after {' '.join(walk.steps)}, rings {walk.rings}")
            raise
        moved += walk.moved.total()
    assert moved > 1
