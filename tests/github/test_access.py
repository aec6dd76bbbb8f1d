"""Which repository a remote is, and where its token goes: to one host, and into nothing that others can read."""

from __future__ import annotations

import base64

import pytest

from pointsman.errors import Problem
from pointsman.forge.github.place import place_of, server
from pointsman.forge.github.token import git_environment, token_source


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SERVER_URL", "API_URL", "GRAPHQL_URL", "TOKEN"):
        monkeypatch.delenv(f"GITHUB_{name}", raising=False)
    for name in ("GH_TOKEN", "GH_HOST", "POINTSMAN_APP_ID", "POINTSMAN_APP_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com/shop/manifests",
        "https://github.com/shop/manifests.git",
        "https://github.com/shop/manifests/",
        "https://bot:secret@github.com/shop/manifests.git",
        "https://GitHub.com/shop/manifests.git",
        "git@github.com:shop/manifests.git",
        "git@github.com:shop/manifests",
        "ssh://git@github.com/shop/manifests.git",
        "ssh://git@ssh.github.com:443/shop/manifests.git",
    ],
)
def test_a_remote_names_its_repository_however_it_is_written(remote: str) -> None:
    place = place_of(remote)
    assert place is not None
    assert place.slug == "shop/manifests"
    assert place.api == "https://api.github.com"
    assert place.graphql == "https://api.github.com/graphql"


@pytest.mark.parametrize(
    "remote",
    [
        None,
        "/srv/manifests.git",
        "file:///srv/manifests.git",
        "https://gitlab.com/shop/manifests.git",
        "https://github.com.evil.example/shop/manifests.git",
        "https://github.com:8443/shop/manifests.git",
        "http://github.com/shop/manifests.git",
        "https://evil.example/github.com/manifests.git",
        "https://github.com/shop",
        "https://github.com/shop/manifests/tree/main",
        "git@evil.example:shop/manifests.git",
    ],
)
def test_what_is_not_on_that_github_is_none_and_gets_no_token(
    monkeypatch: pytest.MonkeyPatch, remote: str | None
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    assert place_of(remote) is None
    assert git_environment(remote) is None


def test_an_enterprise_server_has_its_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GH_HOST", "github.example.com")
    place = place_of("git@github.example.com:shop/manifests.git")
    assert place is not None
    assert (place.api, place.graphql) == (
        "https://github.example.com/api/v3",
        "https://github.example.com/api/graphql",
    )
    assert place_of("https://github.com/shop/manifests.git") is None
    monkeypatch.setenv("GH_HOST", "shop.ghe.com")
    place = place_of("https://shop.ghe.com/shop/manifests.git")
    assert place is not None
    assert place.api == "https://api.shop.ghe.com"


def test_a_workflow_says_where_the_api_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.example.com")
    monkeypatch.setenv("GITHUB_API_URL", "https://api.example.com/v3")
    monkeypatch.setenv("GITHUB_GRAPHQL_URL", "https://api.example.com/graphql")
    place = place_of("https://github.example.com/shop/manifests")
    assert place is not None
    assert (place.api, place.graphql) == ("https://api.example.com/v3", "https://api.example.com/graphql")


@pytest.mark.parametrize(
    "url", ["http://github.example.com", "ftp://github.example.com", "https://a@b", "github.com", "https://"]
)
def test_no_token_goes_where_others_can_read_it(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("GITHUB_SERVER_URL", url)
    with pytest.raises(Problem, match="GITHUB_SERVER_URL is"):
        server()


def test_git_gets_the_token_for_that_host_alone_and_whatever_a_checkout_had_set_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "second")
    monkeypatch.setenv("GH_TOKEN", "first")
    environment = git_environment("https://github.com/shop/manifests.git")
    assert environment is not None
    basic = base64.b64encode(b"x-access-token:first").decode()
    assert environment() == {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "http.https://github.com/.extraHeader",
        "GIT_CONFIG_VALUE_0": "",
        "GIT_CONFIG_KEY_1": "http.https://github.com/.extraHeader",
        "GIT_CONFIG_VALUE_1": f"Authorization: Basic {basic}",
    }
    assert git_environment("git@github.com:shop/manifests.git") is None


def test_a_token_with_a_line_break_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret\n")
    place = place_of("https://github.com/shop/manifests")
    assert place is not None
    with pytest.raises(Problem, match="GITHUB_TOKEN has a space or a line break") as caught:
        token_source(place)
    assert "secret" not in str(caught.value)
