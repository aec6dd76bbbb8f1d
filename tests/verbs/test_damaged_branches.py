"""A branch that its origin tells and cannot give stops nobody but whoever ships by it, and gc, which must know it."""

from __future__ import annotations

from pathlib import Path

import pytest
from shop import Shop, git, popularity

from pointsman.errors import Unreachable
from pointsman.verbs import gc, refresh
from pointsman.workspace import Workspace

pytestmark = pytest.mark.slow
TENANTS = ("bookshop", "grocer", "toyshop")


def branch_of(shop: Shop, tenant: str) -> str:
    return git(shop.origin, "for-each-ref", "--format=%(refname)", f"refs/heads/ship/{tenant}/**")


def a_file(shop: Shop, revision: str) -> Path:
    oid = git(shop.origin, "rev-parse", revision)
    return shop.origin / "objects" / oid[:2] / oid[2:]


def spoil(shop: Shop, ref: str, kind: str) -> None:
    tenant = ref.split("/")[3] if ref.count("/") > 2 else "grocer"
    path = {
        "a commit": a_file(shop, ref),
        "a tree": a_file(shop, f"{ref}^{{tree}}"),
        "a file": a_file(shop, f"{ref}:manifests/{tenant}/home/manifest.json"),
        "a ref": shop.origin / ref,
    }[kind.removesuffix(" is empty")]
    path.unlink()
    if kind == "a ref":
        path.write_text("garbage\n")
    elif kind.endswith("is empty"):
        path.touch()


def fresh(shop: Shop) -> str:
    """A clone that has main alone, as a runner of CI makes it."""
    there = shop.root / "runner"
    git(shop.root, "clone", "-q", "--single-branch", f"file://{shop.origin}", str(there))
    return str(there)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "shop")
    first = [popularity(tmp_path / f"{each}.json", 10, tenant=each) for each in TENANTS]
    shop.publish(*first, merge=True)
    shop.publish(*(popularity(tmp_path / "b" / f"{each}.json", 11, tenant=each, salt="b") for each in TENANTS))
    return shop


KINDS = ("a commit", "a commit is empty", "a tree", "a tree is empty", "a file", "a file is empty", "a ref")


@pytest.mark.parametrize(
    "kind, tenant", [*((kind, "grocer") for kind in KINDS), ("a tree", "bookshop"), ("a tree", "toyshop")]
)
def test_a_damaged_branch_stops_no_other(shop: Shop, kind: str, tenant: str) -> None:
    ref = branch_of(shop, tenant)
    spoil(shop, ref, kind)
    others = sorted(f"{each}/home" for each in TENANTS if each != tenant)
    runner = fresh(shop)
    with shop.open(runner) as repo:
        refreshed = refresh.refresh(Workspace(repo))
        repo.refresh()
        (told,) = repo.notes
        assert told.startswith(f"{ref.removeprefix('refs/heads/')} is left out, ")
        assert "delete it there" in told
        with pytest.raises(Unreachable, match="gc takes nothing"):
            gc.gc(Workspace(repo), gc.Request(delete=True))
    assert sorted(target for each in refreshed.value.pull_requests for target in each.targets) == others
    assert shop.sync(runner).exit_code == 0


@pytest.mark.parametrize("kind", ["a commit", "a ref"])
def test_where_git_takes_no_push_beside_a_damaged_branch_it_is_told(shop: Shop, kind: str) -> None:
    """Git looks at all refs of an origin before it takes a commit, and deletes what it was to delete with it."""
    ref, other = branch_of(shop, "grocer"), branch_of(shop, "toyshop")
    was = git(shop.origin, "rev-parse", other)
    spoil(shop, ref, kind)
    with pytest.raises(Unreachable) as raised:
        shop.merge("toyshop/home", fresh(shop))
    assert "objects of its own are missing there" in str(raised.value)
    assert "git fsck there shows which" in str(raised.value)
    gone = not (shop.origin / other).exists()
    assert (f"deleted {other} at {was} all the same" in str(raised.value)) == gone


@pytest.mark.parametrize("kind", ["a commit", "a tree is empty"])
def test_a_damaged_main_stops_all(shop: Shop, tmp_path: Path, kind: str) -> None:
    runner = fresh(shop)
    shop.publish(popularity(tmp_path / "d.json", 13, salt="d"), merge=True)
    spoil(shop, "refs/heads/main", kind)
    with shop.open(runner) as repo, pytest.raises(Unreachable, match="cannot fetch main from origin"):
        repo.refresh()


@pytest.mark.parametrize("kind", ["a commit", "a commit is empty", "a tree", "a tree is empty"])
def test_a_damaged_branch_of_a_repository_that_is_its_own_origin_stops_no_other(shop: Shop, kind: str) -> None:
    ref = branch_of(shop, "grocer")
    spoil(shop, ref, kind)
    with shop.open(shop.origin) as repo:
        refreshed = refresh.refresh(Workspace(repo))
        (told,) = repo.notes
        assert told.startswith(f"{ref.removeprefix('refs/heads/')} is left out, because it cannot be read")
    found = sorted(target for each in refreshed.value.pull_requests for target in each.targets)
    assert found == ["bookshop/home", "toyshop/home"]
    assert shop.sync(shop.origin).exit_code == 0
