"""When a tombstone allows gc to take the bytes of its version: on real histories, whatever their clocks say."""

from __future__ import annotations

from pathlib import Path

import pytest
from shop import GROCER, Kept, Shop, git, popularity

from pointsman.gate.gate import Gate
from pointsman.retention.ripe import Tombstones, Verdict
from pointsman.state.documents import Tombstone, rfc3339
from pointsman.verbs import audit
from pointsman.workspace import Workspace

DAY = 86400
NOW = 1_900_000_000
RETENTION = "[retention]\nkeep_days = 1\nkeep_ships = 1\n"


def two_versions(root: Path) -> Shop:
    """Two ships, long ago, and the desk at main."""
    shop = Shop(root, RETENTION)
    for day in (1, 2):
        shop.publish(popularity(root / f"{day}.json", 10 * day, day=day), merge=True)
    shop.pull()
    return shop


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("ripe"), two_versions)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def versions(shop: Shop) -> list[str]:
    """The two versions, the current one last."""
    current = git(shop.origin, "show", f"main:{GROCER.manifest_path}")
    every = [path.stem for path in (shop.desk / "registry/grocer/home/popularity").glob("*.json")]
    return sorted(every, key=lambda version: version in current)


def commit(shop: Shop, when: int, message: str = "by hand") -> None:
    git(shop.desk, "add", "-A")
    git(
        shop.desk, "commit", "-q", "--allow-empty", "-m", message,
        env={"GIT_COMMITTER_DATE": f"@{when} +0000", "GIT_AUTHOR_DATE": f"@{when} +0000"},
    )  # fmt: skip
    git(shop.desk, "push", "-q", "origin", "HEAD:main")


def retire(shop: Shop, version: str, when: int, *, erase: bool = False) -> Path:
    stone = Tombstone(GROCER.tenant, GROCER.surface, "popularity", version, "no longer asked for", erase)
    path = shop.desk / stone.path
    path.write_bytes(stone.render())
    commit(shop, when, "retire")
    return path


def judged(shop: Shop, version: str, now: int = NOW, *, whole: bool = False) -> Verdict:
    """`whole`: after the whole history was read, as audit and site do."""
    with shop.open() as repo:
        main = repo.refresh()
        if whole:
            repo.read_history()
        verdict = Tombstones(Gate(repo), main, now).verdict(GROCER, "popularity", version)
    assert verdict is not None
    return verdict


def why(shop: Shop, version: str, now: int = NOW) -> str:
    return judged(shop, version, now).why


def test_a_version_without_a_tombstone_has_no_verdict(shop: Shop) -> None:
    with shop.open() as repo:
        assert Tombstones(Gate(repo), repo.refresh(), NOW).verdict(GROCER, "popularity", versions(shop)[0]) is None


@pytest.mark.parametrize("whole", [False, True])
def test_a_tombstone_is_ripe_when_it_landed_so_many_days_ago_and_not_a_second_earlier(shop: Shop, whole: bool) -> None:
    old, _ = versions(shop)
    retire(shop, old, NOW - 7 * DAY)
    assert judged(shop, old, whole=whole).is_ripe
    assert "less than 7 days ago" in judged(shop, old, NOW - 1, whole=whole).why


def test_when_it_landed_is_told_and_what_it_says(shop: Shop) -> None:
    old, _ = versions(shop)
    retire(shop, old, NOW - 8 * DAY)
    with shop.open() as repo:
        stones = Tombstones(Gate(repo), repo.refresh(), NOW)
        assert stones.retired_at(GROCER, "popularity", old) == "2030-03-09T17:46:40Z"
    stone = judged(shop, old).tombstone
    assert stone is not None
    assert stone.reason == "no longer asked for"


