"""A git that dies gives no answer: that is told, and the next question goes to a new one."""

from __future__ import annotations

import os
import random
import shutil
import signal
from pathlib import Path

import pytest
from shop import Shop, git

from pointsman.errors import Problem, Unreachable
from pointsman.repo import git as git_module
from pointsman.repo.moves import Move
from pointsman.repo.object_reader import AT_ONCE, Ran
from pointsman.repo.repository import Repository
from pointsman.state.objects import Commit, Oid


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """No test moves its main."""
    shop = Shop(tmp_path_factory.mktemp("objects") / "shop")
    for count in range(3):
        (shop.desk / "pointsman.toml").write_text(f'[store]\nurl = "file://{shop.store}"\n# {count}\n')
        shop.push(f"commit {count}\n\nwith a body")
    return shop


def children() -> list[int]:
    """The processes that this one has started and that still run `git cat-file`."""
    mine = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in mine if b"cat-file" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_reader_that_was_killed_is_told_of_once_and_made_anew(shop: Shop, number: int) -> None:
    with shop.open() as repo:
        main, others = repo.refresh(), children()
        found = repo.git.object(main)
        (reader,) = set(children()) - set(others)
        os.kill(reader, number)
        os.waitid(os.P_PID, reader, os.WEXITED | os.WNOWAIT)
        with pytest.raises(Unreachable, match=f"cannot read object {main}: it was ended by signal {int(number)}"):
            repo.git.object(main)
        assert repo.git.object(main) == found
        assert set(children()) - {*others, reader}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_reader_that_was_killed_before_the_end_costs_only_what_would_have_been_kept(
    shop: Shop, tmp_path: Path, number: int
) -> None:
    git(tmp_path, "clone", "-q", str(shop.origin), "fresh")
    with shop.open(tmp_path / "fresh") as repo:
        main, others = repo.refresh(), children()
        assert list(repo.history(main, "pointsman.toml"))  # git walks alone, so a mark is to be kept
        repo.git.object(Oid(git(shop.origin, "rev-parse", "main:pointsman.toml")))
        for reader in set(children()) - set(others):
            os.kill(reader, number)
            os.waitid(os.P_PID, reader, os.WEXITED | os.WNOWAIT)
    with shop.open(tmp_path / "fresh") as repo:
        assert repo.refresh() == main
        assert repo.is_fresh


def test_more_than_a_pipe_holds_is_told_in_the_same_way(shop: Shop) -> None:
    with shop.open() as repo:
        main, others = repo.refresh(), children()
        repo.git.object(main)
        (reader,) = set(children()) - set(others)
        os.kill(reader, signal.SIGKILL)
        with pytest.raises(Unreachable, match="cannot read object"):
            repo.git.read_ahead([Oid(f"{count:040x}") for count in range(AT_ONCE)])
        assert repo.git.object(main) is not None


def test_after_a_damaged_object_no_answer_is_taken_for_that_of_another(shop: Shop, tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(100_000)
    (tmp_path / "noise").write_bytes(noise)
    damaged = Oid(git(shop.desk, "hash-object", "-w", str(tmp_path / "noise")))
    path = shop.desk / ".git" / "objects" / damaged[:2] / damaged[2:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:50_000])
    with shop.open() as repo:
        main = repo.refresh()
        found = repo.git.object(main)
        with pytest.raises(Unreachable, match=f"cannot read object {damaged}: the repository is damaged") as caught:
            repo.git.read_ahead([damaged, main, repo.tree_of(main)])
        assert str(damaged) in str(caught.value).partition("does not answer: ")[2]  # git's own words
        assert repo.git.object(main) == found


