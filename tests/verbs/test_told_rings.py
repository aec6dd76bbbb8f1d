"""What is told of rings: what a hold does not stop, what the next sync gives, and as what a ring was given it."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from output_schemas import validate
from rings import HOUR, RingShop, at_start, shipped
from shop import GROCER, Kept, git, popularity

from pointsman.cli import hold as hold_words
from pointsman.cli import rollout as rollout_words
from pointsman.errors import Problem
from pointsman.outcome import Outcome
from pointsman.report import status as status_words
from pointsman.report.review import in_rings
from pointsman.state.names import Pattern, Target
from pointsman.verbs import hold, holds, rollout


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("told"), shipped)


@pytest.fixture
def shop(kept: Kept) -> RingShop:
    return at_start(kept)


def ship(shop: RingShop, items: int) -> str:
    """Another ship, which canary has at once; its commit."""
    shop.publish(popularity(shop.root / f"p{items}.json", items), merge=True)
    shop.pass_over(later=60)
    return shop.main


def held(shop: RingShop, target: str = "grocer/home") -> Outcome[Any]:
    request = hold.Request(target, until="2999-01-01", reason="canary looks bad", now=True)
    with shop.open() as repo:
        made = hold.change_hold(shop.workspace(repo), request)
    validate("hold", made.document)
    return made


def rolled(shop: RingShop, *targets: Target) -> Outcome[Any]:
    with shop.open() as repo:
        return rollout.rollout(shop.workspace(repo), rollout.Request(targets))


def rings(shop: RingShop) -> list[Any]:
    """The rings of the one target, of which status and rollout tell the same."""
    found = rolled(shop)
    validate("rollout", found.document)
    (of_rollout,), (of_status,) = found.document["targets"], shop.look().document["targets"]
    for ring in of_status["rings"]:
        ring.pop("versions", None)
    assert of_rollout["rings"] == of_status["rings"]
    return list(of_rollout["rings"])


@pytest.mark.slow
def test_a_hold_says_what_still_goes_on_and_what_it_names_stops_that(shop: RingShop) -> None:
    first, second, third = shop.main, ship(shop, 11), ship(shop, 12)
    found = held(shop)
    assert [(each["ring"], each["commit"], each["at"], each["has"]) for each in found.document["goes_on"]] == [
        ("prod", second, "2030-03-17T19:47:40Z", first),
        ("prod", third, "2030-03-17T19:48:40Z", first),
    ]
    gets = f"{second[:12]} at 2030-03-17T19:47:40Z, {third[:12]} at 2030-03-17T19:48:40Z"
    stop = f"pointsman rollback grocer/home --to {first[:12]} --now --reason TEXT"
    said = hold_words.render(found.value)
    assert said.endswith(f"\n  grocer/home: prod still gets what is on main: {gets}; only this stops it: {stop}")
    assert held(shop).document["goes_on"] == found.document["goes_on"], "unchanged tells it, too"
    shop.roll_back(to=first[:12], now=True, reason="bad")
    shop.pass_over()
    before = shop.serves("prod")
    shop.pass_over(later=9 * HOUR)
    assert shop.serves("prod") == before, "what was named stopped it"
    assert "goes_on" not in held(shop).document


@pytest.mark.slow
def test_a_hold_on_all_says_what_goes_on_of_any_target_and_one_by_one_its_own(shop: RingShop) -> None:
    second = ship(shop, 11)
    assert [each["commit"] for each in held(shop, "all").document["goes_on"]] == [second]
    request = hold.Request("", until="2999-01-01", reason="bad", dry_run=True)
    with shop.open() as repo:
        many = holds.change_holds(shop.workspace(repo), [Pattern("*", "*")], request)
    validate("hold-many", many.document)
    assert [[each["commit"] for each in target["goes_on"]] for target in many.document["targets"]] == [[second]]


@pytest.mark.slow
def test_a_hold_stands_where_a_ring_cannot_be_read_and_says_what_is_not_known(
    shop: RingShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(shop, 11)
    shutil.rmtree(shop.root / "canary")
    (shop.root / "canary").symlink_to(shop.root / "canary")
    found = held(shop)
    assert (found.exit_code, found.value.outcome) == (0, "merged")
    (note,) = found.notes
    assert note.startswith("what rings are still given is not known: canary: ")

    def broken(*_: Any) -> None:
        raise OSError(5, "input/output error")

    monkeypatch.setattr(in_rings, "in_rings", broken)
    found = held(shop)
    assert (found.value.outcome, found.notes) == (
        "unchanged",
        ("what rings are still given is not known: input/output error; pointsman rollout shows it",),
    )


@pytest.mark.slow
def test_what_the_next_sync_gives_the_first_ring_is_due_and_a_later_one_keeps_what_it_was_given(shop: RingShop) -> None:
    first, given = shop.main, rings(shop)[1]["given_at"]
    second = ship(shop, 11)
    shop.roll_back(now=True, reason="bad")
    canary, prod = rings(shop)
    assert (canary["commit"], canary["due"], canary["waits_for"]) == (
        *(second, {"commit": shop.main, "at": None}, "nothing"),
    )
    assert (prod["commit"], prod["given_at"], prod["due"]) == (first, given, None)
    assert f"; {shop.main[:12]} is due: the next sync gives it\n" in rollout_words.render(rolled(shop).value)
    assert f"it has {first[:12]}, since {given}" in status_words.render(shop.look().value)
    shop.pass_over(later=60)
    canary, prod = rings(shop)
    assert (canary["commit"], canary["due"], prod["commit"], prod["given_at"]) == (shop.main, None, first, given)


@pytest.mark.slow
def test_what_sync_would_not_give_the_first_ring_is_not_due(shop: RingShop) -> None:
    """It breaks a rule."""
    shop.pull()
    (shop.desk / GROCER.manifest_path).write_text("{}\n")
    shop.push("by hand")
    assert rings(shop)[0]["due"] is None


def test_a_target_that_nobody_knows_is_wrong_usage_and_the_nearest_is_named(shop: RingShop) -> None:
    with pytest.raises(Problem, match=r"^grocer/hme was never shipped here: did you mean grocer/home\?$"):
        rolled(shop, GROCER, Target.parse("grocer/hme"))
    shop.pull()
    git(shop.desk, "rm", "-q", GROCER.manifest_path)
    shop.push("gone")
    assert rolled(shop, GROCER).exit_code == 0, "main had it"


@pytest.mark.slow
def test_sync_and_status_agree_that_a_ring_waits_for_no_restore_whose_bytes_it_has(shop: RingShop) -> None:
    first = shop.manifest
    shop.publish(popularity(shop.root / "p11.json", 11), merge=True, accept=("not-soaked",), reason="at once")
    shop.pass_over(later=60)
    second = shop.manifest
    ship(shop, 12)
    shop.roll_back(now=True, reason="bad")
    shop.pass_over(later=60)
    (shop.root / "prod" / str(GROCER) / "manifest.json").write_bytes(first)
    (target,) = shop.pass_over(later=60).document["targets"]
    told = [(each["outcome"], each.get("waits")) for each in target["places"]]
    assert told == [("unchanged", None), ("written", None)]
    assert (shop.serves("prod") == second, rings(shop)[1]["due"]) == (True, None)


@pytest.mark.slow
def test_status_tells_the_versions_of_a_ring_that_main_does_not_have(shop: RingShop) -> None:
    before = shop.look().document["targets"][0]
    ship(shop, 11)
    (target,) = shop.look(GROCER).document["targets"]
    canary, prod = target["rings"]
    assert ("versions" in canary, prod["versions"]) == (False, before["current"])
    said = status_words.render(shop.look(GROCER).value)
    assert f", since {prod['given_at']}: popularity {before['current']['popularity'][:12]}\n" in said
    assert said.count(": popularity ") == 1, "of canary they are those of main"
    shop.roll_back(now=True, reason="half the items")
    assert "\n  restored: half the items\n" in status_words.render(shop.look(GROCER).value)
