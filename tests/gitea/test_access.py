"""Which repository a remote is, and where its token goes: to one server, and into nothing that others can read."""

from __future__ import annotations

import base64

import pytest

from gitea.conftest import BRANDS
from pointsman.errors import Problem
from pointsman.forge.gitea.brand import FORGEJO, GITEA
from pointsman.forge.gitea.place import credentials_for, place_of, token_source
from pointsman.forge.open import credentials


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for brand in BRANDS.values():
        for name in (brand.address, *brand.tokens):
            monkeypatch.delenv(name, raising=False)
    for name in ("GITHUB_TOKEN", "GH_TOKEN", "GITHUB_SERVER_URL", "GH_HOST", "POINTSMAN_APP_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "server, remote",
    [
        ("https://git.example.com", "https://git.example.com/shop/manifests"),
        ("https://git.example.com/", "https://git.example.com/shop/manifests.git"),
        ("https://git.example.com", "https://bot:secret@Git.example.com/shop/manifests.git/"),
        ("https://git.example.com", "git@git.example.com:shop/manifests.git"),
        ("https://git.example.com:3000", "ssh://git@git.example.com:2222/shop/manifests.git"),
        ("https://git.example.com:3000", "https://git.example.com:3000/shop/manifests.git"),
        ("https://example.com/tools/git", "https://example.com/tools/git/shop/manifests.git"),
        ("https://example.com/tools/git", "git@example.com:shop/manifests.git"),
        ("", "http://127.0.0.1:3000/shop/manifests.git"),
        ("", "http://bot:secret@localhost:3000/tools/git/shop/manifests"),
    ],
)
def test_a_remote_names_its_repository_however_it_is_written(
    monkeypatch: pytest.MonkeyPatch, server: str, remote: str
) -> None:
    monkeypatch.setenv(GITEA.address, server)
    place = place_of(GITEA, remote)
    assert place is not None
    assert place.slug == "shop/manifests"
    assert place.server == (server.rstrip("/") or remote.replace("bot:secret@", "").partition("/shop")[0])
    assert place.api == f"{place.server}/api/v1"


@pytest.mark.parametrize(
    "server, remote",
    [
        ("https://git.example.com", None),
        ("https://git.example.com", "/srv/manifests.git"),
        ("https://git.example.com", "https://git.example.com.evil.example/shop/manifests.git"),
        ("https://git.example.com", "https://git.example.com:8443/shop/manifests.git"),
        ("https://git.example.com", "http://git.example.com/shop/manifests.git"),
        ("https://git.example.com", "https://git.example.com/shop"),
        ("https://git.example.com", "https://git.example.com/tools/shop/manifests.git"),
        ("https://git.example.com", "git@evil.example:shop/manifests.git"),
        ("https://example.com/git", "https://example.com/shop/manifests.git"),
        ("https://example.com/git", "https://example.com/gitx/shop/manifests.git"),
        ("https://git.example.com", "http://127.0.0.1:3000/shop/manifests.git"),
        ("", "https://git.example.com/shop/manifests.git"),
        ("", "http://git.example.com/shop/manifests.git"),
        ("", "http://127.0.0.1.evil.example/shop/manifests.git"),
        ("", "http://127.0.0.1@evil.example/shop/manifests.git"),
        ("", "https://127.0.0.1:3000/shop/manifests.git"),
    ],
)
def test_what_is_not_on_that_server_is_none_and_gets_no_token(
    monkeypatch: pytest.MonkeyPatch, server: str, remote: str | None
) -> None:
    monkeypatch.setenv(GITEA.address, server)
    monkeypatch.setenv(GITEA.tokens[0], "secret")
    assert place_of(GITEA, remote) is None
    assert credentials_for(GITEA, remote) is None


@pytest.mark.parametrize("url", ["http://git.example.com", "ftp://git.example.com", "https://a@b", "git.example.com"])
def test_no_token_goes_where_others_can_read_it(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv(FORGEJO.address, url)
    with pytest.raises(Problem, match="FORGEJO_SERVER_URL is"):
        place_of(FORGEJO, "https://git.example.com/shop/manifests")


def test_git_gets_each_token_for_its_own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GITEA.address, "https://example.com/git")
    monkeypatch.setenv(GITEA.tokens[0], "first")
    monkeypatch.setenv(FORGEJO.address, "https://git.example.org")
    monkeypatch.setenv(FORGEJO.tokens[0], "second")
    for remote, server, token in (
        ("https://example.com/git/shop/manifests.git", "https://example.com/git", "first"),
        ("https://git.example.org/shop/manifests.git", "https://git.example.org", "second"),
    ):
        environment = credentials(remote)
        assert environment is not None
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        assert environment() == {
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": f"http.{server}/.extraHeader",
            "GIT_CONFIG_VALUE_0": "",
            "GIT_CONFIG_KEY_1": f"http.{server}/.extraHeader",
            "GIT_CONFIG_VALUE_1": f"Authorization: Basic {basic}",
        }
    assert credentials("git@example.com:shop/manifests.git") is None
    assert credentials("https://github.com/shop/manifests.git") is None


def test_a_token_with_a_line_break_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GITEA.tokens[0], "secret\n")
    with pytest.raises(Problem, match="GITEA_TOKEN has a space or a line break") as caught:
        token_source(GITEA)
    assert "secret" not in str(caught.value)
