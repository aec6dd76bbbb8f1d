"""The chain of main, read from git or kept in a file: it answers as git log does, and goes at a doubt."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shop import git
from world import how_many

from pointsman.repo import chain, chain_file
from pointsman.repo.git import Git
from pointsman.repo.open import open_repository
from pointsman.repo.repository import Repository
from pointsman.state.objects import Oid

pytestmark = pytest.mark.slow

PATHS = ("manifests/a/one/manifest.json", "manifests/a/two/manifest.json", "holds/all.json", "pointsman.toml")


def commit(desk: Path, dice: random.Random, message: str) -> None:
    for path in dice.sample([*PATHS, "registry/a/one/x.json"], dice.randint(0, 3)):
        file = desk / path
        if file.exists() and dice.random() < 0.2:
            file.unlink()
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(message)
        file.chmod(dice.choice((0o644, 0o644, 0o755)))
    git(desk, "add", "-A")
    git(
        desk,
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        message,
        env={"GIT_COMMITTER_DATE": f"@{dice.randrange(10**9)} +0000"},
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A main of some sixty commits, with merges on it."""
    desk = tmp_path_factory.mktemp("chain") / "desk"
    git(desk.parent, "init", "-q", "-b", "main", str(desk))
    dice = random.Random(3)
    for place in range(50):
        commit(desk, dice, f"commit {place}")
        if place % 17 == 16:
            git(desk, "switch", "-q", "-c", f"side-{place}")
            commit(desk, dice, f"aside {place}")
            git(desk, "switch", "-q", "main")
            commit(desk, dice, f"beside {place}")
            git(desk, "merge", "-q", "-s", "ours", "--no-edit", f"side-{place}")
    return desk


