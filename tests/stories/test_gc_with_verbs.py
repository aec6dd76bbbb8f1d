"""gc beside every verb that points to a version, and beside a second repository: nothing is lost, nothing foreign goes.

Every external step of the real verbs is one of a schedule. Of two actors all schedules are played that leave the beaten
track once, if there are rounds enough (POINTSMAN_ROUNDS=60); of more some.
"""

from __future__ import annotations

import random

import pytest
from gc_depot import Depot
from gc_schedules import DIES, SLEEP, direct, explore, take_over, wander
from seaweed import Server

from pointsman.retention import collect

USUAL = 4  # rounds where everything is required


@pytest.fixture(scope="module")
def depot(tmp_path_factory: pytest.TempPathFactory) -> Depot:
    return Depot.make(tmp_path_factory.mktemp("depot"))


@pytest.fixture(scope="module")
def in_bucket(tmp_path_factory: pytest.TempPathFactory, _server: Server) -> Depot:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _server.environment.items():
            patch.setenv(name, value)
        return Depot.make(tmp_path_factory.mktemp("depot"), _server)


@pytest.fixture(scope="module")
def without_trash(tmp_path_factory: pytest.TempPathFactory) -> Depot:
    """What one gc takes the next may purge, at once."""
    depot = Depot.make(tmp_path_factory.mktemp("depot"), more="trash_days = 0\n")
    depot.grace = "0s"
    return depot


@pytest.fixture
def schedules(rounds: int) -> int:
    """How many are played of each: as many as rounds were asked for; without that two, as each takes half a second."""
    return min(rounds, 2) if rounds <= USUAL else rounds


CASES = [
    pytest.param(("publish", "collect"), {"harm": 1}, id="publish", marks=pytest.mark.slow),
    pytest.param(
        ("ship", "retire", "collect"),
        {"harm": 1},
        id="a ship and the retirement of what it ships",
        marks=pytest.mark.slow,
    ),
    pytest.param(
        ("roll_back", "retire", "collect"),
        {"naps": 1},
        id="a rollback and the retirement of its goal",
        marks=pytest.mark.slow,
    ),
    pytest.param(
        ("merge", "bury_offered", "collect"), {}, id="a tombstone that was green before a merge", marks=pytest.mark.slow
    ),
    pytest.param(
        ("merge", "retire_offered", "collect"), {"harm": 1}, id="a retirement beside a merge", marks=pytest.mark.slow
    ),
    pytest.param(("sync", "merge", "collect"), {"naps": 1}, id="sync and a merge", marks=pytest.mark.slow),
    pytest.param(("revert", "collect"), {"naps": 1}, id="a revert and a purge", marks=pytest.mark.slow),
    pytest.param(
        ("break_glass", "retire", "collect"),
        {"harm": 1},
        id="break-glass and the retirement of its goal",
        marks=pytest.mark.slow,
    ),
    pytest.param(("retire", "revert_old", "collect"), {"naps": 1}, id="a tombstone, its revert and a ship"),
    pytest.param(("publish_fork", "collect"), {"naps": 1}, id="a fork that nobody knows of", marks=pytest.mark.slow),
    pytest.param(
        ("publish_fork", "collect_both", "collect_late"), {"harm": 1}, id="a fork, and two gcs", marks=pytest.mark.slow
    ),
]
CROWDS = [
    ("publish", "merge", "sync", "collect"),
    ("retire", "revert_old", "roll_back", "collect"),
    ("publish_fork", "publish", "collect_both", "collect_late"),
    ("revert", "sync", "sync_fork", "collect_both"),
    ("break_glass", "retire", "sync", "collect", "collect_late"),
]
WITHOUT_TRASH = [
    ("publish", "collect", "collect_late"),
    ("revert", "collect", "collect_late"),
    ("retire", "revert_old", "collect", "collect_late"),
    ("break_glass", "retire", "sync", "collect", "collect_late"),
]
IN_BUCKET = [
    ("publish", "collect"),
    ("revert", "collect", "collect_late"),
    ("break_glass", "retire", "collect"),
    ("retire", "revert_old", "sync", "collect"),
    ("publish_fork", "merge", "collect_both", "collect_late"),
]


