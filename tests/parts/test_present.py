"""What the origin has for gc: here the name that a repository has as the owner of a store."""

from __future__ import annotations

from pathlib import Path

import pytest
from shop import git

from pointsman.repo.open import open_repository
from pointsman.repo.present import identity_ending

ONE = "https://git.example.org/acme/shop"


def ending(desk: Path, url: str) -> str:
    git(desk, "remote", "set-url", "origin", url)
    with open_repository(str(desk)) as repo:
        return identity_ending(repo)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main", "desk")
    git(tmp_path / "desk", "remote", "add", "origin", ONE)
    return tmp_path / "desk"


def test_one_place_has_one_name_by_https_by_ssh_and_as_scp_writes_it(desk: Path) -> None:
    same = (
        ONE, f"{ONE}.git", f"{ONE}/", "https://ci:secret@git.example.org/acme/shop.git",
        "ssh://git@git.example.org/acme/shop.git", "git@git.example.org:acme/shop.git", "git@git.example.org:acme/shop",
    )  # fmt: skip
    assert {ending(desk, url) for url in same} == {ending(desk, ONE)}


def test_another_host_and_another_path_have_other_names(desk: Path) -> None:
    others = "https://git.example.com/acme/shop", "git@git.example.org:acme/shop2.git", "https://git.example.org/shop"
    assert len({ending(desk, url) for url in (ONE, *others)}) == 4


def test_a_repository_has_the_name_of_where_git_fetches_from(desk: Path) -> None:
    there = ending(desk, ONE)
    assert ending(desk, "acme:shop") != there
    git(desk, "config", "url.https://git.example.org/acme/.insteadOf", "acme:")
    assert ending(desk, "acme:shop") == there
    git(desk, "config", "--unset", "url.https://git.example.org/acme/.insteadOf")
    git(desk, "remote", "set-url", "origin", ONE)
    git(desk, "remote", "set-url", "--add", "origin", "https://mirror.example.com/shop")
    with open_repository(str(desk)) as repo:
        assert identity_ending(repo) == there
