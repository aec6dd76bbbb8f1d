"""One odd pull request among others: whoever may push a branch can open it, and it stops nobody else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shop import GROCER, Kept, Shop, cooc, git, popularity

from pointsman.state.objects import object_id
from pointsman.verbs import doctor, pr, refresh, review, status
from pointsman.workspace import Workspace

pytestmark = pytest.mark.slow
ABSENT = "f" * 64


def tree_with(shop: Shop, *paths: str) -> str:
    """The tree of main with files at these paths, whatever their names, and nothing below them."""
    with shop.open(shop.origin) as repo:
        repo.refresh()
        tree = repo.tree_of(repo.main)
        there = [change.path for change in repo.git.differences(object_id("tree", b""), tree)]
        for path in paths:
            for new in (dict.fromkeys(each for each in there if each.startswith(f"{path}/")), {path: b"{}\n"}):
                tree = repo.tree_with(tree, new)
                repo.commit(tree, [repo.main], "a tree is written with its commit")
        return tree


def committed(shop: Shop, tree: str, message: str = "odd\n", *parents: str) -> str:
    return git(shop.origin, "commit-tree", tree, *(f"-p{each}" for each in parents or ("main",)), given=message)


def raw(shop: Shop, kind: str, content: bytes) -> str:
    path = shop.root / "raw"
    path.write_bytes(content)
    return git(shop.origin, "hash-object", "-w", "-t", kind, "--literally", str(path))


def root_commit(shop: Shop) -> str:
    return git(shop.origin, "commit-tree", tree_with(shop, "manifests/grocer/home/manifest.json"), given="of nobody\n")


def without_a_date(shop: Shop) -> str:
    return raw(shop, "commit", b"tree %s\nparent %s\n\nodd\n" % (git(shop.origin, "rev-parse", "main^{tree}").encode(),
                                                               shop.main.encode()))  # fmt: skip


def of_an_odd_tree(shop: Shop) -> str:
    oid = bytes.fromhex(git(shop.origin, "rev-parse", "main:pointsman.toml"))
    return committed(shop, raw(shop, "tree", b"100644 b\0%s100644 a\0%s" % (oid, oid)))


def lines(shop: Shop, target: str = "grocer/home", supersedes: str = "none", version: str = ABSENT) -> str:
    tree = tree_with(shop, f"manifests/{target}/manifest.json")
    said = (
        f"Manifest: {target} sha256:{ABSENT}\nSupersedes: {target} {supersedes}\nRecord: {target} popularity@{version}"
    )
    return committed(shop, tree, f"ship: {target}\n\n{said}\n")


ODD: dict[str, Callable[[Shop], str]] = {
    "main itself": lambda shop: shop.main,
    "an older main": lambda shop: git(shop.origin, "rev-parse", "main~1"),
    "another history": root_commit,
    "no date": without_a_date,
    "an odd tree": of_an_odd_tree,
    "nothing": lambda shop: committed(shop, git(shop.origin, "mktree", given="")),
    "no change": lambda shop: committed(shop, "main^{tree}"),
    "a reserved tenant": lambda shop: committed(shop, tree_with(shop, "manifests/registry/home/manifest.json")),
    "a name that is none": lambda shop: committed(shop, tree_with(shop, "manifests/-/a b/manifest.json")),
    "a name that is no text": lambda shop: committed(shop, tree_with(shop, "manifests/\udcff/home/manifest.json")),
    "a file for a folder": lambda shop: committed(shop, tree_with(shop, "manifests/grocer/home")),
    "spoiled settings": lambda shop: committed(shop, tree_with(shop, "pointsman.toml")),
    "a version without a record": lines,
    "a target of nobody": lambda shop: lines(shop, "nobody/home"),
    "a commit that is none": lambda shop: lines(shop, supersedes="0" * 40),
    "a message of signs": lambda shop: committed(shop, "main^{tree}", "\x1b[31m\u202e\n\nManifest: \x07\n"),
}


def branch_of(place: int) -> str:
    return f"ship/grocer/odd{place}/{place:012x}"


def many(root: Path) -> Shop:
    """Two targets: one is stale, because main moved; and one odd pull request of each kind."""
    shop = Shop(root)
    shop.publish(popularity(root / "first.json", 30), merge=True)
    shop.publish(popularity(root / "popularity.json", 30, day=2, salt="x"))
    shop.publish(cooc(root / "cooc.json", 20, day=2))
    (pull,) = [pull for pull in shop.pulls() if " popularity " in pull["title"]]
    shop.merge(pull["id"])
    shop.sync()
    for place, make in enumerate(ODD.values()):
        git(shop.origin, "update-ref", f"refs/heads/{branch_of(place)}", make(shop))
    return shop


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("odd"), many)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def of_cooc(shop: Shop) -> dict[str, Any]:
    (pull,) = [pull for pull in shop.pulls() if "/odd" not in pull["branch"]]
    return pull


def test_each_is_listed_with_all_that_it_changes(shop: Shop) -> None:
    listed = {each["branch"]: each for each in shop.pulls()}
    assert len(listed) == len(ODD) + 1
    targets = {name: listed[branch_of(place)]["targets"] for place, name in enumerate(ODD)}
    assert targets["a target of nobody"] == ["nobody/home"]
    assert targets["another history"] == targets["no change"] == []
    assert targets["main itself"] == [str(GROCER)]
    assert targets["nothing"] == [str(GROCER)]


def test_refresh_rebuilds_the_others_and_tells_of_each(shop: Shop) -> None:
    good = of_cooc(shop)
    with shop.open() as repo:
        outcome = refresh.refresh(Workspace(repo))
    told = {each["branch"]: each for each in outcome.document["pull_requests"]}
    assert outcome.exit_code == 5
    assert len(told) == len(ODD) + 1
    assert told[good["branch"]]["outcome"] == "rebuilt"
    failed = [told[branch_of(list(ODD).index(name))] for name in ("a version without a record", "a target of nobody")]
    assert "has no record on main: close it" in failed[0]["says"]
    assert {each["outcome"] for each in told.values()} == {"rebuilt", "fresh", "failed", "closed"}


def test_the_commands_that_read_all_of_them_go_on(shop: Shop) -> None:
    with shop.open() as repo:
        for place in range(len(ODD)):
            pr.show(Workspace(repo), branch_of(place))
        refresh.refresh(Workspace(repo))
        assert status.status(Workspace(repo), ()).exit_code == 0
        assert doctor.doctor(Workspace(repo)).exit_code == 0
        good = of_cooc(shop)
        assert review.review(Workspace(repo), good["id"]).exit_code == 0
    shop.merge(good["id"])
    shop.publish(popularity(shop.root / "other.json", 30, surface="cart"), merge=True)
    assert shop.sync().exit_code == 0


def test_each_can_be_closed(shop: Shop) -> None:
    with shop.open() as repo:
        for place in range(len(ODD)):
            pr.close(Workspace(repo), branch_of(place))
    assert len(shop.pulls()) == 1