@pytest.mark.parametrize("works,more", CASES)
def test_whatever_comes_first_nothing_is_lost(
    depot: Depot,
    monkeypatch: pytest.MonkeyPatch,
    dice: random.Random,
    schedules: int,
    works: tuple[str, ...],
    more: dict[str, int],
) -> None:
    take_over(monkeypatch)
    found = explore(lambda: depot.run(*works, **more), depot.wrong, runs=schedules, dice=dice)
    assert found.wrong == "", found.said


@pytest.mark.slow
def test_a_gc_that_is_killed_or_loses_an_answer_at_any_step_is_finished_by_the_next(
    depot: Depot, monkeypatch: pytest.MonkeyPatch, dice: random.Random
) -> None:
    """All of them are played, whatever the rounds."""
    take_over(monkeypatch)
    found = explore(lambda: depot.run("collect", harm=1), depot.wrong, runs=1_000, dice=dice)
    assert found.wrong == "", found.said
    assert 20 < found.runs < 1_000


@pytest.mark.slow
def test_a_revert_that_lands_while_gc_sleeps_in_a_purge_loses_nothing_because_that_was_set_aside(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_over(monkeypatch)

    def played(step: str) -> str:
        """gc stops before this step, the revert comes, all sleep, gc goes on."""
        turns = [("collect", f"{step} .pointsman/trash/"), ("revert", ""), (SLEEP, ""), ("collect", "")]
        return direct(depot.run("revert", "collect", naps=1), turns, depot.wrong).wrong

    assert (played("move"), played("remove")) == ("", "")
    monkeypatch.setattr(collect, "place_of_going", lambda place, _: place)
    assert played("remove").startswith("nowhere")


@pytest.mark.slow
@pytest.mark.parametrize("works", CROWDS, ids=" ".join)
def test_in_a_crowd_nothing_is_lost(
    depot: Depot, monkeypatch: pytest.MonkeyPatch, dice: random.Random, schedules: int, works: tuple[str, ...]
) -> None:
    take_over(monkeypatch)
    found = wander(lambda: depot.run(*works, naps=2, harm=1), depot.wrong, runs=schedules, dice=dice)
    assert found.wrong == "", found.said


@pytest.mark.slow
@pytest.mark.parametrize("works", WITHOUT_TRASH, ids=" ".join)
def test_without_days_in_the_trash_two_gcs_lose_nothing(
    without_trash: Depot, monkeypatch: pytest.MonkeyPatch, dice: random.Random, schedules: int, works: tuple[str, ...]
) -> None:
    take_over(monkeypatch)
    found = wander(lambda: without_trash.run(*works, naps=1), without_trash.wrong, runs=schedules, dice=dice)
    assert found.wrong == "", found.said


@pytest.mark.slow
def test_without_days_in_the_trash_a_publisher_that_dies_has_the_grace(
    without_trash: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It found the blob in its place, one gc took it, another looked, and then it recorded the version, and died."""
    take_over(monkeypatch)
    markers, aside = "keys .pointsman/gc/", "remove .pointsman/trash/going"
    turns = [("publish", "land"), ("collect ", ""), ("collect_late", aside), ("publish", markers), ("publish", DIES)]

    def played(grace: str) -> str:
        monkeypatch.setattr(without_trash, "grace", grace)
        run = without_trash.run("publish", "collect", "collect_late", harm=1)
        return direct(run, turns, without_trash.wrong).wrong

    assert played("24h") == ""
    assert played("0s").startswith("nowhere"), "by --grace 0s nobody publishes"


@pytest.mark.slow
@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("works", IN_BUCKET, ids=" ".join)
def test_in_a_bucket_nothing_is_lost(
    in_bucket: Depot, monkeypatch: pytest.MonkeyPatch, dice: random.Random, schedules: int, works: tuple[str, ...]
) -> None:
    take_over(monkeypatch)
    found = wander(lambda: in_bucket.run(*works, naps=1, harm=2), in_bucket.wrong, runs=schedules, dice=dice)
    assert found.wrong == "", found.said