def test_what_is_read_again_and_again_is_asked_of_git_once_and_only_so_much_is_kept(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stored(name: str, size: int) -> Oid:
        (tmp_path / name).write_bytes(random.Random(name).randbytes(size))
        return Oid(git(shop.desk, "hash-object", "-w", str(tmp_path / name)))

    small, other, large = stored("small", 600), stored("other", 600), stored("large", 2000)
    monkeypatch.setattr(git_module, "_MOST_OF_ONE", 1000)
    monkeypatch.setattr(git_module, "_MOST_KNOWN", 1000)
    with shop.open() as repo:
        main = repo.refresh()
        first = {oid: repo.git.blob(oid) for oid in (small, large)}
        tree = repo.tree_of(main)
        repo.git.close()
        others = children()
        assert repo.git.blob(small) == first[small]
        assert repo.tree_of(main) == tree
        assert children() == others, "nothing was asked"
        assert repo.git.blob(large) == first[large]
        assert children() != others, "what is large is read again"
        repo.git.blob(other)
        repo.git.close()
        assert repo.git.blob(small) == first[small]
        assert children() != others, "the first had to go for the other"


class DyingGit:
    """A git on the PATH that runs the real one, and is killed at one of its verbs, after so many bytes of output."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
        self.after = root / "after"
        real = shutil.which("git")
        (root / "bin").mkdir()
        path = root / "bin" / "git"
        path.write_text(
            f'#!/bin/sh\nfor word; do if [ "$word" = {verb} ] && [ -e "{self.after}" ]; then\n'
            f'"{real}" "$@" | head -c $(cat "{self.after}"); kill -KILL $$; fi; done\nexec "{real}" "$@"\n'
        )
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")


def test_a_history_that_was_cut_off_anywhere_is_never_taken_for_whole(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = DyingGit(tmp_path, monkeypatch, "log")
    with shop.open() as repo:
        main = repo.refresh()
        whole = list(repo.git.first_parents(main, "pointsman.toml"))
        assert len(whole) == 4
        for after in (0, 20, 41, 100, 130, 140, 200, 260, 300, 420, 10_000):
            dying.after.write_text(str(after))
            seen: list[Commit] = []
            with pytest.raises(Unreachable, match="git log failed: it was ended by signal 9"):
                seen.extend(repo.git.first_parents(main, "pointsman.toml"))
            assert seen == whole[: len(seen)]
            dying.after.unlink()
        assert list(repo.git.first_parents(main, "pointsman.toml")) == whole


def asks(repo: Repository, main: Oid, verb: str) -> object:
    match verb:
        case "merge-base":
            return repo.git.run("merge-base", main, main)
        case "rev-parse":
            return repo.resolve("main~1")
        case "diff-tree":
            return repo.git.differences(repo.resolve("main~1"), main)
        case _:
            return repo.refresh()


@pytest.mark.parametrize("verb", ["merge-base", "rev-parse", "diff-tree", "ls-remote"])
def test_a_git_that_was_killed_has_not_said_no(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    dying = DyingGit(tmp_path, monkeypatch, verb)
    with shop.open() as repo:
        main = repo.refresh()
        sound = asks(repo, main, verb)
        dying.after.write_text("0")
        with pytest.raises(Problem, match="signal 9") as caught:
            asks(repo, main, verb)
        assert caught.value.exit_code == 3
        dying.after.unlink()
        assert asks(repo, main, verb) == sound


def test_a_push_that_landed_although_its_git_was_killed_has_landed(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = DyingGit(tmp_path, monkeypatch, "push")
    with shop.open() as repo:
        main = repo.refresh()
        new = repo.commit(repo.tree_of(main), [main], "one more\n")
        dying.after.write_text("10000")
        repo.move([Move("refs/heads/ship/x", new, None)])
    assert git(shop.origin, "rev-parse", "ship/x") == new


@pytest.mark.parametrize(
    "ran, nothing",
    [
        (Ran(128, b"", "fatal: write error: No space left on device\n"), True),
        (Ran(128, b"", "error: unable to write file x: Disk quota exceeded\n"), True),
        (Ran(-signal.SIGXFSZ, b"", ""), True),
        (Ran(128, b"", "fatal: not a valid object name x\n"), False),
    ],
)
def test_a_disk_that_took_no_write_is_no_answer_of_git(ran: Ran, nothing: bool) -> None:
    assert ran.says_nothing == nothing
    assert ("ulimit -f" in ran.reason) == (ran.code == -signal.SIGXFSZ)
