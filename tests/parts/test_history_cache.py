"""The first-parent history: walked, read at once, or read and then grown, it answers what git log answers."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from shop import git
from world import how_many

from pointsman.repo.open import open_repository
from pointsman.repo.repository import Repository
from pointsman.state.objects import Change, Oid

PATHS = ("a/one", "a/two", "b/one", "c")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A line of forty commits, and two branches that leave it."""
    desk = tmp_path_factory.mktemp("history") / "desk"
    git(desk.parent, "init", "-q", "-b", "main", str(desk))
    dice = random.Random(7)
    for place in range(40):
        commit(desk, dice, place)
    for place in (10, 30):
        git(desk, "switch", "-q", "-c", f"from-{place}", f"main~{39 - place}")
        for more in range(4):
            commit(desk, dice, 100 * place + more)
        git(desk, "switch", "-q", "main")
    git(desk, "merge", "-q", "-s", "ours", "--no-edit", "from-30")
    for place in range(40, 44):
        commit(desk, dice, place)
    return desk


def commit(desk: Path, dice: random.Random, place: int) -> None:
    for path in dice.sample(PATHS, dice.randint(0, 2)):
        (desk / path).parent.mkdir(exist_ok=True)
        (desk / path).write_text(str(place))
    git(desk, "add", "-A")
    git(desk, "commit", "-q", "--allow-empty", "-m", f"commit {place}")


def by_git(desk: Path, tip: str, paths: list[str], older: str | None) -> list[str]:
    words = ["log", "--first-parent", "--diff-merges=first-parent", "--full-history", "--format=%H", tip]
    return git(desk, *words, *([f"^{older}"] if older else []), "--", *paths).split()


def by_us(repo: Repository, tip: str, paths: list[str], older: str | None) -> list[str]:
    found = list(repo.history(Oid(tip), *paths, no_older_than=Oid(older) if older else None))
    assert all({change.path for change in each.changes} <= set(paths) and each.changes for each in found)
    return [each.oid for each in found]


@pytest.mark.slow
@pytest.mark.parametrize("round_", range(how_many(1)))
def test_however_it_was_read_history_is_what_git_log_says(desk: Path, dice: random.Random, round_: int) -> None:
    line = git(desk, "rev-list", "--first-parent", "main").split()
    branches = [git(desk, "rev-parse", name) for name in ("from-10", "from-30")]
    with open_repository(str(desk)) as repo:
        repo.refresh()
        for _ in range(60):
            if dice.random() < 0.15:
                repo.expect(dice.choice((1, 100)), Oid(dice.choice(line + branches)))
            if dice.random() < 0.05:
                repo.forget()
            tip = dice.choice(line + branches)
            chain = git(desk, "rev-list", "--first-parent", tip).split()
            older = dice.choice(chain[1:] or [None]) if dice.random() < 0.4 else None
            paths = dice.sample(PATHS, dice.choice((1, 1, 1, 2, 3)))
            assert by_us(repo, tip, paths, older) == by_git(desk, tip, paths, older), (tip, paths, older)


@pytest.mark.slow
def test_what_main_gains_while_it_is_asked_again_and_again_is_told(desk: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    git(tmp_path, "clone", "-q", "--bare", str(desk), str(mine))
    old = git(mine, "rev-parse", "main~30")
    with open_repository(str(mine)) as repo:
        repo.refresh()
        index = repo.read_history(Oid(old))
        for back in range(29, -1, -1):
            tip = git(mine, "rev-parse", f"main~{back}")
            for path in PATHS:
                assert by_us(repo, tip, [path], None) == by_git(desk, tip, [path], None)
        assert repo.history_index is index, "it was never read again"
        assert repo.read_history(Oid(tip)).commits[0].oid == tip


@pytest.mark.slow
def test_what_a_commit_did_to_many_paths_is_read_once_and_not_once_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, count = tmp_path / "desk", 100
    git(tmp_path, "init", "-q", "-b", "main", str(desk))
    git(desk, "commit", "-q", "--allow-empty", "-m", "first")
    for place in range(count):
        (desk / f"{place}.json").write_text(str(place))
    git(desk, "add", "-A")
    git(desk, "commit", "-q", "-m", "many")
    member, reads = Change.__dict__["path"], [0]

    def read(change: Change) -> str:
        reads[0] += 1
        return str(member.__get__(change))

    with open_repository(str(desk)) as repo:
        tip = repo.refresh()
        repo.read_history(Oid(git(desk, "rev-parse", "main~1")))
        monkeypatch.setattr(Change, "path", property(read, member.__set__))
        for place in range(count):
            assert [each.oid for each in repo.history(tip, f"{place}.json")] == [tip]
    assert reads[0] < 10 * count
