"""Random walks of a shop: whatever the gate passed, sync and audit pass; whatever went past it, both find.

Each step is a verb of the tool, plain git, or a push past the gate by someone who should know better. The walk knows
which commits are bad and which bytes ever stood on main in a good state, and holds the gate, sync and audit to it.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from shop import Shop, cooc, git, popularity, refused
from world import how_many

from pointsman.errors import Problem, Refused
from pointsman.repo import history
from pointsman.state.names import Target
from pointsman.verbs import audit, log
from pointsman.workspace import Workspace

STEPS = 10
TARGETS = (Target("grocer", "home"), Target("grocer", "search"))


def rules_against(verb: Callable[[], object]) -> set[str]:
    """The rules for which something is refused; none if it is not."""
    try:
        verb()
    except Refused as error:
        return refused(error)
    return set()


@dataclass(slots=True)
class Walk:
    """A shop, and what is true of its main."""

    shop: Shop
    dice: random.Random
    bad: set[str] = field(default_factory=set)  # commits that went past the gate
    good: dict[Target, set[bytes | None]] = field(default_factory=dict)  # states that stood there without a fault
    shipped: dict[Target, list[Path]] = field(default_factory=dict)  # artifacts, for shipping one again
    held: set[Target] = field(default_factory=set)
    steps: list[str] = field(default_factory=list)  # what was done, for whoever reads a failure
    did: Counter[str] = field(default_factory=Counter)  # the verbs that had something to do

    # what stands

    def fetch(self) -> str:
        """The desk as main is; its commit."""
        git(self.shop.desk, "fetch", "-q", "origin")
        git(self.shop.desk, "reset", "-q", "--hard", "origin/main")
        return self.shop.main

    def state(self, target: Target) -> bytes | None:
        path = self.shop.desk / target.manifest_path
        return path.read_bytes() if path.exists() else None

    def last(self, target: Target) -> str:
        return git(self.shop.desk, "log", "--first-parent", "-1", "--format=%H", "--", target.manifest_path)

    def before(self, target: Target) -> bytes | None:
        """What the commit that last changed a manifest took away."""
        path = f"{self.last(target)}~1:{target.manifest_path}"
        there = git(self.shop.desk, "ls-tree", *path.split(":"))
        return (git(self.shop.desk, "show", path) + "\n").encode() if there else None

    def first(self, target: Target) -> bytes:
        """What the first ship left, the latest of them if it was undone since."""
        words = ["log", "--first-parent", "--diff-merges=first-parent", "--diff-filter=A", "-s", "-1", "--format=%H"]
        added = git(self.shop.desk, *words, "--", target.manifest_path)
        return (git(self.shop.desk, "show", f"{added}:{target.manifest_path}") + "\n").encode()

    def is_good(self, target: Target) -> bool:
        return self.last(target) not in self.bad

    def stood(self, *targets: Target) -> None:
        """What the tool has put on main is good."""
        self.fetch()
        for target in targets:
            self.good.setdefault(target, {None}).add(self.state(target))

    def artifact(self, target: Target) -> Path:
        number = self.dice.randrange(10**9)
        kind = self.dice.choice((popularity, cooc))
        size = self.dice.randint(90, 110)
        path = self.shop.root / "made" / f"{number}.json"
        return kind(path, size, tenant=target.tenant, surface=target.surface, salt=str(number))

    def pushed(self, *, good: bool) -> str:
        """Push the desk's commit, whose check says what the walk knows of it."""
        faults = self.shop.check("origin/main", "HEAD")
        assert (not faults) == good, f"check says {faults}"
        git(self.shop.desk, "push", "-q", "origin", "HEAD:main")
        commit = self.fetch()
        if not good:
            self.bad.add(commit)
        return commit

    def committed(self, message: str, files: dict[str, bytes | None]) -> None:
        """One commit by hand on the desk."""
        for path, data in files.items():
            place = self.shop.desk / path
            if data is None:
                place.unlink()
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
        git(self.shop.desk, "add", "-A")
        git(self.shop.desk, "commit", "-q", "-m", message)

    # steps: each says whether there was anything for it to do

    def publish(self, target: Target, *, open_only: bool = False) -> bool:
        path = self.artifact(target)

        def ship() -> None:
            self.shop.publish(path, merge=not open_only)
            if open_only:
                self._pass_by(target)
                self.shop.merge(str(target))

        if rules := rules_against(ship):
            expected = {"on-hold"} if target in self.held else set()
            expected |= set() if self.is_good(target) else {"unvouched-manifest", "stale-base", "foreign-uri"}
            expected |= {"manifest-removed", "record-not-landed"} if not self.is_good(target) else set()
            assert rules <= expected, f"publish is refused: {rules}"
            return False
        assert self.is_good(target)
        assert target not in self.held
        self.stood(target)
        self.shipped.setdefault(target, []).append(path)
        return True

    def publish_and_merge(self, target: Target) -> bool:
        return self.publish(target, open_only=True)

    def _pass_by(self, target: Target) -> None:
        """Main moves on elsewhere while a pull request is open."""
        self.fetch()
        (self.shop.desk / f"{self.dice.randrange(10**9)}.txt").write_text("work\n")
        git(self.shop.desk, "add", "-A")
        git(self.shop.desk, "commit", "-q", "-m", f"beside {target}")
        self.pushed(good=True)

    def publish_again(self, target: Target) -> bool:
        """Ship an old artifact again: refused if it was rolled back, unless --reship says that this is meant."""
        if not self.shipped.get(target) or not self.is_good(target) or target in self.held:
            return False
        path = self.dice.choice(self.shipped[target])
        if rules := rules_against(lambda: self.shop.publish(path, merge=True)):
            assert rules == {"rolled-back"}
            self.shop.publish(path, merge=True, reship=True)
        self.stood(target)
        return True

    def publish_both(self, _: Target) -> bool:
        """Two targets in one run."""
        if self.held or not all(self.is_good(each) for each in TARGETS):
            return False
        paths = [self.artifact(target) for target in TARGETS]
        self.shop.publish(*paths, merge=True)
        self.stood(*TARGETS)
        for target, path in zip(TARGETS, paths, strict=True):
            self.shipped.setdefault(target, []).append(path)
        return True

    def revert(self, target: Target) -> bool:
        """Plain git: undo what last changed a manifest. Good if what comes back was good."""
        last = self.last(target)
        if not last:
            return False
        back = self.before(target)
        good = back in self.good.get(target, {None})
        parents = git(self.shop.desk, "show", "-s", "--format=%P", last).split()
        words = ["revert", "--no-edit", *(["-m", "1"] if len(parents) > 1 else []), last]
        if self.dice.random() < 0.5:
            git(self.shop.desk, *words)
        else:  # as a forge's button does it: on a branch, merged
            git(self.shop.desk, "checkout", "-q", "-B", "undo")
            git(self.shop.desk, *words)
            git(self.shop.desk, "checkout", "-q", "-B", "main", "origin/main")
            git(self.shop.desk, "merge", "-q", "--no-ff", "-m", "Merge branch 'undo'", "undo")
        self.pushed(good=good)
        assert self.state(target) == back
        return True

    def roll_back(self, target: Target, *, now: bool = True, slot: str | None = None) -> bool:
        if not self.last(target):
            return False
        try:
            self.shop.roll_back(target, now=now, slot=slot, reason="the walk says so")
            if not now and self._open(target):
                self.shop.merge(str(target))
        except Refused as error:
            raise AssertionError(f"going back must always be possible: {error}") from error
        except Problem:
            return False  # nothing earlier, and it says so
        self.stood(target)
        assert self.is_good(target)
        return True

    def roll_back_by_pull(self, target: Target) -> bool:
        return self.roll_back(target, now=False)

    def roll_back_a_type(self, target: Target) -> bool:
        there = self.state(target)
        if there is None or not self.is_good(target):
            return False
        return self.roll_back(target, slot=self.dice.choice(sorted(json.loads(there)["current"])))

    def _open(self, target: Target) -> bool:
        return any(str(target) in pull["targets"] for pull in self.shop.pulls())

    def hold(self, target: Target) -> bool:
        """Put a hold on a target, or take it away; either is a change of its own."""
        if target in self.held:
            self.committed("release", {target.hold_path: None})
            self.held.discard(target)
        else:
            words = {"v": 1, "target": str(target), "until": "2099-01-01T00:00:00Z", "reason": "the walk"}
            self.committed("hold", {target.hold_path: (json.dumps(words, indent=2) + "\n").encode()})
            self.held.add(target)
        self.pushed(good=True)
        return True

    # steps past the gate

    def _edited(self, target: Target) -> tuple[bytes, bytes] | None:
        """A manifest, and the same with a later time that nobody vouches for."""
        there = self.state(target)
        if there is None or not self.is_good(target):
            return None
        document = json.loads(there)
        document["updated_at"] = f"{self.dice.randint(2031, 2090)}-01-01T00:00:00.{self.dice.randrange(10**6):06}Z"
        return there, (json.dumps(document, indent=2) + "\n").encode()

    def edit(self, target: Target) -> bool:
        if (found := self._edited(target)) is None:
            return False
        self.committed("edit by hand", {target.manifest_path: found[1]})
        self.pushed(good=False)
        return True

    def break_mend_and_put_back(self, target: Target) -> bool:
        """What went past the gate and was reverted is no good state: to revert the revert is to do it again."""
        return self.dice.choice((self.edit, self.ship_stale))(target) and self.revert(target) and self.revert(target)

    def ship_stale(self, target: Target) -> bool:
        """A ship that vouches for its bytes and was built on a manifest that is no longer there."""
        found, ids = self._edited(target), git(self.shop.desk, "log", "--format=%H", "--", target.manifest_path).split()
        if found is None or len(ids) < 2:
            return False
        lines = f"Manifest: {target} sha256:{hashlib.sha256(found[1]).hexdigest()}\nSupersedes: {target} {ids[-1]}"
        self.committed(f"ship: late\n\n{lines}", {target.manifest_path: found[1]})
        self.pushed(good=False)
        return True

    def ship_elsewhere(self, target: Target) -> bool:
        """A ship that vouches for a blob of someone else's."""
        if (found := self._edited(target)) is None:
            return False
        data = found[1].replace(b"file://", b"file:///elsewhere")
        lines = (
            f"Manifest: {target} sha256:{hashlib.sha256(data).hexdigest()}\nSupersedes: {target} {self.last(target)}"
        )
        self.committed(f"ship: foreign\n\n{lines}", {target.manifest_path: data})
        self.pushed(good=False)
        return True

    def remove(self, target: Target) -> bool:
        there = self.state(target)
        if there is None or not self.is_good(target) or there == self.first(target):
            return False  # to take away what the first ship left is to undo that
        self.committed("gone", {target.manifest_path: None})
        self.pushed(good=False)
        return True

    def change_a_record(self, target: Target) -> bool:
        """Change a record and put it back: two faults of the past, and nothing that serving could read."""
        records = sorted((self.shop.desk / "registry" / target.tenant / target.surface).rglob("*.json"))
        if not records:
            return False
        path = self.dice.choice(records)
        name, data = str(path.relative_to(self.shop.desk)), path.read_bytes()
        self.committed("another window", {name: data.replace(b'"segment": "default"', b'"segment": "other"')})
        self.pushed(good=False)
        self.committed("as it was", {name: data})
        self.pushed(good=False)
        return True

    # what must hold after each step

    def hold_to_it(self) -> None:
        outcome = self.shop.sync()
        told = {each["target"]: each["outcome"] for each in outcome.document["targets"]}
        for target in TARGETS:
            data = self.state(target)
            if data is None:
                assert told.get(str(target)) in (None, "kept", "refused")
                continue
            key = f"registry/current/{target.tenant}/{target.surface}/manifest.json"
            served = (self.shop.store / key).read_bytes() if (self.shop.store / key).exists() else None
            assert (served == data) == self.is_good(target), f"{target}: {told}"
            assert (told[str(target)] == "refused") == (not self.is_good(target))
            assert served is None or served in self.good[target]
        with self.shop.open() as repository:
            document = audit.audit(Workspace(repository)).document
            told = log.log(Workspace(repository), log.Query()).document["events"]
        assert {event["commit"] for event in told if event["kind"] == "edit"} <= self.bad
        assert {fault.get("commit") for fault in document["faults"] if not fault["accepted"]} == self.bad

    def step(self, name: str, verb: Callable[[Target], bool]) -> None:
        target = self.dice.choice(TARGETS)
        self.steps.append(f"{name} {target}")
        self.fetch()
        if verb(target):
            self.did[name] += 1
            self.fetch()
            self.hold_to_it()


