"""What descends from what: commits that a clone lacks are told, and are never taken for another history."""

from __future__ import annotations

from pathlib import Path

import pytest
from shop import git

from pointsman.errors import Problem
from pointsman.repo.open import open_repository
from pointsman.state.objects import Oid

pytestmark = pytest.mark.slow


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """Three commits on main, and one of a branch beside the last."""
    made = tmp_path / "origin"
    git(tmp_path, "init", "-q", "-b", "main", str(made))
    for name in ("first", "second", "third"):
        git(made, "commit", "-q", "--allow-empty", "-m", name)
    git(made, "checkout", "-q", "-b", "ship/grocer/home/0123456789ab", "main~1")
    git(made, "commit", "-q", "--allow-empty", "-m", "beside")
    git(made, "checkout", "-q", "main")
    return made


def lose(repo: Path, commit: str) -> None:
    """A commit is gone that others name as their parent, as after a fault of the disk."""
    oid = git(repo, "rev-parse", commit)
    (repo / ".git" / "objects" / oid[:2] / oid[2:]).unlink()


def test_a_clone_that_lacks_a_commit_says_which_and_how_to_get_it(origin: Path) -> None:
    lost = git(origin, "rev-parse", "main~1")
    lose(origin, "main~1")
    one, other = (Oid(git(origin, "rev-parse", each)) for each in ("main", "ship/grocer/home/0123456789ab"))
    says = rf"^git merge-base failed: .*{lost}; this clone lacks commits of its own history; .* run git fetch --refetch"
    with open_repository(str(origin)) as repo, pytest.raises(Problem, match=says):
        repo.merge_base(one, other)


def test_what_is_advised_brings_the_lost_commit_back(origin: Path, tmp_path: Path) -> None:
    desk = tmp_path / "desk"
    git(tmp_path, "init", "-q", "-b", "main", str(desk))
    git(desk, "remote", "add", "origin", origin.as_uri())
    git(desk, "-c", "fetch.unpackLimit=1000", "fetch", "-q", "origin")  # every object in a file of its own
    one, other = (Oid(git(desk, "rev-parse", f"origin/{each}")) for each in ("main", "ship/grocer/home/0123456789ab"))
    lost = git(desk, "rev-parse", "origin/main~1")
    lose(desk, lost)
    with open_repository(str(desk)) as repo:
        with pytest.raises(Problem, match="this clone lacks commits") as told:
            repo.merge_base(one, other)
        repo.refresh()
        with pytest.raises(Problem, match=r"git log failed: .* this clone lacks commits"):
            list(repo.history(repo.main))
    git(desk, *str(told.value).rpartition("run git ")[2].split())
    with open_repository(str(desk)) as repo:
        assert repo.merge_base(one, other) == lost


def test_an_origin_that_is_shallow_itself_is_named(origin: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", "--depth=1", "--no-single-branch", origin.as_uri(), "cut")
    git(tmp_path, "clone", "-q", (tmp_path / "cut").as_uri(), "desk")
    desk = tmp_path / "desk"
    one, other = (Oid(git(desk, "rev-parse", f"origin/{each}")) for each in ("main", "ship/grocer/home/0123456789ab"))
    with open_repository(str(desk)) as repo:
        repo.refresh()
        says = "the history that origin has ends at .*: it is a shallow clone itself; there, run git fetch --unshallow"
        with pytest.raises(Problem, match=says):
            repo.merge_base(one, other)
    git(tmp_path / "cut", "fetch", "-q", "--unshallow", "origin", "+refs/heads/*:refs/heads/*")
    with open_repository(str(desk)) as repo:
        repo.refresh()
        assert repo.merge_base(one, other) == git(origin, "rev-parse", "main~1"), "what is advised helps"


def test_two_histories_have_nothing_in_common_and_nothing_is_missing(origin: Path) -> None:
    git(origin, "checkout", "-q", "--orphan", "other")
    git(origin, "commit", "-q", "--allow-empty", "-m", "another first")
    with open_repository(str(origin)) as repo:
        assert repo.merge_base(Oid(git(origin, "rev-parse", "main")), Oid(git(origin, "rev-parse", "other"))) is None
