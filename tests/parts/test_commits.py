"""Commits that are made without a git process are the bytes that git commit-tree makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from shop import git

from pointsman.errors import Problem
from pointsman.repo.open import open_repository
from pointsman.state.objects import Oid

NAMES = ("Ann Ops", "Änn 日本", "O'Brien", "Ann Jr.", '"Ann"', "A", "Ann, Ops", "a@example.org", "-", "Ann  Ops")
MESSAGES = ("one line\n", "no end", "", "subject\n\nbody, ünï\n\n\n", "\n\nlater\n", "carriage\r\nreturn\n")


@pytest.mark.parametrize("kind", ["sha1", pytest.param("sha256", marks=pytest.mark.slow)])
def test_a_commit_is_as_git_would_make_it(tmp_path: Path, kind: str) -> None:
    git(tmp_path, "init", "-q", "-b", "main", f"--object-format={kind}", "desk")
    desk = tmp_path / "desk"
    first = git(desk, "commit-tree", git(desk, "mktree", given=""), "-m", "first")
    git(desk, "update-ref", "refs/heads/main", first)
    cases = [*((name, MESSAGES[0]) for name in NAMES), *((NAMES[0], message) for message in MESSAGES)]
    with open_repository(str(desk)) as repo:
        main = repo.refresh()
        for name, message in cases:
            tree = repo.tree_with(repo.tree_of(main), {"a/b.json": name.encode()})
            made = repo.commit(tree, [main, main], message, author=f"{name} <mail@example.org>")
            head = git(desk, "cat-file", "commit", made).partition("\n\n")[0].splitlines()
            dates = {f"GIT_{line.split()[0].upper()}_DATE": " ".join(line.split()[-2:]) for line in head[-2:]}
            by, mail = repo.identity()
            env = {**dates, "GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": "mail@example.org"}
            env |= {"GIT_COMMITTER_NAME": by, "GIT_COMMITTER_EMAIL": mail}
            assert made == git(desk, "commit-tree", tree, "-p", main, "-p", main, env=env, given=message), (
                name,
                message,
            )
    git(desk, "fsck", "--strict")


@pytest.mark.parametrize(
    "clone,files,packs",
    [((), 10, 1), ((), 200, 1), (("--filter=blob:none",), 10, 0), (("--filter=blob:none",), 200, 1)],
)
def test_what_a_commit_brings_is_one_pack_and_in_a_partial_clone_only_if_it_is_much(
    tmp_path: Path, clone: tuple[str, ...], files: int, packs: int
) -> None:
    git(tmp_path, "init", "-q", "-b", "main", "origin")
    git(tmp_path / "origin", "commit", "-q", "--allow-empty", "-m", "first")
    git(tmp_path / "origin", "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", *clone, f"file://{tmp_path}/origin", "desk")
    there = tmp_path / "desk" / ".git" / "objects" / "pack"
    before = len([*there.glob("*.pack")])
    with open_repository(str(tmp_path / "desk")) as repo:
        main = repo.refresh()
        new: dict[str, bytes] = {f"dir/{place}.json": b"%d" % place for place in range(files)}
        repo.commit(repo.tree_with(repo.tree_of(main), dict(new)), [main], "many\n")
        assert len([*there.glob("*.pack")]) - before == packs


def test_a_history_that_git_cannot_read_is_a_problem_with_its_words(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main", "desk")
    with open_repository(str(tmp_path / "desk")) as repo, pytest.raises(Problem, match=r"git rev-list failed: .*1111"):
        repo.git.clocks(Oid("1" * 40))
