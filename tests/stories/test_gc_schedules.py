"""No schedule that was tried loses anything, and without one of the safeguards some schedule does."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clocks import clock_at
from gc_schedules import SLEEP, TAKES, Explored, Run, Turn, direct, explore, fresh, take_over
from shop import GROCER, Shop, git, popularity

from pointsman.intake.staging import Source, read_sources
from pointsman.repo.moves import Move
from pointsman.repo.open import open_repository
from pointsman.repo.origin import MAIN
from pointsman.repo.repository import Repository
from pointsman.repo.retry import until_settled
from pointsman.repo.snapshot import Snapshot
from pointsman.retention import collect, markers
from pointsman.retention.before_pointing import make_sure
from pointsman.shipping import records
from pointsman.shipping.records import Recording, record_of
from pointsman.state.documents import Tombstone
from pointsman.store.directory import FileStore
from pointsman.verbs import gc
from pointsman.workspace import Workspace

NOW = 1_900_000_000
EVERYDAY = 1  # runs of each search
MANY = 5  # for each round: one takes about a second
SETTINGS = "[retention]\nwait_days = 0\nkeep_days = 0\nkeep_ships = 0\n"


@dataclass
class Stage:
    """A repository that is its own origin, beside its store: one version current, one recorded, one orphan, all old."""

    root: Path
    template: Path
    orphan: Path  # an artifact file: its blob is in the store, and no record names it
    recorded: str  # a version that is not current

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def origin(self) -> Path:
        return self.root / "origin.git"

    def run(self, *works: str, **more: int) -> Run:
        fresh(self.template, self.root)
        found = [(f"{name} {place}", getattr(self, name)) for place, name in enumerate(works)]
        return Run(found, naps=more.get("naps", 0), harm=more.get("harm", 0))

    # what each of them does

    @contextlib.contextmanager
    def workspace(self) -> Iterator[Workspace]:
        with open_repository(str(self.origin)) as repo:
            yield Workspace(repo, clock=clock_at(NOW))

    def collect(self) -> Any:
        """gc, as the command runs it."""
        with self.workspace() as workspace:
            return gc.gc(workspace, gc.Request(delete=True))

    def publish(self) -> None:
        """What publish does with a blob, its record and its pointer, with the code of publish."""
        with self.workspace() as workspace:
            repo = workspace.repo
            settings = Snapshot(repo, repo.refresh()).settings()
            (source,) = read_sources((str(self.orphan),), (), {}, settings.artifact_bytes).sources
            recording = Recording(workspace, settings)
            recording.put([source], recording.stored([source]))
            self._land(repo, _record(source, settings))
            assert recording.put_missing([source]) == []
            self._point(source.artifact.version)

    def roll_back(self) -> None:
        """Point to what is recorded, as rollback and ship do."""
        with self.workspace() as workspace:
            repo = workspace.repo
            head = Snapshot(repo, repo.refresh())
            if head.entry(GROCER.tombstone_path("popularity", self.recorded)) is not None:
                return  # rule `retired`
            settings = head.settings()
            uri = settings.uri(GROCER, "popularity", self.recorded)
            make_sure(workspace.gate, head, [uri])
            if FileStore(self.store, f"file://{self.store}").size(GROCER.blob_key("popularity", self.recorded)) is None:
                return  # rule `blob-missing`
            self._point(self.recorded)

    def retire(self) -> None:
        """Land a tombstone, which is ripe at once here."""
        stone = Tombstone("grocer", "home", "popularity", self.recorded, "old")
        with self.workspace() as workspace:
            workspace.repo.refresh()
            self._land(workspace.repo, {stone.path: stone.render()})

    def revert(self) -> None:
        """Take the tombstone away again, if there is one, and point to the version."""
        path = GROCER.tombstone_path("popularity", self.recorded)
        with self.workspace() as workspace:
            repo = workspace.repo
            if Snapshot(repo, repo.refresh()).entry(path) is None:
                return
            self._land(repo, {path: None})
        self.roll_back()

    def _land(self, repo: Repository, files: dict[str, bytes | None]) -> None:
        def push() -> None:
            tree = repo.tree_with(repo.tree_of(repo.main), dict(files))
            commit = repo.commit(tree, [repo.main], "land")
            repo.move([Move(MAIN, commit, repo.main)])

        until_settled(repo, push)

    def _point(self, version: str) -> None:
        def point() -> None:
            path = self.store / "registry/current/grocer/home/manifest.json"
            path.write_text(f'{{"current": {{"popularity": "file://{self.store}/{version}.json"}}}}')

        assert Run.current is not None
        Run.current.step("point", point)

    # what must be true

    def lost(self, run: Run) -> str:
        """What is pointed to and not there, or what the next run, that nobody disturbs, does not bring back.

        The first holds but for a gc that slept right before it took: the trash is what counts then.
        """
        if not run.overslept and (dangling := [each for each in self._served() if not self._blob(each).exists()]):
            return f"pointed to and gone: {dangling}"
        kept = {path.stem for path in self.store.rglob("*.json") if ".pointsman/trash" not in str(path)}
        kept |= {path.stem for path in (self.store / ".pointsman/trash").rglob("*.json")}
        if gone := self._needed() - kept:
            return f"nowhere: {gone}"
        self.collect()
        for version in self._needed():
            path = self._blob(version)
            if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != version:
                return f"not back after the next run: {version}"
        return ""

    def _needed(self) -> set[str]:
        return self._recorded() | self._named({*self._recorded(), self.recorded})

    def _served(self) -> set[str]:
        """What serving names and main records, without a tombstone."""
        return self._named(self._recorded())

    def _blob(self, version: str) -> Path:
        return self.store / "grocer/home/popularity" / f"{version}.json"

    def _named(self, versions: set[str]) -> set[str]:
        pointer = (self.store / "registry/current/grocer/home/manifest.json").read_text()
        return {each for each in versions if each in pointer}

    def _recorded(self) -> set[str]:
        names = git(self.origin, "ls-tree", "-r", "--name-only", "main", "registry/").splitlines()
        found = {Path(name).name for name in names}
        return {name[:64] for name in found if name.endswith(".json") and f"{name[:64]}.retired.json" not in found}


def _record(source: Source, settings: Any) -> dict[str, bytes | None]:
    record = record_of(source, settings, "", "2026-03-01T00:00:00Z")
    return {record.path: record.render()}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    base = tmp_path_factory.mktemp("gc")
    shop = Shop(base / "world", SETTINGS)
    for day in (1, 2):
        shop.publish(popularity(shop.root / f"{day}.json", 10 * day, day=day), merge=True)
    shop.sync()
    current = shop.manifest.decode()
    files = list((shop.store / "grocer/home/popularity").glob("*.json"))
    recorded = next(path.stem for path in files if path.stem not in current)
    orphan = popularity(shop.root / "3.json", 15, day=3)
    source = read_sources((str(orphan),), (), {}, 10_000_000).sources[0]
    path = shop.store / GROCER.blob_key("popularity", source.artifact.version)
    path.write_bytes(source.payload())
    for each in (*files, path):
        os.utime(each, (1, 1))
    shop.root.rename(base / "template")
    return Stage(base / "world", base / "template", base / "world" / "3.json", recorded)


def search(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, dice: random.Random, runs: int, *works: str, **more: int
) -> Explored:
    take_over(monkeypatch)
    return explore(lambda: stage.run(*works, **more), stage.lost, runs=runs, dice=dice)


CASES = [
    pytest.param(("publish", "collect"), {}, id="a publisher and gc"),
    pytest.param(("publish", "collect"), {"harm": 1}, id="a publisher and gc, one of them dies or loses an answer"),
    pytest.param(("publish", "collect"), {"naps": 1}, id="a publisher and gc on machines that sleep"),
    pytest.param(("publish", "publish", "collect", "collect"), {"naps": 1, "harm": 1}, id="two publishers, two gcs"),
    pytest.param(("retire", "roll_back", "collect"), {"naps": 1}, id="a tombstone, a rollback, and gc"),
    pytest.param(("retire", "revert", "collect"), {"naps": 1, "harm": 1}, id="a tombstone, its revert, and gc"),
]


@pytest.mark.parametrize("works,more", CASES[:1])
def test_in_some_schedules_nothing_is_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, dice: random.Random, works: tuple[str, ...], more: dict[str, int]
) -> None:
    found = search(stage, monkeypatch, dice, EVERYDAY, *works, **more)
    assert found.wrong == "", found.said


@pytest.mark.slow
@pytest.mark.parametrize("works,more", CASES)
def test_in_many_schedules_nothing_is_lost(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    dice: random.Random,
    rounds: int,
    works: tuple[str, ...],
    more: dict[str, int],
) -> None:
    found = search(stage, monkeypatch, dice, rounds * MANY, *works, **more)
    assert found.wrong == "", found.said


def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "wait_for_markers", lambda *_: None)


def no_look_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recording, "put_missing", lambda *_: [])


def no_marker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markers.Marker, "write", lambda marker: setattr(marker, "until", 1e9))


def no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect.Collector, "_spare", lambda *_: None)


def no_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markers.Marker, "lives", True)


def no_trash(monkeypatch: pytest.MonkeyPatch) -> None:
    def move(store: FileStore, key: str, _: str, __: int, still: Callable[[], bool]) -> bool:
        if not still():
            return False
        store.remove(key)
        return True

    monkeypatch.setattr(FileStore, "move", move)


def no_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect.Collector, "_put_back", lambda *_: None)


MARKS, MOVES = "create .pointsman/gc/", "move"  # how steps of gc begin
# Each hits the gap between two steps that one of the safeguards closes.
BEFORE_THE_RECORD = [("publish", "land"), ("collect", ""), ("publish", "")]
BEFORE_THE_MARKER = [("collect", MARKS), ("publish", ""), ("collect", "")]
AFTER_THE_LOOK = [("collect", MOVES), ("publish", ""), ("collect", "")]
ASLEEP_AFTER_THE_LOOK = [("collect", MOVES), ("publish", ""), (SLEEP, ""), ("publish", ""), ("collect", "")]
ASLEEP_AT_THE_TAKE = [("collect", TAKES), ("publish", ""), (SLEEP, ""), ("publish", ""), ("collect", "")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "mutate,turns,says",
    [
        pytest.param(no_look_after, BEFORE_THE_RECORD, "pointed to and gone", id="no look after the record"),
        pytest.param(no_second_look, BEFORE_THE_MARKER, "pointed to and gone", id="no look after the marker"),
        pytest.param(no_waiting, AFTER_THE_LOOK, "pointed to and gone", id="no waiting for markers"),
        pytest.param(no_marker, AFTER_THE_LOOK, "pointed to and gone", id="no marker"),
        pytest.param(no_life, ASLEEP_AFTER_THE_LOOK, "pointed to and gone", id="markers for ever"),
        pytest.param(no_trash, ASLEEP_AT_THE_TAKE, "nowhere", id="no trash"),
        pytest.param(no_next_run, ASLEEP_AT_THE_TAKE, "not back after", id="nothing put back by the next run"),
    ],
)
def test_without_one_of_its_safeguards_a_schedule_loses_something_and_with_it_does_not(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    mutate: Callable[[pytest.MonkeyPatch], None],
    turns: list[Turn],
    says: str,
) -> None:
    with monkeypatch.context() as all_of_them:
        take_over(all_of_them)
        found = direct(stage.run("publish", "collect", naps=1), turns, stage.lost)
        assert found.wrong == "", found.said
    mutate(monkeypatch)
    take_over(monkeypatch)
    found = direct(stage.run("publish", "collect", naps=1), turns, stage.lost)
    assert found.wrong.startswith(says), (found.wrong, found.said)
