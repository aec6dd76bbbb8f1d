"""Pull requests: their targets are those that the diff changes, whatever the message names."""

from __future__ import annotations

from pathlib import Path

import pytest
from shop import GROCER, Shop, git, popularity, refused, twice_shipped

from pointsman.errors import Refused
from pointsman.state.documents import read_manifest


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """The grocer shipped twice. A pull request of the bakery's first ship is open."""
    shop = twice_shipped(tmp_path / "shop")
    shop.publish(popularity(shop.root / "bakery.json", 40, tenant="bakery"))
    return shop


def rides(shop: Shop, *, merges_main: bool = False) -> str:
    """Put the grocer's first state into the open pull request, without a word; its branch."""
    (pull,) = shop.pulls()
    branch: str = pull["branch"]
    git(shop.desk, "fetch", "-q", "origin")
    git(shop.desk, "checkout", "-q", "-B", "theirs", f"origin/{branch}")
    if merges_main:
        git(shop.desk, "merge", "-q", "--no-ff", "--no-edit", "origin/main")
    commits = git(shop.desk, "log", "--format=%H", "origin/main", "--", GROCER.manifest_path).split()
    git(shop.desk, "checkout", "-q", commits[1], "--", GROCER.manifest_path)
    git(shop.desk, "commit", "-q", "--amend", "--no-edit")
    git(shop.desk, "push", "-q", "--force", "origin", f"HEAD:{branch}")
    return branch


@pytest.mark.slow
def test_a_passenger_is_listed_and_not_merged(shop: Shop) -> None:
    branch = rides(shop)
    (pull,) = shop.pulls()
    assert pull["targets"] == ["bakery/home", "grocer/home"]
    main = shop.main
    with pytest.raises(Refused) as error:
        shop.merge("grocer/home")  # it is found by the target that its message does not name
    assert refused(error.value) == {"unvouched-manifest"}
    assert "names only other targets" in str(error.value)
    assert shop.main == main
    assert shop.check("main", branch, where=shop.origin) == ["unvouched-manifest"]


@pytest.mark.slow
def test_a_passenger_that_the_message_tells_of_is_merged(shop: Shop) -> None:
    branch = rides(shop)
    back = read_manifest(git(shop.desk, "show", f"HEAD:{GROCER.manifest_path}").encode() + b"\n", GROCER.manifest_path)
    assert not isinstance(back, list)
    lines = [f"Restores: grocer/home {slot}@{version}" for slot, version in back.versions.items()]
    message = git(shop.desk, "log", "-1", "--format=%B")
    git(shop.desk, "commit", "-q", "--amend", "-m", "\n".join([message, *lines]))
    git(shop.desk, "push", "-q", "--force", "origin", f"HEAD:{branch}")
    assert shop.merge("bakery/home").document["targets"] == ["bakery/home", "grocer/home"]


@pytest.mark.slow
def test_a_passenger_shows_on_a_branch_that_merged_main(shop: Shop) -> None:
    shop.pull()
    (shop.desk / "note.md").write_text("x")
    shop.push("a note")
    rides(shop, merges_main=True)
    (pull,) = shop.pulls()
    assert pull["targets"] == ["bakery/home", "grocer/home"]


@pytest.mark.slow
def test_a_newer_ship_does_not_close_one_that_does_more_than_it_says(shop: Shop) -> None:
    branch = rides(shop)
    shop.publish(popularity(shop.root / "newer.json", 40, tenant="bakery", day=3, salt="x"))
    assert branch in {pull["branch"] for pull in shop.pulls()}
