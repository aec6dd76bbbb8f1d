"""Reviews where there are rings: what each shows, what waits, and what the last ships took from ring to ring."""

from __future__ import annotations

import html
from pathlib import Path

import pytest
from msgspec.structs import replace
from output_schemas import validate
from rings import HOUR, RingShop
from shop import Shop

from pointsman.report.review import html as review_html
from pointsman.report.review import in_rings, markdown, terminal
from pointsman.report.review.value import Review
from pointsman.shipping import page, pulls
from pointsman.verbs import review
from pointsman.workspace import Workspace


def reviewed(shop: RingShop, *, offline: bool = False) -> Review:
    with shop.open() as repo:
        found = review.review(replace(shop.workspace(repo), offline=offline), "grocer/home")
    validate("review", found.document)
    return found.value


@pytest.mark.slow
def test_a_review_says_what_each_ring_shows_and_what_the_last_ships_took(tmp_path: Path) -> None:
    shop = RingShop(tmp_path / "shop")
    shop.publish(day=1, merge=True)
    shop.pass_over()
    shop.publish(day=2, merge=True)
    second = shop.main
    shop.pass_over()
    shop.pass_over(later=3 * HOUR)
    shop.publish(day=3, accept=("items-drop", "kept-low", "size-jump"), reason="a sale", merge=True)
    third = shop.main
    shop.pass_over()
    shop.publish(day=1, reship=True, accept=("window-regressed", "size-jump"), reason="again")
    found = reviewed(shop)
    assert [(each.ring, each.took, each.before) for each in found.rings or ()] == [
        ("canary", [], None), ("prod", [0, 3 * HOUR], "canary"),
    ]  # fmt: skip
    canary = f"grocer/home in canary: {third[:12]} since 2030-03-17T20:46:40Z"
    prod = f"grocer/home in prod: {second[:12]} since 2030-03-17T20:46:40Z; {third[:12]} waits until "
    prod += "2030-03-17T22:46:40Z; from canary its last ships took 0 s, 3 h"
    with shop.open() as repo:
        repo.refresh()
        (pull,) = pulls.open_pulls(shop.workspace(repo))
        on_the_forge = page.page_of(shop.workspace(repo), pull.branch, pull.head, "ship: x\n", []).body()
    for told in (terminal.render(found, 300), markdown.render(found), review_html.render(found), on_the_forge):
        assert canary in html.unescape(told)
        assert prod in html.unescape(told)
    assert reviewed(shop, offline=True).rings is None


@pytest.mark.parametrize("name", ["canary", pytest.param("prod", marks=pytest.mark.slow)])
def test_a_ring_that_cannot_be_read_is_told_and_asked_once(tmp_path: Path, name: str) -> None:
    shop = RingShop(tmp_path / "shop")
    shop.publish(day=1, merge=True)
    shop.pass_over()
    shop.publish(day=2)
    (shop.root / name).rename(shop.root / "kept")
    (shop.root / name).symlink_to(shop.root / name)
    found = reviewed(shop)
    told = {each.ring: each.state for each in found.rings or ()}
    assert [ring for ring, state in told.items() if state is None] == [name]
    assert f"grocer/home in {name}: cannot be read: " in html.unescape(markdown.render(found))
    with shop.open() as repo:
        workspace = shop.workspace(repo)
        repo.refresh()
        before = in_rings.in_rings(workspace, ["grocer/home"])
        (shop.root / name).unlink()
        (shop.root / "kept").rename(shop.root / name)
        assert in_rings.in_rings(workspace, ["grocer/home"]) == before  # it is not asked again
        assert in_rings.in_rings(workspace.again(), ["grocer/home"]) != before


@pytest.mark.slow
def test_without_rings_nothing_more_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(day=1, merge=True)
    shop.publish(day=2)
    monkeypatch.setattr(in_rings, "open_place", _never)
    with shop.open() as repo:
        found = review.review(Workspace(repo), "grocer/home")
    assert "rings" not in found.document


def _never(*_: object) -> None:
    raise AssertionError
