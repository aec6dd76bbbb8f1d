"""The merge join of a listing with what main records: in every order of the listing the answers are the same."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest
from shop import Shop

from pointsman.retention.recorded import Recorded, State

DIRECTORIES = ("a/home/t", "a-b/home/t", "a.c/home/t", "a/home/t-2", "b/web/cooc")


def version(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Directories whose order differs between stores. Every fourth version is missing, retired, or has evidence."""
    shop = Shop(tmp_path_factory.mktemp("recorded") / "shop")
    for directory in DIRECTORIES:
        place = shop.desk / "registry" / directory
        place.mkdir(parents=True)
        for number in range(10):
            if number % 4 == 3:
                continue
            (place / f"{version(number)}.json").write_text("{}")
            if number % 4 == 1:
                (place / f"{version(number)}.retired.json").write_text("{}")
            if number % 4 == 2:
                (place / f"{version(number)}.evidence.{'0' * 12}.json").write_text("{}")
    odd: Path = shop.desk / "registry/only-a-tombstone/home/t"
    odd.mkdir(parents=True)
    (odd / f"{version(1)}.retired.json").write_text("{}")
    (shop.desk / "registry/README.md").write_text("records")
    shop.push()
    return shop


def expected(number: int) -> State:
    return State(number % 4 != 3 and number < 10, number % 4 == 1 and number < 10)


@pytest.mark.parametrize("order", ["bytes", "names", "mixed"])
def test_in_every_order_of_a_listing_the_answers_are_the_same(shop: Shop, order: str, dice: random.Random) -> None:
    asked = [(directory, number) for directory in DIRECTORIES for number in range(12)]
    if order == "mixed":
        dice.shuffle(asked)
    elif order == "bytes":
        asked.sort(key=lambda each: f"{each[0]}/{version(each[1])}")
    else:
        asked.sort(key=lambda each: (each[0].split("/"), each[1]))
    with shop.open() as repo, contextlib.closing(Recorded(repo, repo.refresh())) as recorded:
        assert [recorded.ask(f"{directory}/{version(number)}.json") for directory, number in asked] == [
            expected(number) for _, number in asked
        ]
        recorded.finish()
        assert recorded.targets == {directory.rpartition("/")[0] for directory in DIRECTORIES}


def test_all_targets_are_known_without_a_question(shop: Shop) -> None:
    with shop.open() as repo, contextlib.closing(Recorded(repo, repo.refresh())) as recorded:
        recorded.finish()
        assert recorded.targets == {directory.rpartition("/")[0] for directory in DIRECTORIES}
