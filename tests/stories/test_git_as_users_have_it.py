"""Git as users and CI have it set up: hooks, environments, remotes and signing that a plain test does not have."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from shop import GROCER, Kept, Shop, git, popularity

from pointsman.cli.main import main
from pointsman.errors import Problem
from pointsman.forge.github.pulls import open_github
from pointsman.forge.links import pages_of
from pointsman.forge.open import KINDS, credentials
from pointsman.repo.moves import Move, sync_refs
from pointsman.repo.object_reader import Ran
from pointsman.repo.open import _no_repository, open_repository
from pointsman.settings import Settings
from pointsman.state.objects import Oid

ON_GITHUB = Settings("file:///store", forge="github")


@pytest.fixture
def shop(one_ship: Kept) -> Shop:
    shop = one_ship.fresh()
    shop.pull()
    return shop


def test_what_ssh_says_of_an_origin_is_told_not_only_that_git_could_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\nfor word in a b c Host-key-changed; do echo $word >&2; done\nexit 255\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", shlex.quote(str(ssh)))
    assert main(["-C", "git@forge.example:recsys/manifests.git", "status"]) == 3
    said = capsys.readouterr().err
    assert ": b; c; Host-key-changed; fatal: Could not read from remote repository" in said
    assert len(said.splitlines()) == 1


def edit(shop: Shop) -> None:
    file = shop.desk / GROCER.manifest_path
    file.write_text(file.read_text().replace('"v": 1', '"v": 2'))


@pytest.mark.slow
@pytest.mark.parametrize("words", [("-a",), ("--", GROCER.manifest_path), ("-i", GROCER.manifest_path)])
def test_a_hook_judges_the_index_that_git_hands_to_it(shop: Shop, words: tuple[str, ...]) -> None:
    hook = shop.desk / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m pointsman check --staged\n')
    hook.chmod(0o755)
    who = ("-c", "user.name=u", "-c", "user.email=u@example.org")
    commit = ["git", *who, "-c", "core.hooksPath=.git/hooks", "commit", "-q", "-m", "edit"]
    with (shop.desk / "pointsman.toml").open("a") as settings:
        settings.write("# fine\n")
    subprocess.run([*commit, "-a"], cwd=shop.desk, check=True)
    edit(shop)
    ran = subprocess.run([*commit, *words], cwd=shop.desk, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert f"{GROCER.manifest_path}: schema: " in ran.stdout + ran.stderr


@pytest.mark.slow
def test_a_server_s_hook_judges_a_push_before_it_is_accepted(shop: Shop) -> None:
    hook = shop.origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        f'#!/bin/sh\nread old new _\nexec "{sys.executable}" -P -m pointsman check --offline --base $old --head $new\n'
    )
    hook.chmod(0o755)
    edit(shop)
    git(shop.desk, "commit", "-qam", "edit")
    ran = subprocess.run(
        ["git", "push", "-q", "origin", "main"], cwd=shop.desk, capture_output=True, text=True, check=False
    )
    assert ran.returncode != 0
    assert "unvouched-manifest" in ran.stderr or "schema" in ran.stderr


@pytest.mark.slow
def test_git_reaches_a_remote_by_the_ssh_command_of_the_environment(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nwhile [ $# -gt 1 ]; do shift; done; exec sh -c "$1"\n')
    ssh.chmod(0o755)
    git(shop.desk, "remote", "set-url", "origin", f"ssh://git@127.0.0.1:1{shop.origin}")
    monkeypatch.setenv("GIT_SSH_COMMAND", f"'{ssh}'")
    monkeypatch.setenv("GIT_SSH_VARIANT", "ssh")
    with open_repository(str(shop.desk)) as repo:
        assert repo.refresh() == shop.main


def test_variables_that_name_another_repository_are_not_obeyed(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    git(tmp_path, "init", "-q", str(other))
    lost = {"GIT_DIR": other / ".git", "GIT_WORK_TREE": other, "GIT_INDEX_FILE": other / "index"}
    for name, value in lost.items():
        monkeypatch.setenv(name, str(value))
    with open_repository(str(shop.desk)) as repo:
        assert (
            repo.refresh()
            == subprocess.check_output(
                ["git", "rev-parse", "main"],
                cwd=shop.origin,
                text=True,
                env={name: value for name, value in os.environ.items() if name not in lost},
            ).strip()
        )


def test_commits_are_signed_where_gpgsign_has_no_value(shop: Shop, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    for words in (("gpg.format", "ssh"), ("user.signingkey", f"{key}.pub")):
        git(shop.desk, "config", *words)
    with (shop.desk / ".git" / "config").open("a") as config:
        config.write("[commit]\n\tgpgsign\n")
    shop.publish(popularity(tmp_path / "p2.json", 11), merge=True)
    assert "\ngpgsig " in git(shop.origin, "cat-file", "commit", "main")


@pytest.mark.slow
def test_a_clone_without_a_remote_called_origin_is_told_how_to_get_one(shop: Shop) -> None:
    git(shop.desk, "remote", "rename", "origin", "upstream")
    with pytest.raises(Problem, match="git remote rename upstream origin"), open_repository(str(shop.desk)):
        pass


def test_a_push_url_that_is_another_repository_is_refused_and_one_of_the_same_passes(shop: Shop) -> None:
    git(shop.desk, "remote", "set-url", "--push", "origin", f"file://{shop.origin}/")
    with open_repository(str(shop.desk)):
        pass
    git(shop.desk, "remote", "set-url", "--push", "origin", "https://git.example/other.git")
    with pytest.raises(Problem, match=r"is read from .* and pushed to"), open_repository(str(shop.desk)):
        pass
    git(shop.desk, "remote", "set-url", "origin", "git@git.example:acme/shop.git")
    git(shop.desk, "remote", "set-url", "--push", "origin", "https://git.example/acme/shop")
    with open_repository(str(shop.desk)):
        pass


def test_refs_that_stand_in_tables_are_made_durable_in_their_own_directory(tmp_path: Path) -> None:
    # The layout of gitformat-reftable: refs/heads is a file. Git 2.45 and newer can make it; older ones cannot.
    (tmp_path / "reftable").mkdir()
    (tmp_path / "refs").mkdir()
    (tmp_path / "refs" / "heads").write_text("this repository uses the reftable format\n")
    move = Move("refs/heads/ship/grocer/home/3f2a91c0d4e5", None, Oid("0" * 40))
    sync_refs(tmp_path, [move], set())


@pytest.mark.parametrize(
    "origin, base, written",
    [
        ("hub:acme/shop", "https://github.com/", "hub:"),  # a short name, as users give one to a forge
        ("https://github.com/acme/shop", "git@work-account:", "https://github.com/"),  # an alias of ~/.ssh/config
    ],
)
def test_a_forge_is_found_by_what_git_makes_of_the_origin_too(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, origin: str, base: str, written: str
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "a-token")
    for name in ("GITHUB_SERVER_URL", "GITHUB_API_URL", "GH_HOST"):
        monkeypatch.delenv(name, raising=False)
    git(shop.desk, "remote", "set-url", "origin", origin)
    git(shop.desk, "config", f"url.{base}.insteadOf", written)
    with open_repository(str(shop.desk), credentials) as repo:
        assert open_github(repo).place.slug == "acme/shop"
        assert pages_of(ON_GITHUB, repo) == "https://github.com/acme/shop/commit/"
        assert "GIT_CONFIG_COUNT" in repo.git.credentials()
    git(shop.desk, "config", "--unset", f"url.{base}.insteadOf")
    git(shop.desk, "remote", "set-url", "origin", "hub:acme/shop")
    with open_repository(str(shop.desk), credentials) as repo:
        assert pages_of(ON_GITHUB, repo) is None
        assert repo.git.credentials() == {}
        with pytest.raises(Problem, match=r"origin is not a repository on github\.com"):
            open_github(repo)


@pytest.mark.parametrize(
    "kind, server, page",
    [
        ("github", {}, "https://github.com/acme/shop/commit/"),
        ("gitlab", {"GITLAB_HOST": "git.example.com"}, "https://git.example.com/acme/shop/-/commit/"),
        *(
            pytest.param(
                kind,
                {f"{kind.upper()}_SERVER_URL": "https://git.example.com"},
                "https://git.example.com/acme/shop/commit/",
                marks=pytest.mark.slow,
            )
            for kind in ("gitea", "forgejo")
        ),
    ],
)
def test_where_an_alias_of_ssh_stands_for_the_forge_the_settings_name_the_repository_and_never_the_server(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, kind: str, server: dict[str, str], page: str
) -> None:
    for name in ("GITHUB_SERVER_URL", "GITHUB_API_URL", "GH_HOST", "GITLAB_HOST", "CI_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**server, f"{kind.upper()}_TOKEN": "a-token"}.items():
        monkeypatch.setenv(name, value)
    git(shop.desk, "remote", "set-url", "origin", "work-account:acme/shop")
    settings = Settings("file:///store", forge=kind, repository="acme/shop")
    with open_repository(str(shop.desk), credentials) as repo:
        assert pages_of(settings, repo) == page
        opened: Any = KINDS[kind].open(repo, "acme/shop")
        assert (opened.place.slug if kind != "gitlab" else opened.client.place.path) == "acme/shop"
        with pytest.raises(Problem, match=r'name it in pointsman.toml: \[forge\] repository = "\w+/name"$'):
            KINDS[kind].open(repo, "")
        repo.remote = f"{page.partition('/acme')[0]}/another/one.git"  # a URL that names one counts
        opened = KINDS[kind].open(repo, "acme/shop")
        assert (opened.place.slug if kind != "gitlab" else opened.client.place.path) == "another/one"


def test_a_repository_of_another_user_is_told_with_git_s_own_remedy() -> None:
    err = (
        "fatal: detected dubious ownership in repository at '/srv/shop'\n"
        "To add an exception for this directory, call:\n\n\tgit config --global --add safe.directory /srv/shop\n"
    )
    says = _no_repository("/srv/shop", Ran(128, b"", err))
    assert says.endswith("run: git config --global --add safe.directory /srv/shop")
    assert "another user owns it" in says
    assert "is not a git repository" not in says


def test_a_configuration_that_git_cannot_read_is_told_and_not_called_no_repository(shop: Shop) -> None:
    with (shop.desk / ".git" / "config").open("a") as config:
        config.write("[core\n")
    with (
        pytest.raises(Problem, match=r"git does not work in .*: fatal: bad config line"),
        open_repository(str(shop.desk)),
    ):
        pass


def test_a_worktree_whose_repository_went_away_is_told_where_it_was(shop: Shop, tmp_path: Path) -> None:
    git(shop.desk, "worktree", "add", "-q", str(tmp_path / "linked"))
    shop.desk.rename(tmp_path / "moved")
    with (
        pytest.raises(Problem, match=r"git does not work in .*: fatal: not a git repository: .*/worktrees/linked"),
        open_repository(str(tmp_path / "linked")),
    ):
        pass


def test_a_rule_that_sends_pushes_elsewhere_is_named_and_not_a_push_url_that_is_not_set(shop: Shop) -> None:
    git(shop.desk, "config", "url./srv/elsewhere.pushInsteadOf", str(shop.origin))
    with (
        pytest.raises(Problem, match=r"Give it one place: take away url\./srv/elsewhere\.pushinsteadof \(git config"),
        open_repository(str(shop.desk)),
    ):
        pass
    git(shop.desk, "remote", "set-url", "--push", "origin", "/srv/other")
    with (
        pytest.raises(Problem, match=r"Give it one place: git config --unset-all remote\.origin\.pushurl"),
        open_repository(str(shop.desk)),
    ):
        pass
