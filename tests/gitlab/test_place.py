"""Which project a remote is, and where its token goes: to one host, and into nothing that others can read."""

from __future__ import annotations

import base64

import pytest

from pointsman.errors import Problem
from pointsman.forge.gitlab.place import git_environment, place_of, server
from pointsman.forge.open import credentials


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITLAB_HOST", "GITLAB_TOKEN", "CI_SERVER_URL", "CI_JOB_TOKEN", "GITHUB_SERVER_URL", "GH_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "remote",
    [
        "https://gitlab.com/shop/data/manifests",
        "https://gitlab.com/shop/data/manifests.git",
        "https://gitlab.com/shop/data/manifests/",
        "https://gitlab-ci-token:secret@gitlab.com/shop/data/manifests.git",
        "https://GitLab.com/shop/data/manifests.git",
        "git@gitlab.com:shop/data/manifests.git",
        "ssh://git@gitlab.com/shop/data/manifests.git",
        "ssh://git@altssh.gitlab.com:443/shop/data/manifests.git",
    ],
)
def test_a_remote_names_its_project_however_it_is_written(remote: str) -> None:
    place = place_of(remote)
    assert place is not None
    assert (place.path, place.root) == ("shop/data/manifests", "/projects/shop%2Fdata%2Fmanifests")
    assert place.api == "https://gitlab.com/api/v4"


@pytest.mark.parametrize(
    "remote",
    [
        None,
        "/srv/manifests.git",
        "https://github.com/shop/manifests.git",
        "https://gitlab.com.evil.example/shop/manifests.git",
        "https://gitlab.com:8443/shop/manifests.git",
        "http://gitlab.com/shop/manifests.git",
        "https://gitlab.com/shop",
        "https://gitlab.com/shop/../manifests",
        "https://gitlab.com/shop/manifests?x=/y",
        "git@evil.example:shop/manifests.git",
    ],
)
def test_what_is_not_on_that_gitlab_is_none_and_gets_no_token(
    monkeypatch: pytest.MonkeyPatch, remote: str | None
) -> None:
    monkeypatch.setenv("GITLAB_TOKEN", "secret")
    found = place_of(remote)
    assert found is None or found.path == "shop/manifests", "a query is no part of a path"
    if found is None:
        assert git_environment(remote) is None


def test_an_instance_may_be_below_a_path_which_ssh_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITLAB_HOST", "https://forge.example.com/gitlab/")
    for remote in (
        "https://forge.example.com/gitlab/shop/data/manifests.git",
        "git@forge.example.com:shop/data/manifests",
    ):
        place = place_of(remote)
        assert place is not None
        assert (place.path, place.api) == ("shop/data/manifests", "https://forge.example.com/gitlab/api/v4")
    assert place_of("https://forge.example.com/shop/data/manifests.git") is None
    assert place_of("https://forge.example.com/gitlabs/shop/manifests.git") is None


def test_a_job_knows_its_gitlab_and_who_says_otherwise_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_SERVER_URL", "https://ci.example.com")
    assert server() == "https://ci.example.com"
    monkeypatch.setenv("GITLAB_HOST", "gitlab.example.com")
    assert server() == "https://gitlab.example.com"


@pytest.mark.parametrize("host", ["http://gitlab.example.com", "ftp://gitlab.example.com", "https://a@b", "a b"])
def test_no_token_goes_where_others_can_read_it(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("GITLAB_HOST", host)
    with pytest.raises(Problem, match="GITLAB_HOST is"):
        server()


def _said(remote: str) -> tuple[str, str] | None:
    """The server and the user with password that git is told of."""
    environment = credentials(remote)
    if environment is None:
        return None
    told = environment()
    where = told["GIT_CONFIG_KEY_1"].removeprefix("http.").removesuffix("/.extraHeader")
    return where, base64.b64decode(told["GIT_CONFIG_VALUE_1"].rpartition(" ")[2]).decode()


def test_git_gets_the_token_and_in_a_job_that_of_the_job_which_counts_there_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remote = "https://ci.example.com/shop/manifests.git"
    monkeypatch.setenv("CI_SERVER_URL", "https://ci.example.com")
    monkeypatch.setenv("CI_JOB_TOKEN", "of-the-job")
    assert _said(remote) == ("https://ci.example.com", "gitlab-ci-token:of-the-job")
    monkeypatch.setenv("GITLAB_TOKEN", "of-the-bot")
    assert _said(remote) == ("https://ci.example.com", "oauth2:of-the-bot")
    monkeypatch.delenv("GITLAB_TOKEN")
    monkeypatch.setenv("GITLAB_HOST", "gitlab.example.com")
    assert _said("https://gitlab.example.com/shop/manifests.git") is None
    assert _said("git@gitlab.example.com:shop/manifests.git") is None
