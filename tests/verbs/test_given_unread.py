"""What a ring was given stands beside its pointers. Who may not read it is told so, and nobody waits for ever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rights import of_a_user
from rings import HOUR, RingShop, shipped
from shop import GROCER, popularity
from test_blocked import says

from pointsman.outcome import Outcome
from pointsman.repo.open import open_repository
from pointsman.state.ring import given_key
from pointsman.verbs import rollout

pytestmark = pytest.mark.slow


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[RingShop]:
    """Both rings have the first ship, canary the second, too; nobody may read what canary was given."""
    shop = shipped(tmp_path / "shop")
    shop.publish(popularity(tmp_path / "p2.json", 11), merge=True)
    shop.pass_over()
    given = _given(shop)
    given.chmod(0)
    yield shop
    given.chmod(0o644)


def _given(shop: RingShop) -> Path:
    return shop.root / "canary" / given_key("canary", GROCER)


def _roll_back(shop: RingShop) -> None:
    shop.roll_back(reason="x", now=True)


def _places(outcome: Outcome[Any]) -> dict[str, str]:
    (target,) = outcome.document["targets"]
    return {each["place"]: each["outcome"] for each in target["places"]}


def test_the_ring_after_it_is_refused_and_goes_on_as_soon_as_it_can_be_read(shop: RingShop) -> None:
    """It waited two hours from each look: for ever, and nobody was told why."""
    with of_a_user():
        synced, seen = shop.pass_over(later=HOUR), shop.look(GROCER)
        with open_repository(str(shop.desk)) as repo:
            shown = rollout.rollout(shop.workspace(repo), rollout.Request())
    assert (synced.exit_code, _places(synced)) == (5, {"canary": "unchanged", "prod": "refused"})
    why = f"what canary was given is not known: cannot read file://{_given(shop)}: no permission"
    assert says(synced)["grocer/home"].startswith(f"blocked: {why}")
    assert [fault["says"].startswith(why) for fault in seen.document["targets"][0]["refused"]] == [True]
    assert shown.exit_code == 3
    assert why in str(shown.document["targets"])
    _given(shop).chmod(0o644)
    assert _places(shop.pass_over(later=HOUR)) == {"canary": "unchanged", "prod": "written"}


def test_a_pointer_that_was_written_is_told_as_written_whatever_is_behind_it(shop: RingShop) -> None:
    """It was told as one that serving keeps, and nobody was called."""
    _roll_back(shop)
    with of_a_user():
        synced = shop.pass_over()
    assert (synced.exit_code, _places(synced)) == (5, {"canary": "written", "prod": "unchanged"})
    assert says(synced)["grocer/home"].startswith("blocked: the pointer is as it should be, but cannot read ")
    assert shop.serves("canary") == shop.manifest


def test_a_restore_is_due_in_every_ring_whatever_the_ring_before_was_given(shop: RingShop, tmp_path: Path) -> None:
    _given(shop).chmod(0o644)
    shop.pass_over(later=2 * HOUR)
    _given(shop).chmod(0)
    _roll_back(shop)
    with of_a_user():
        synced = shop.pass_over()
    assert _places(synced) == {"canary": "written", "prod": "written"}
    assert shop.serves("prod") == shop.manifest
