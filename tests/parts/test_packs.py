"""Every publish leaves a small pack. They are joined before there are many, and no object is lost on the way."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from shop import git

from pointsman.repo.open import open_repository
from pointsman.repo.packs import MOST_PACKS, _join, _small_packs, _worth_joining
from pointsman.repo.repository import Repository
from pointsman.state.objects import Oid


def seeded(root: Path, kind: str = "sha1") -> Path:
    """A bare repository with a first commit on main."""
    git(root, "init", "-q", "--bare", "-b", "main", f"--object-format={kind}", "main.git")
    bare = root / "main.git"
    git(bare, "config", "user.name", "Ann")
    git(bare, "config", "user.email", "ann@example.org")
    first = git(bare, "commit-tree", git(bare, "mktree", given=""), "-m", "first")
    git(bare, "update-ref", "refs/heads/main", first)
    return bare


def commits(repo: Repository, count: int, name: str = "one") -> list[Oid]:
    """So many commits of one file below main, each written by itself."""
    main = repo.refresh()
    trees = (repo.tree_with(repo.tree_of(main), {f"{name}/file": f"{number}".encode()}) for number in range(count))
    return [repo.commit(tree, [main], f"{name} {number}\n") for number, tree in enumerate(trees)]


def packs(bare: Path) -> set[str]:
    return {path.stem for path in (bare / "objects" / "pack").glob("*.pack")}


def loose(bare: Path) -> int:
    return sum(1 for _ in (bare / "objects").glob("??/*"))


def missing(bare: Path, oids: list[Oid]) -> list[Oid]:
    """Those of the commits that git cannot read whole, with their trees and contents."""
    git(bare, "fsck", "--full", "--strict")
    for oid in oids:
        git(bare, "update-ref", f"refs/heads/seen/{oid}", oid)
    git(bare, "fsck", "--full", "--strict")
    told = git(bare, "cat-file", "--batch-check", given="".join(f"{oid}:\n" for oid in oids)).splitlines()
    return [oid for oid, line in zip(oids, told, strict=True) if line.split()[1] != "tree"]


@pytest.mark.parametrize("kind", ["sha1", pytest.param("sha256", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_many_publishes_leave_few_packs_and_every_object(tmp_path: Path, kind: str) -> None:
    bare = seeded(tmp_path, kind)
    before = loose(bare)
    with open_repository(str(bare)) as repo:
        made = commits(repo, 3 * MOST_PACKS)
        assert len(packs(bare)) <= MOST_PACKS
        assert all(repo.git.commit_at(oid) is not None for oid in made)  # by the reader that was there before
    assert loose(bare) == before
    assert not missing(bare, made)
    assert not list((bare / "objects" / "pack").glob("tmp_*"))


@pytest.mark.slow
@pytest.mark.parametrize("by", ["a .keep file", "an index of many packs", "a pack that is damaged"])
def test_packs_that_must_stay_or_cannot_be_joined_stay_and_new_objects_become_files(tmp_path: Path, by: str) -> None:
    bare = seeded(tmp_path)
    with open_repository(str(bare)) as repo:
        made = commits(repo, MOST_PACKS)
    before = packs(bare)
    for name in before:
        if by == "a .keep file":
            (bare / "objects" / "pack" / f"{name}.keep").touch()
    if by == "an index of many packs":
        git(bare, "multi-pack-index", "write")
    if by == "a pack that is damaged":
        path = bare / "objects" / "pack" / f"{min(before)}.pack"
        whole = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(whole[:-30] + bytes(30))
    with open_repository(str(bare)) as repo:
        made += commits(repo, 3, "two")
    assert packs(bare) >= before
    assert loose(bare) >= 3 or by == "a .keep file"
    if by == "a pack that is damaged":
        path.write_bytes(whole)
    assert not missing(bare, made)


def test_a_pack_is_written_again_only_when_it_doubles() -> None:
    sizes = {"large": 10**9, **{f"pack-{number}": 10 for number in range(MOST_PACKS)}}
    written = 0
    for number in range(100):
        joined = _worth_joining(sizes)
        assert "large" not in joined
        written += sum(sizes[name] for name in joined)
        sizes = {name: size for name, size in sizes.items() if name not in joined} | {
            f"joined-{number}": sum(sizes[name] for name in joined)
        }
        sizes |= {f"pack-{number}-{more}": 10 for more in range(MOST_PACKS - len(sizes))}
    assert written <= 8 * (sum(sizes.values()) - 10**9)


@pytest.mark.slow
def test_a_join_that_was_killed_before_it_deleted_is_done_again(tmp_path: Path) -> None:
    bare = seeded(tmp_path)
    with open_repository(str(bare)) as repo:
        made = commits(repo, MOST_PACKS)
    old = shutil.copytree(bare / "objects" / "pack", tmp_path / "old")
    with open_repository(str(bare)) as repo:
        made += commits(repo, 1, "two")
        shutil.copytree(old, bare / "objects" / "pack", dirs_exist_ok=True, copy_function=_if_gone)
        assert len(packs(bare)) > MOST_PACKS
        made += commits(repo, 1, "three")
    assert len(packs(bare)) < MOST_PACKS
    assert not missing(bare, made)


@pytest.mark.slow
def test_a_join_that_makes_what_is_there_already_does_not_delete_it(tmp_path: Path) -> None:
    bare = seeded(tmp_path)
    with open_repository(str(bare)) as repo:
        made = commits(repo, 1)
        (name,) = packs(bare)
        assert _join(repo.git, bare / "objects" / "pack", [name])
    assert packs(bare) == {name}
    assert not missing(bare, made)


def _if_gone(source: str, target: str) -> None:
    if not Path(target).exists():
        shutil.copy2(source, target)


def test_a_large_pack_is_no_small_one(tmp_path: Path) -> None:
    for name, size in (("pack-1", 1 << 20), ("pack-2", 1 << 27), ("other", 1)):
        for suffix in (".pack", ".idx"):
            with open(tmp_path / f"{name}{suffix}", "wb") as file:
                file.truncate(size)
    assert _small_packs(tmp_path) == {"pack-1": 1 << 20}


@pytest.mark.slow
def test_many_that_write_and_join_at_once_lose_nothing(tmp_path: Path) -> None:
    bare = seeded(tmp_path)

    def write(name: str) -> list[Oid]:
        with open_repository(str(bare)) as repo:
            return commits(repo, 12, name)

    with ThreadPoolExecutor(16) as pool:
        made = [oid for written in pool.map(write, [f"w{number}" for number in range(16)]) for oid in written]
    assert len(made) == 16 * 12
    assert not missing(bare, made)
