"""Break-glass with rings: what is taken out of one ring reaches no later one, and who never had it stays as it is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from broken_glass import SETTINGS, manifests
from rings import HOUR, START, RingShop
from shop import GROCER, Kept, git, popularity
from signers import key_of, signer

from pointsman.repo.open import open_repository
from pointsman.state.claim import NAMESPACE
from pointsman.verbs import break_glass, ratify


def made(root: Path) -> RingShop:
    """Two ships, each in both rings."""
    shop = RingShop(root, SETTINGS)
    (shop.desk / "allowed_signers").write_text(signer("ann", options=f'namespaces="{NAMESPACE}"'))
    shop.push("signers")
    for number in (1, 2):
        ship(shop, number)
        shop.pass_over(later=2 * HOUR)
    return shop


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("glass-rings"), made)


@pytest.fixture
def shop(kept: Kept) -> RingShop:
    shop = kept.fresh()
    assert isinstance(shop, RingShop)
    shop.now = START + 5 * HOUR
    return shop


def ship(shop: RingShop, number: int) -> None:
    """Another ship, which the first ring has at once."""
    shop.publish(popularity(shop.root / f"p{number}.json", 10 + number, day=number), merge=True)
    shop.pass_over()


def breaks(shop: RingShop, to: int | None = None, *, dry_run: bool = False) -> list[str]:
    """Break-glass, to the state of a ship; what it says of each ring."""
    commits = git(shop.origin, "log", "--reverse", "--format=%H", "main", "--", GROCER.manifest_path).split()
    to_commit = commits[to - 1] if to else None
    request = break_glass.Request(GROCER, "broken", to=to_commit, key=str(key_of("ann")), dry_run=dry_run)
    clock = datetime.fromtimestamp(shop.now, UTC)
    (target,) = break_glass.break_glass(shop.desk, request, lambda _: None, clock=lambda: clock).value.targets
    return [each.outcome for each in target.places or ()]


def shows(shop: RingShop) -> tuple[int, int]:
    """The ship that each ring has."""
    return shown(shop, "canary"), shown(shop, "prod")


def shown(shop: RingShop, ring: str) -> int:
    return manifests(shop)[::-1].index(shop.serves(ring) or b"") + 1


@pytest.mark.slow
def test_a_ring_that_never_had_what_is_taken_out_keeps_what_it_has_and_is_held(shop: RingShop) -> None:
    ship(shop, 3)
    assert shows(shop) == (3, 2)
    assert breaks(shop) == ["claimed", "claimed"]
    assert shows(shop) == (2, 2)
    shop.pass_over(later=3 * HOUR)
    assert shows(shop) == (2, 2)
    assert breaks(shop) == ["unchanged", "unchanged"]
    with open_repository(str(shop.desk)) as repo:
        ratify.ratify(shop.workspace(repo))
    shop.pass_over(later=3 * HOUR)
    assert (shows(shop), shop.manifest) == ((2, 2), shop.serves("prod"))


@pytest.mark.slow
@pytest.mark.parametrize("synced", [True, False])
def test_when_a_claim_ends_what_it_took_out_begins_anew(shop: RingShop, synced: bool) -> None:
    ship(shop, 3)
    shop.pass_over(later=HOUR)
    breaks(shop)
    if synced:
        shop.pass_over(later=HOUR)
    shop.pass_over(later=25 * HOUR)
    assert shows(shop) == (3, 2), "main decides again, and the third ship was an hour in the first ring"
    shop.pass_over(later=2 * HOUR - 1)
    assert shows(shop) == (3, 2)
    shop.pass_over(later=1)
    assert shows(shop) == (3, 3)


@pytest.mark.slow
def test_a_ring_that_has_it_goes_back_with_the_first(shop: RingShop) -> None:
    ship(shop, 3)
    shop.pass_over(later=2 * HOUR)
    assert shows(shop) == (3, 3)
    assert breaks(shop) == ["claimed", "claimed"]
    assert shows(shop) == (2, 2)


@pytest.mark.slow
def test_further_back_a_later_ring_goes_only_as_far_as_it_must(shop: RingShop) -> None:
    """Main moved on in between, and the second ring never had the third ship."""
    ship(shop, 3)
    ship(shop, 4)
    shop.pass_over(later=2 * HOUR)
    ship(shop, 5)
    assert shows(shop) == (5, 4)
    assert breaks(shop, to=3, dry_run=True) == ["dry-run", "dry-run"]
    assert shows(shop) == (5, 4)
    assert breaks(shop, to=3) == ["claimed", "claimed"]
    assert shows(shop) == (3, 2)
    shop.pass_over(later=3 * HOUR)
    assert shows(shop) == (3, 2)


@pytest.mark.slow
def test_where_the_first_ring_cannot_be_reached_the_next_one_leads(shop: RingShop) -> None:
    (shop.root / "canary").rename(shop.root / "away")
    (shop.root / "canary").symlink_to(shop.root / "canary")
    assert breaks(shop) == ["claimed"]
    assert shown(shop, "prod") == 1


@pytest.mark.slow
def test_where_nothing_is_taken_out_nothing_is_claimed(shop: RingShop) -> None:
    assert breaks(shop, to=2) == ["unchanged", "unchanged"]
    shop.pass_over()
    ship(shop, 3)
    assert shows(shop) == (3, 2)