@pytest.mark.slow
def test_a_tombstone_that_was_taken_back_counts_from_when_it_landed_last(shop: Shop) -> None:
    old, _ = versions(shop)
    path = retire(shop, old, NOW - 30 * DAY)
    path.unlink()
    commit(shop, NOW - 20 * DAY)
    retire(shop, old, NOW - 6 * DAY)
    assert "less than 7 days ago" in why(shop, old)
    assert judged(shop, old, NOW + DAY).is_ripe


@pytest.mark.parametrize(
    "before,its_own,waits",
    [(NOW - 2 * DAY, NOW - 300 * DAY, 5), (NOW - DAY, NOW + 9000 * DAY, 7)],
    ids=["backwards", "far ahead"],
)
def test_until_when_a_tombstone_waits_is_told_by_no_clock_that_is_wrong(
    shop: Shop, before: int, its_own: int, waits: int
) -> None:
    old, _ = versions(shop)
    commit(shop, before)
    retire(shop, old, its_own)
    assert judged(shop, old).until == rfc3339(NOW + waits * DAY)


@pytest.mark.slow
def test_a_clock_that_ran_backwards_makes_nothing_ripe(shop: Shop) -> None:
    old, _ = versions(shop)
    commit(shop, NOW - 2 * DAY)
    retire(shop, old, NOW - 30 * DAY)
    assert "less than 7 days ago" in why(shop, old)


@pytest.mark.parametrize("before", [True, False], ids=["before it", "its own"])
def test_a_commit_dated_2100_makes_nothing_ripe_and_holds_nothing_up_for_ever(shop: Shop, *, before: bool) -> None:
    old, _ = versions(shop)
    far = 4_102_444_800
    if before:
        commit(shop, far)
    retire(shop, old, NOW - 30 * DAY if before else far)
    if not before:
        assert "less than 7 days ago" in why(shop, old)
        commit(shop, NOW - 3 * DAY)
        assert "less than 7 days ago" in why(shop, old)
        assert judged(shop, old, NOW + 4 * DAY).is_ripe
    else:
        assert judged(shop, old).is_ripe


@pytest.mark.slow
def test_to_audit_a_tombstone_of_a_needed_version_is_no_older_for_a_clock_far_ahead(shop: Shop) -> None:
    old, _ = versions(shop)
    retire(shop, old, 4_102_444_800)
    with shop.open() as repo:
        faults = audit.audit(Workspace(repo)).document["faults"]
    assert [(fault["rule"], old in fault["path"]) for fault in faults] == [("still-needed", True)]


@pytest.mark.slow
def test_a_version_that_was_shipped_again_after_its_tombstone_is_needed(shop: Shop) -> None:
    old, new = versions(shop)
    retire(shop, old, NOW - 30 * DAY)
    manifest = shop.desk / GROCER.manifest_path
    manifest.write_text(manifest.read_text().replace(new, old))
    commit(shop, NOW - 20 * DAY)
    assert why(shop, old) == "the manifest on main points to this version: ship another version first"


@pytest.mark.slow
@pytest.mark.parametrize("erase", [False, True])
def test_a_version_that_was_current_again_of_late_is_needed_for_a_rollback_but_for_an_erasure(
    shop: Shop, *, erase: bool
) -> None:
    old, new = versions(shop)
    retire(shop, old, NOW - 30 * DAY, erase=erase)
    manifest = shop.desk / GROCER.manifest_path
    for before, after, hours in ((new, old, 48), (old, new, 12)):
        manifest.write_text(manifest.read_text().replace(before, after))
        commit(shop, NOW - hours * 3600)
    assert judged(shop, old).is_ripe is erase
    assert erase or "a rollback may need it" in why(shop, old)


@pytest.mark.slow
def test_a_tombstone_with_erase_waits_too_but_for_no_rollback(shop: Shop) -> None:
    old, new = versions(shop)
    for version in (old, new):
        retire(shop, version, NOW - 7 * DAY, erase=True)
    assert judged(shop, old).is_ripe
    assert "points to this version" in why(shop, new)
    assert "less than 7 days ago" in why(shop, old, NOW - 1)


