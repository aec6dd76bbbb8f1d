"""Where a forge shows a commit: on each kind, under every form of a remote's URL, and never anywhere else."""

from __future__ import annotations

import pytest

from pointsman.forge.links import commit_page


@pytest.fixture(autouse=True)
def no_forge(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_SERVER_URL", "GH_HOST", "GITLAB_HOST", "CI_SERVER_URL", "GITEA_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "kind, remote, page",
    [
        ("github", "https://github.com/o/r.git", "https://github.com/o/r/commit/"),
        ("github", "https://user:secret@github.com/o/r", "https://github.com/o/r/commit/"),
        ("github", "git@github.com:o/r.git", "https://github.com/o/r/commit/"),
        ("github", "https://elsewhere.example/o/r.git", None),
        ("github", None, None),
        ("gitlab", "git@gitlab.com:group/sub/r.git", "https://gitlab.com/group/sub/r/-/commit/"),
        ("gitea", "http://127.0.0.1:3000/o/r.git", "http://127.0.0.1:3000/o/r/commit/"),
        ("forgejo", "/srv/r.git", None),
        ("local", "https://github.com/o/r.git", None),
        ("unheard-of", "https://github.com/o/r.git", None),
    ],
)
def test_a_commit_is_shown_by_the_forge_of_the_settings(kind: str, remote: str | None, page: str | None) -> None:
    assert commit_page(kind, remote) == page


def test_a_wrong_variable_costs_the_links_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GH_HOST", "not a host")
    assert commit_page("github", "https://github.com/o/r.git") is None
