"""Every forge does what every forge must: a local one, from a clone and from itself, and each stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from forge_server import Shown
from forge_suite import MESSAGE, ForgeSuite, Ground
from forge_team import Team
from forges.stand_ins import fast, stand_in
from shop import Shop

from pointsman.errors import MovedFirst
from pointsman.forge.base import Opened
from pointsman.forge.local import LocalForge
from pointsman.repo.moves import Move


@contextmanager
def clone(request: pytest.FixtureRequest) -> Iterator[Ground]:
    """A local forge, from a clone."""
    path: Path = request.getfixturevalue("tmp_path")
    shop = Shop(path / "shop")
    with shop.open() as repo:
        repo.refresh()
        yield Ground(shop.origin, repo, LocalForge(repo))


@contextmanager
def itself(request: pytest.FixtureRequest) -> Iterator[Ground]:
    """A local forge, from the repository itself."""
    path: Path = request.getfixturevalue("tmp_path")
    shop = Shop(path / "shop")
    with shop.open(shop.origin) as repo:
        repo.refresh()
        yield Ground(shop.origin, repo, LocalForge(repo))


def standing(request: pytest.FixtureRequest, kind: str) -> Iterator[Ground]:
    """A stand-in that asks for no approval, and leaves branches alone; the adapter waits for nothing."""
    path: Path = request.getfixturevalue("tmp_path")
    with stand_in(kind, path / "hub", request.getfixturevalue("monkeypatch")) as hub:
        hub.needs_review = False
        hub.keep_branches()
        with Team(path, hub).open() as repo:
            repo.refresh()

            def shown(opened: Opened) -> Shown:
                return hub.shown(int(opened.number))

            def say(opened: Opened, text: str) -> None:
                hub.say(int(opened.number), text)

            yield Ground(hub.repo, repo, fast(repo, hub), shown, say)


@contextmanager
def github(request: pytest.FixtureRequest) -> Iterator[Ground]:
    yield from standing(request, "github")


@contextmanager
def gitlab(request: pytest.FixtureRequest) -> Iterator[Ground]:
    yield from standing(request, "gitlab")


@contextmanager
def gitea(request: pytest.FixtureRequest) -> Iterator[Ground]:
    yield from standing(request, "gitea")


@contextmanager
def forgejo(request: pytest.FixtureRequest) -> Iterator[Ground]:
    yield from standing(request, "forgejo")


SLOW = [pytest.param(each, marks=pytest.mark.slow) for each in (itself, github, gitlab, gitea, forgejo)]


@pytest.fixture(params=[clone, *SLOW], ids=lambda kind: kind.__name__)
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    made: AbstractContextManager[Ground] = request.param(request)
    with made as ground:
        yield ground


class TestForges(ForgeSuite):
    """Each forge is a line in the fixture."""


@pytest.mark.parametrize("ground", [clone, itself], indirect=True, ids=["clone", "itself"])
def test_the_local_forge_merges_onto_exactly_that_main(ground: Ground) -> None:
    opened, main = ground.opened(), ground.repo.main
    moved = ground.push("main", "somebody's")
    with pytest.raises(MovedFirst):
        ground.forge.merge(opened, main, MESSAGE, "Ann <ann@example.org>")
    assert ground.heads() == {"main": moved, opened.branch: opened.head}


@pytest.mark.parametrize("whose", ["own", "own, with another message", "somebody's"])
def test_the_local_forge_squashes_all_but_the_one_commit_that_its_process_has_just_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    shop, ref, author = Shop(tmp_path / "shop"), "refs/heads/ship/grocer/home/1", "Ann <ann@example.org>"
    with shop.open() as maker, shop.open() as other:
        main = maker.refresh()
        with monkeypatch.context() as then:
            then.setenv("GIT_COMMITTER_DATE", "2020-01-01T00:00:00Z")
            tree = maker.tree_with(maker.tree_of(main), {"manifests/grocer/home/manifest.json": b"{}"})
            head = maker.commit(tree, [main], MESSAGE, author=author)
        maker.move([Move(ref, head, None)], passing=True)
        repo = other if whose == "somebody's" else maker
        repo.refresh()
        message = f"{MESSAGE}Reviewed-by: Bob" if whose == "own, with another message" else MESSAGE
        merged = LocalForge(repo).merge(Opened("ship/grocer/home/1", head), main, message, author)
        assert shop.main == merged
        assert (merged == head) == (whose == "own")
        assert repo.tree_of(merged) == tree
        assert ref not in repo.heads
