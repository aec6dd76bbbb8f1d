"""Every forge does what every forge must: a local one, from a clone and from itself, and the stand-in for GitHub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from forge_suite import MESSAGE, ForgeSuite, Ground, Shown
from gitea import conftest as gitea_stand_in
from gitea.hub import Hub as GiteaHub
from gitea.team import Team as GiteaTeam
from github import conftest as stand_in
from github.hub import TOKEN, Hub
from github.team import Team
from gitlab import conftest as gitlab_stand_in
from gitlab.hub import Hub as GitLabHub
from gitlab.team import Team as GitLabTeam
from shop import Shop

from pointsman.errors import MovedFirst
from pointsman.forge.base import Opened
from pointsman.forge.github.client import Client
from pointsman.forge.github.pulls import GitHub, open_github
from pointsman.forge.http import Pacer
from pointsman.forge.local import LocalForge
from pointsman.repo.origin import Move

hub = stand_in.hub


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


@contextmanager
def github(request: pytest.FixtureRequest) -> Iterator[Ground]:
    """The stand-in for GitHub, which asks for no approval and leaves branches alone; the adapter waits for nothing."""
    path: Path = request.getfixturevalue("tmp_path")
    hub: Hub = request.getfixturevalue("hub")
    hub.needs_review = False
    hub.settings["delete_branch_on_merge"] = False

    def shown(opened: Opened) -> Shown:
        pull = hub.pulls[int(opened.number)]
        said = [each["body"] for each in hub.comments.get(pull["number"], [])]
        return Shown(pull["title"], pull["body"], pull["labels"], said, pull["state"] == "open")

    with Team(path, hub).open() as repo:
        repo.refresh()
        client = Client(open_github(repo).place, lambda: TOKEN, Pacer(sleep=lambda seconds: None, patience=1000))
        repo.held.callback(client.close)
        adapter = GitHub(repo, client)
        yield Ground(hub.repo, repo, adapter, shown, lambda opened, text: hub.say(int(opened.number), text))


def _gitea(request: pytest.FixtureRequest, brand: str) -> Iterator[Ground]:
    """The stand-in for Gitea or Forgejo, which asks for no approval; the adapter waits for nothing."""
    path: Path = request.getfixturevalue("tmp_path")
    request.getfixturevalue("monkeypatch").setenv("NO_PROXY", "127.0.0.1")
    hub = GiteaHub(path / "hub", brand)
    hub.needs_review = False

    def shown(opened: Opened) -> Shown:
        pull = hub.pulls[int(opened.number)]
        said = [each["body"] for each in hub.comments.get(pull["number"], [])]
        labels = [each["name"] for each in pull["labels"]]
        return Shown(pull["title"], pull["body"], labels, said, pull["state"] == "open")

    with GiteaTeam(path, hub).open() as repo:
        repo.refresh()
        adapter = gitea_stand_in.fast(repo, hub)
        yield Ground(hub.repo, repo, adapter, shown, lambda opened, text: hub.say(int(opened.number), text))
    hub.close()
    assert hub.wrong == []


@contextmanager
def gitlab(request: pytest.FixtureRequest) -> Iterator[Ground]:
    """The stand-in for GitLab, which asks for no approval and leaves branches alone; the adapter waits for nothing."""
    path: Path = request.getfixturevalue("tmp_path")
    hub = GitLabHub(path / "hub")
    gitlab_stand_in.environment(hub, request.getfixturevalue("monkeypatch"))
    hub.needs_approval = False
    hub.settings["remove_source_branch_after_merge"] = False

    def shown(opened: Opened) -> Shown:
        pull = hub.pulls[int(opened.number)]
        said = [each["body"] for each in hub.comments.get(pull["iid"], [])]
        return Shown(pull["title"], pull["description"], pull["labels"], said, pull["state"] == "opened")

    with GitLabTeam(path, hub).open() as repo:
        repo.refresh()
        adapter = gitlab_stand_in.fast(repo)
        yield Ground(hub.repo, repo, adapter, shown, lambda opened, text: hub.say(int(opened.number), text))
    hub.close()
    assert hub.wrong == []


@contextmanager
def gitea(request: pytest.FixtureRequest) -> Iterator[Ground]:
    yield from _gitea(request, "Gitea")


@contextmanager
def forgejo(request: pytest.FixtureRequest) -> Iterator[Ground]:
    yield from _gitea(request, "Forgejo")


SLOW = [pytest.param(each, marks=pytest.mark.slow) for each in (itself, gitlab, gitea, forgejo)]


@pytest.fixture(params=[clone, github, *SLOW], ids=lambda kind: kind.__name__)
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
