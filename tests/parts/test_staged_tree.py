"""What is found below a staging directory: links are followed inside it, and refused by name where they lead out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from shop import popularity

from pointsman.errors import Problem
from pointsman.intake.staged_tree import find_files
from pointsman.intake.staging import Reading, read_sources
from pointsman.state.names import Target

LIMIT = 10_000_000
GROCER = Target("grocer", "home")


def stage(root: Path, day: int, tenant: str = "grocer", **more: str) -> Path:
    """Stage one artifact; the directory of its window."""
    made = popularity(root.parent / "made.json", 10 + day, tenant=tenant, day=day, **more)
    version = json.loads(made.read_text())["build"]["version"]
    window = root / tenant / "home" / "default" / "popularity" / f"2026-03-0{day}_2026-03-0{day + 1}"
    window.mkdir(parents=True)
    (window / "current.version").write_text(version)
    made.rename(window / f"{version}.json")
    return window


def read(*paths: Path, windows: Sequence[str] = ()) -> Reading:
    return read_sources([str(path) for path in paths], windows, {}, LIMIT)


def days(reading: Reading) -> list[tuple[str, str]]:
    return [(str(each.target), each.artifact.window_start[8:10]) for each in reading.sources]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    stage(tmp_path / "tree", 1)
    return tmp_path / "tree"


def moved(path: Path, to: Path) -> None:
    """Put a directory or a file elsewhere, and a link in its place."""
    to.parent.mkdir(parents=True, exist_ok=True)
    path.rename(to)
    path.symlink_to(os.path.relpath(to, path.parent))


def newest(tree: Path) -> Path:
    return max((tree / "grocer/home/default/popularity").iterdir())


def artifact(tree: Path) -> Path:
    [path] = newest(tree).glob("*.json")
    return path


def chain(tree: Path) -> None:
    moved(newest(tree), tree / "store" / "0123")
    moved(tree / "store", tree / "deeper" / "store")
    moved(tree / "grocer", tree / "deeper" / "grocer")


INSIDE: dict[str, Callable[[Path], None]] = {
    "a tenant": lambda tree: moved(tree / "grocer", tree / "..data" / "g1"),
    "a tenant, as volumes have it": lambda tree: moved(tree / "grocer", tree / "..data" / "grocer"),
    "a surface": lambda tree: moved(tree / "grocer" / "home", tree / "shared" / "one"),
    "a type": lambda tree: moved(tree / "grocer/home/default/popularity", tree / "grocer/home/default/popularity-v2"),
    "a window": lambda tree: moved(newest(tree), tree / "store" / "0123"),
    "an artifact": lambda tree: moved(artifact(tree), tree / "store" / "an artifact"),
    "an artifact that ends in .json": lambda tree: moved(artifact(tree), tree / "store" / "an artifact.json.gz"),
    "current.version": lambda tree: moved(newest(tree) / "current.version", tree / "store" / "pointer"),
    "latest": lambda tree: (newest(tree).parent / "latest").symlink_to(newest(tree).name),
    "another name of the tenant": lambda tree: (tree / "alias").symlink_to("grocer"),
    "a chain": chain,
    "itself": lambda tree: (tree / "loop").symlink_to("loop"),
    "a circle": lambda tree: (tree / "grocer" / "up").symlink_to(".."),
}


@pytest.mark.parametrize("what", INSIDE)
def test_what_a_link_leads_to_inside_the_tree_is_read_once(tree: Path, what: str) -> None:
    stage(tree, 2)
    INSIDE[what](tree)
    for root in (tree, tree.parent / "root"):
        if root != tree:
            root.symlink_to(tree)
        reading = read(root)
        assert (days(reading), reading.faults) == ([("grocer/home", "02")], {})
    assert not [note for note in reading.notes if "loop" not in note]


@pytest.mark.parametrize("what", ["window", "artifact", "current.version"])
def test_what_leads_out_or_nowhere_stops_its_target_by_name(tree: Path, tmp_path: Path, what: str) -> None:
    stage(tree, 1, "toys")
    window = stage(tree, 2)
    place = {"window": window, "artifact": artifact(tree), "current.version": window / "current.version"}[what]
    moved(place, tmp_path / "elsewhere" / place.name)
    reading = read(tree)
    [fault] = reading.faults[GROCER]
    assert (fault.rule, fault.path) == ("leads-out", str(place))
    assert str(tmp_path / "elsewhere" / place.name) in fault.says
    assert days(reading) == [("toys/home", "01")]
    assert days(read(tree, windows=["2026-03-01_2026-03-02"])) == [("grocer/home", "01"), ("toys/home", "01")]
    assert days(read(tree, tmp_path / "elsewhere")) if what == "artifact" else True
    (tmp_path / "elsewhere" / place.name).rename(tmp_path / "gone")
    [fault] = read(tree).faults[GROCER]
    assert (fault.rule, fault.path) == ("leads-out", str(place))
    assert "leads nowhere" in fault.says


def test_a_tenant_that_leads_out_is_left_out_by_name_and_read_if_that_is_named_too(tree: Path, tmp_path: Path) -> None:
    stage(tmp_path / "other", 3, "toys")
    (tree / "toys").symlink_to(tmp_path / "other" / "toys")
    reading = read(tree)
    assert (days(reading), reading.faults) == ([("grocer/home", "01")], {})
    [note] = reading.notes
    assert note.startswith(f"left out: {tree / 'toys'} is a symlink that leads out of {tree}, to {tmp_path / 'other'}")
    reading = read(tree, tmp_path / "other")
    assert (sorted(days(reading)), reading.faults, reading.notes) == (
        [("grocer/home", "01"), ("toys/home", "03")],
        {},
        [],
    )
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "toys").symlink_to(tmp_path / "other" / "toys")
    with pytest.raises(Problem, match=r"has no staged artifacts; left out: .*toys is a symlink"):
        read(alone)


def test_nothing_of_a_manifest_repository_is_taken_for_an_artifact(tree: Path) -> None:
    desk = tree / "desk"
    stage(desk / "tool" / "demo_data", 2, "toys")
    (desk / "pointsman.toml").touch()
    with pytest.raises(Problem, match=r"desk is a manifest repository, and no directory of artifacts: name the files"):
        read(desk)
    reading = read(tree)
    assert (days(reading), reading.faults) == ([("grocer/home", "01")], {})
    assert reading.notes == [f"left out: {desk} is a manifest repository, and no directory of artifacts"]
    assert days(read(desk / "tool")) == [("toys/home", "02")]


def test_a_window_that_nobody_staged_is_asked_for(tree: Path) -> None:
    with pytest.raises(Problem, match=r"of window 2026-03-09_2026-03-10: did you mean 2026-03-01_2026-03-02\?$"):
        read(tree, windows=("2026-03-09_2026-03-10",))


def test_loose_files_that_are_links_are_the_same(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    popularity(plain / "a.json", 5)
    (plain / "again.json").symlink_to("a.json")
    (plain / "out.json").symlink_to(popularity(tmp_path / "b.json", 5, tenant="toys"))
    (plain / "nowhere.json").symlink_to("gone.json")
    reading = read(plain)
    assert [str(each.target) for each in reading.sources] == ["grocer/home"]
    assert [(fault.rule, Path(fault.path).name) for fault in reading.faults[None]] == [
        ("leads-out", "out.json"),
        ("leads-out", "nowhere.json"),
    ]
    assert [str(each.target) for each in read(plain / "out.json").sources] == ["toys/home"], "who names it means it"


@pytest.mark.slow
def test_links_between_many_directories_are_walked_no_more_than_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"d{number}" for number in range(30)]
    for name in names:
        (tmp_path / "tree" / name).mkdir(parents=True)
        for other in names:
            (tmp_path / "tree" / name / f"to-{other}").symlink_to(f"../{other}")
    stage(tmp_path / "tree", 1)
    looked: list[str] = []
    scandir = os.scandir

    def look(path: str) -> object:
        looked.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", look)
    assert len(find_files([str(tmp_path / "tree")]).files) == 1
    assert len(looked) <= 2 * (len(names) + 5)


def test_a_directory_that_cannot_be_read_stops_its_target_and_a_loose_one_is_told(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage(tree, 1, "toys")
    scandir = os.scandir

    def denied(path: str) -> object:
        if path.endswith("/toys"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    reading = read(tree)
    assert days(reading) == [("grocer/home", "01")]
    assert [(fault.rule, fault.path) for fault in reading.faults[None]] == [("unreadable", str(tree / "toys"))]