def test_a_tombstone_that_cannot_be_read_allows_nothing(shop: Shop) -> None:
    old, _ = versions(shop)
    path = retire(shop, old, NOW - 60 * DAY)
    path.write_text("{}")
    commit(shop, NOW - 30 * DAY)
    found = judged(shop, old)
    assert found.tombstone is None
    assert "cannot be read" in found.why


def test_with_wait_days_0_a_tombstone_is_ripe_at_once(shop: Shop) -> None:
    old, _ = versions(shop)
    settings = shop.desk / "pointsman.toml"
    settings.write_text(settings.read_text().replace("[retention]", "[retention]\nwait_days = 0"))
    retire(shop, old, NOW)
    assert judged(shop, old).is_ripe


def settings(shop: Shop, retention: str, when: int) -> None:
    path = shop.desk / "pointsman.toml"
    path.write_text(path.read_text().replace(RETENTION, retention))
    commit(shop, when, "settings")


def may_be_gone(shop: Shop, version: str, now: int = NOW) -> bool:
    with shop.open() as repo:
        return Tombstones(Gate(repo), repo.refresh(), now).may_be_gone(GROCER, "popularity", version)


LONGER = [
    RETENTION + "wait_days = 60\n",
    RETENTION.replace("days = 1", "days = 3000"),
    RETENTION.replace("ships = 1", "ships = 10"),
]


@pytest.mark.slow
@pytest.mark.parametrize("longer", LONGER, ids=["wait_days", "keep_days", "keep_ships"])
def test_what_may_have_gone_by_earlier_settings_may_be_gone_by_longer_ones(shop: Shop, longer: str) -> None:
    old, current = versions(shop)
    retire(shop, old, NOW - 20 * DAY)
    settings(shop, longer, NOW - 13 * DAY + 1)
    assert may_be_gone(shop, old), "for a second it was ripe"
    assert not judged(shop, old).is_ripe
    assert not may_be_gone(shop, current), "it has no tombstone"


@pytest.mark.slow
def test_what_was_never_ripe_by_any_settings_is_not_gone(shop: Shop) -> None:
    old, _ = versions(shop)
    retire(shop, old, NOW - 20 * DAY)
    settings(shop, RETENTION + "wait_days = 60\n", NOW - 13 * DAY - 1)
    assert not may_be_gone(shop, old)
    assert may_be_gone(shop, old, NOW + 40 * DAY)


@pytest.mark.slow
def test_settings_dated_2100_make_nothing_gone(shop: Shop) -> None:
    old, _ = versions(shop)
    retire(shop, old, NOW - DAY)
    settings(shop, RETENTION + "wait_days = 60\n", 4_102_444_800)
    assert not may_be_gone(shop, old)


@pytest.mark.slow
def test_settings_from_before_a_tombstone_landed_last_and_such_as_cannot_be_read_tell_nothing(shop: Shop) -> None:
    old, _ = versions(shop)
    path = retire(shop, old, NOW - 40 * DAY)
    path.unlink()
    (shop.desk / "pointsman.toml").write_text("[store")
    commit(shop, NOW - 30 * DAY)
    retire(shop, old, NOW - 29 * DAY)
    git(shop.desk, "checkout", "-q", "HEAD~2", "--", "pointsman.toml")
    settings(shop, RETENTION + "wait_days = 60\n", NOW - 10 * DAY)
    assert not may_be_gone(shop, old)


@pytest.mark.slow
def test_what_is_current_again_is_not_gone(shop: Shop) -> None:
    """By a push past the checks: then serving needs it, whatever its tombstone said before."""
    old, current = versions(shop)
    retire(shop, old, NOW - 20 * DAY)
    settings(shop, RETENTION + "wait_days = 1\n", NOW - 5 * DAY)
    assert may_be_gone(shop, old)
    manifest = shop.desk / GROCER.manifest_path
    manifest.write_text(manifest.read_text().replace(current, old))
    commit(shop, NOW - DAY)
    assert not may_be_gone(shop, old)