def walk(root: Path, dice: random.Random) -> Walk:
    found = Walk(Shop(root), dice)
    ways: dict[str, tuple[int, Callable[[Target], bool]]] = {  # how often, of every 37 steps
        "publish": (8, found.publish),
        "publish, then merge": (3, found.publish_and_merge),
        "publish again": (3, found.publish_again),
        "publish both": (2, found.publish_both),
        "revert": (6, found.revert),
        "roll back now": (2, found.roll_back),
        "roll back": (2, found.roll_back_by_pull),
        "roll back a type": (2, found.roll_back_a_type),
        "hold or release": (2, found.hold),
        "edit": (1, found.edit),
        "break, mend and put back": (2, found.break_mend_and_put_back),
        "ship stale": (1, found.ship_stale),
        "ship elsewhere": (1, found.ship_elsewhere),
        "remove": (1, found.remove),
        "change a record": (1, found.change_a_record),
    }
    for target in TARGETS:
        assert found.publish(target)
    for name in dice.choices(list(ways), [often for often, _ in ways.values()], k=STEPS):
        try:
            found.step(name, ways[name][1])
        except Exception as error:
            error.add_note(f"after {'; '.join(found.steps)}")
            raise
    return found


@pytest.mark.slow
@pytest.mark.parametrize("path", range(how_many(2)))
def test_gate_sync_and_audit_agree_on_every_walk(
    tmp_path: Path, dice: random.Random, monkeypatch: pytest.MonkeyPatch, path: int
) -> None:
    if path % 2:
        monkeypatch.setattr(history, "_MANY", -1)  # all of history is read at once, as where many targets are asked for
    assert walk(tmp_path / f"shop{path}", dice).did