@pytest.fixture
def desk(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(chain, "_WORTH_KEEPING", 1)
    return Path(shutil.copytree(made, tmp_path / "desk"))


def kept(desk: Path) -> Path:
    return desk / ".git" / chain.KEPT


def by_git(desk: Path, tip: str, *paths: str) -> list[str]:
    words = ("--first-parent", "--diff-merges=first-parent", "--full-history")
    return git(desk, "log", *words, "--format=%H", tip, "--", *paths).split()


def agrees(desk: Path, repo: Repository, paths: list[str], tip: str = "main") -> None:
    """Whether history, times and differences are what git says."""
    oid = Oid(git(desk, "rev-parse", tip))
    found = list(repo.history(oid, *paths))
    assert [each.oid for each in found] == by_git(desk, tip, *paths)
    told = {each.oid: each for each in repo.git.first_parents(oid, *paths)}
    for each in found:
        assert each == told[each.oid], "names, message, time and changes"
    clocks = git(desk, "log", "--first-parent", "--format=%ct", tip).split()
    assert [*repo.clocks(oid).clocks] == [*map(int, clocks)]


def opened(desk: Path, paths: list[str], tip: str = "main") -> None:
    with open_repository(str(desk)) as repo:
        repo.refresh()
        agrees(desk, repo, paths, tip)


@pytest.mark.parametrize("round_", range(how_many(1)))
def test_a_chain_that_is_kept_and_grows_says_what_git_log_says(desk: Path, dice: random.Random, round_: int) -> None:
    for place in range(8):
        before = git(desk, "rev-parse", "main")
        for _ in range(dice.choice((0, 1, 3, 20))):
            commit(desk, dice, f"more {place} {dice.random()}")
        paths = dice.sample(PATHS, dice.choice((1, 1, 2, 4)))
        with open_repository(str(desk)) as repo:
            repo.refresh()
            for _ in range(dice.randint(0, 3)):  # as far as needed, then on
                next(iter(repo.history(repo.main, dice.choice(PATHS))), None)
            agrees(desk, repo, paths)
            if dice.random() < 0.5:
                commit(desk, dice, "while it is open")
                repo.refresh()
                agrees(desk, repo, paths)
            agrees(desk, repo, paths, before)
        assert kept(desk).exists()


def test_what_is_kept_is_read_and_no_history_is_walked(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(desk, [*PATHS])
    dice = random.Random(1)
    for place in range(3):
        commit(desk, dice, f"since then {place}")
    with open_repository(str(desk)) as repo:
        repo.refresh()
        started: list[str] = []
        start = repo.git.start

        def counted(*words: str, **more: Any) -> Any:
            started.append(words[0])
            return start(*words, **more)

        monkeypatch.setattr(repo.git, "start", counted)
        for path in PATHS:
            assert list(repo.history(repo.main, path))
        assert repo.clocks(repo.main)
        assert started == ["cat-file"]


def test_a_file_of_clocks_alone_is_filled_by_the_next_command(desk: Path) -> None:
    for first in (True, False):
        with open_repository(str(desk)) as repo:
            repo.refresh()
            assert repo.is_fresh == first
            assert repo.clocks(repo.main)
        commit(desk, random.Random(7), "since then")
    file = chain_file.read(kept(desk), 20)
    assert file is not None
    assert file.known <= 2  # what came since, and no older commit's changes
    for _ in range(2):
        opened(desk, [*PATHS])
    file = chain_file.read(kept(desk), 20)
    assert file is not None
    assert file.known == len(file.commits)


@pytest.mark.parametrize("paths", [1, 4])
def test_a_first_command_walks_for_one_path_alone_and_the_second_for_all(
    made: Path, tmp_path: Path, paths: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is worth keeping as it is: this history is too short for that."""
    desk = Path(shutil.copytree(made, tmp_path / "desk"))
    walked: list[str] = []
    monkeypatch.setattr(Git, "chain", _told(Git.chain, walked, "all"))
    monkeypatch.setattr(Git, "first_parents", _told(Git.first_parents, walked, "path"))
    for expected in (["path"] if paths == 1 else ["path", "path", "all"], ["all"] if paths == 1 else []):
        walked.clear()
        with open_repository(str(desk)) as repo:
            tip = repo.refresh()
            for path in PATHS[:paths]:
                found = list(repo.history(tip, path))
                assert [each.oid for each in found] == by_git(desk, "main", path)
                for each in found:
                    older = each.parents[0]
                    assert [one.oid for one in repo.history(older, path)] == by_git(desk, older, path)
        assert walked == expected


def _told(method: Callable[..., Any], walked: list[str], what: str) -> Callable[..., Any]:
    def told(*words: Any, **more: Any) -> Any:
        walked.append(what)
        return method(*words, **more)

    return told


def _rewritten(desk: Path, file: Path) -> None:
    git(desk, "reset", "-q", "--hard", "main~20")
    commit(desk, random.Random(5), "another way")


def _rewound(desk: Path, file: Path) -> None:
    git(desk, "reset", "-q", "--hard", "main~20")


def _with_main_as_a_side(desk: Path, file: Path) -> None:
    git(desk, "switch", "-q", "-c", "other", "main~20")
    git(desk, "merge", "-q", "-s", "ours", "--no-ff", "--no-edit", "main")
    git(desk, "branch", "-q", "-M", "main")


def _gone(desk: Path, file: Path) -> None:
    _rewritten(desk, file)
    git(desk, "reflog", "expire", "--expire=all", "--all")
    git(desk, "gc", "-q", "--prune=now")


DOUBTS: dict[str, Callable[[Path, Path], object]] = {
    "empty": lambda desk, file: file.write_bytes(b""),
    "cut short": lambda desk, file: file.write_bytes(file.read_bytes()[:-100]),
    "cut in its head": lambda desk, file: file.write_bytes(file.read_bytes()[:20]),
    "zeroes at its end": lambda desk, file: file.write_bytes(file.read_bytes()[:-999] + bytes(999)),
    "another version": lambda desk, file: file.write_bytes(b"PMCHAIN9" + file.read_bytes()[8:]),
    "a directory": lambda desk, file: [file.unlink(), file.mkdir()],  # type: ignore[func-returns-value]
    "main rewritten": _rewritten,
    "main rewound": _rewound,
    "main merged as a side": _with_main_as_a_side,
    "its commits gone": _gone,
}  # fmt: skip


@pytest.mark.parametrize("doubt", DOUBTS)
def test_at_a_doubt_it_is_thrown_away(desk: Path, doubt: str) -> None:
    opened(desk, [*PATHS])
    DOUBTS[doubt](desk, kept(desk))
    for _ in range(2):
        opened(desk, [*PATHS])


def test_each_byte_that_is_changed_is_noticed(desk: Path, dice: random.Random) -> None:
    opened(desk, [*PATHS])
    data = kept(desk).read_bytes()
    for place in dice.sample(range(len(data)), 200):
        kept(desk).write_bytes(data[:place] + bytes([data[place] ^ 1 << dice.randrange(8)]) + data[place + 1 :])
        assert chain_file.read(kept(desk), 20) is None


def test_where_nothing_can_be_kept_everything_works(desk: Path) -> None:
    (desk / ".git" / "pointsman").write_text("a file where the directory belongs")
    opened(desk, [*PATHS])


def test_a_shallow_clone_is_deepened_only_as_far_as_asked(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "_WORTH_KEEPING", 1)
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{made}", str(shallow))
    with open_repository(str(shallow)) as repo:
        repo.refresh()
        assert next(repo.history(repo.main, PATHS[0])).oid == by_git(made, "main", PATHS[0])[0]
        assert [each.oid for each in repo.history(repo.main, PATHS[1])] == by_git(made, "main", PATHS[1])
    opened(shallow, [*PATHS])
