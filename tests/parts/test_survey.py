"""What a survey counts is what a look at each key by itself would count, however a listing is cut into pages."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from clocks import clock_at
from shop import Shop, git

from pointsman.errors import Problem
from pointsman.progress import SILENCE
from pointsman.repo.open import open_repository
from pointsman.repo.snapshot import Snapshot
from pointsman.retention.recorded import Recorded
from pointsman.retention.survey import Survey, survey
from pointsman.retention.trash import slot_of
from pointsman.state.objects import Oid
from pointsman.store.base import Page, listed
from pointsman.store.directory import FileStore
from pointsman.store.open import open_store
from pointsman.verbs import gc
from pointsman.workspace import Workspace

RECORDED = ("a/home/t", "a-b/home/t", "a.c/home/t", "a/home/t-2", "b/web/cooc")
OLD, YOUNG = 1_000, 2_000  # seconds since 1970
ODD = (
    "top", "{0}.json", "a/{0}/t/{0}.json", "a/home/{0}.json", "a/home/t/README.md", "a/home/t/deeper/{0}.json",
    "a/home/t/{0}.JSON", "a/home/t/{0}.json/{0}.json", "a/home/t/{0}.retired.json", "a/home/t/g{0:.63}.json",
    "a/home/t/{0:.63}.jsona", "a/home/t/{0:.62}ü.json", "ü/home/t/{0}.json", "only-a-tombstone/home/t/{0}.json",
    "x/y/z/{0}.json", "registry/home/t/{0}.json", "registry/records/t/a/home/{0}.json", ".pointsman/gc.json",
    ".pointsman/trash/2026-01-01/a/home/t/{0}.json",
)  # fmt: skip


def version(number: int) -> str:
    return hashlib.sha256(f"{number}".encode()).hexdigest()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Blobs that are live, retired, orphaned, old and young, and much that is no blob."""
    shop = Shop(tmp_path_factory.mktemp("survey") / "shop")
    for directory in RECORDED:
        place = shop.desk / "registry" / directory
        place.mkdir(parents=True)
        for number in range(24):
            put(shop, f"{directory}/{version(number)}.json", YOUNG if number % 5 == 4 else OLD)
            if number % 4 != 3:
                (place / f"{version(number)}.json").write_text("{}")
            if number % 4 == 1:
                (place / f"{version(number)}.retired.json").write_text("{}")
            if number % 4 == 2:
                (place / f"{version(number)}.evidence.{'0' * 12}.json").write_text("{}")
        (place / f"{version(99)}.json").write_text("{}")  # whose blob is lost
    for name in ("only-a-tombstone/home/t", "ü/home/t", "\udcff/home/t"):
        place = shop.desk / "registry" / name
        place.mkdir(parents=True)
        (place / f"{version(1)}.retired.json").write_text("{}")
    for form in ODD:
        put(shop, form.format(version(60)), OLD)
    os.symlink("nowhere", shop.store / f"a/home/t/{version(50)}.json")
    shop.push()
    return shop


def put(shop: Shop, key: str, when: float) -> None:
    path = shop.store / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * (len(key) % 7 + 1))
    os.utime(path, (when, when))


class Cut:
    """A store whose listing comes in other pages; the rest of it is as it was."""

    def __init__(self, store: FileStore, pages: list[list[Any]]) -> None:
        self.store = store
        self.pages = pages

    def parts(self) -> list[Callable[[], Iterator[Page]]]:
        return [partial(iter, [Page(*map(list, zip(*page, strict=True))) for page in self.pages])]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def surveyed(shop: Shop, store: Any) -> Survey:
    with shop.open() as repo:
        main = repo.refresh()
        with contextlib.closing(Recorded(repo, main)) as recorded:
            targets = map(str, Snapshot(repo, main).targets("registry"))
            return survey(store, [recorded], targets, OLD + 1, SILENCE)


def told(found: Survey) -> tuple[Any, ...]:
    counts = (found.listed, found.known, found.live, found.live_bytes, found.young, found.unknown)
    blobs = (sorted((each.key, each.size, each.written) for each in those) for those in (found.orphans, found.retired))
    return *counts, *blobs, sorted(each.key for each in found.trash), found.pipelines, found.of_unknown_targets


def one_by_one(shop: Shop, store: FileStore) -> tuple[Any, ...]:
    """The same, by a look at each key and nothing else."""
    command = ["git", "-C", str(shop.origin), "ls-tree", "-r", "-z", "--name-only", "main", "registry/"]
    files = set(os.fsdecode(subprocess.run(command, check=True, capture_output=True).stdout).split("\0"))
    targets = {file.rsplit("/", 2)[0] for file in files if re.search(r"/[0-9a-f]{64}\.json$", file)}
    found = Survey()
    orphans, retired = [], []
    for each in listed(store):
        slot, record = slot_of(each.key), f"registry/{each.key}"
        if slot is None or each.size is None:
            if each.key.startswith(".pointsman/trash/"):
                found.trash.add(each.key, each.size or 0, each.written)
            elif each.key.startswith("registry/records/"):
                found.pipelines.add(each.key[-69:-5])
            elif not each.key.startswith(".pointsman/"):
                found.unknown += 1
            continue
        found.listed += 1
        known = f"registry/{slot[0]}" in targets
        found.known += known
        stone = record.replace(".json", ".retired.json") in files
        if record in files and (not stone or each.written > OLD + 1):
            found.live += 1
            found.live_bytes += each.size
        elif not known:
            found.unknown += 1
            found.of_unknown_targets += 1
        elif each.written > OLD + 1:
            found.young += 1
        elif record in files:
            retired.append((each.key, each.size, each.written))
        else:
            orphans.append((each.key, each.size, each.written))
    counts = (found.listed, found.known, found.live, found.live_bytes, found.young, found.unknown)
    trash = sorted(each.key for each in found.trash)
    return *counts, sorted(orphans), sorted(retired), trash, found.pipelines, found.of_unknown_targets


@pytest.mark.parametrize("order", ["as listed", "cut anywhere", "one each", "all at once", "mixed"])
def test_however_a_listing_comes_each_key_counts_as_by_itself(shop: Shop, order: str, dice: random.Random) -> None:
    store = open_store(f"file://{shop.store}")
    assert isinstance(store, FileStore)
    objects = list(listed(store))
    if order == "mixed":
        dice.shuffle(objects)
    cuts = {"one each": range(len(objects) + 1), "all at once": (0, len(objects))}.get(
        order, sorted({0, len(objects), *dice.sample(range(len(objects)), 9)})
    )
    pages = [objects[start:stop] for start, stop in pairwise(cuts)]
    found = surveyed(shop, store if order == "as listed" else Cut(store, pages))
    expected = one_by_one(shop, store)
    assert told(found) == expected
    assert all(expected[:6])
    assert all(expected[6:])


def test_records_in_an_order_that_git_does_not_write_stop_it(tmp_path: Path) -> None:
    """A record that stands where nobody looks for it would be taken for none, and its blob for an orphan."""
    shop = Shop(tmp_path / "shop")
    blob = git(shop.origin, "hash-object", "-w", "--stdin", given="{}").strip()
    names = [f"{version(number)}.json" for number in range(3)]
    content = b"".join(b"100644 %s\0" % name.encode() + bytes.fromhex(blob) for name in sorted(names, reverse=True))
    made = subprocess.run(
        ["git", "-C", shop.origin, "hash-object", "-t", "tree", "-w", "--literally", "--stdin"],
        input=content, check=True, capture_output=True,
    )  # fmt: skip
    tree = made.stdout.decode().strip()
    for name in ("t", "home", "a", "registry"):
        tree = git(shop.origin, "mktree", given=f"040000 tree {tree}\t{name}\n").strip()
    commit = git(shop.origin, "commit-tree", "-m", "odd", tree).strip()
    with (
        shop.open(shop.origin) as repo,
        contextlib.closing(Recorded(repo, Oid(commit))) as recorded,
        pytest.raises(Problem, match="run git fsck"),
    ):
        recorded.ask(f"a/home/t/{names[0]}")


# what it costs


def many(root: Path, targets: int, each: int) -> tuple[Path, Path]:
    """A bare repository and its store: so many blobs of so many targets, a tenth of them orphans."""
    store, repository = root / f"store-{targets}", root / f"many-{targets}.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", repository], check=True)
    settings = f'[store]\nurl = "file://{store}"\n'
    lines = ["commit refs/heads/main", "committer A <a@example.org> 1740000000 +0000", "data 5", "begin"]
    lines += ["M 100644 inline pointsman.toml", f"data {len(settings)}", settings]
    for target in range(targets):
        directory = f"shop{target}/home/popularity"
        (store / directory).mkdir(parents=True)
        for number in range(each):
            key = f"{directory}/{version(each * target + number)}.json"
            (store / key).touch()
            lines += [f"M 100644 inline registry/{key}", "data 2", "{}"] if number % 10 else []
    subprocess.run(["git", "-C", repository, "fast-import", "--quiet"], input="\n".join(lines).encode(), check=True)
    return repository, store


def peak(repository: Path) -> tuple[int, gc.Collected]:
    """The most bytes that a dry run holds at once, and what it found."""
    with open_repository(str(repository)) as repo:
        workspace = Workspace(repo, clock=clock_at(time.time() + 60))
        tracemalloc.start()
        try:
            found = gc.gc(workspace, gc.Request(grace="0s")).value
            return tracemalloc.get_traced_memory()[1], found
        finally:
            tracemalloc.stop()


@pytest.mark.slow
def test_what_a_run_holds_does_not_grow_with_the_store_and_each_file_is_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, store = many(tmp_path, 8, 250)
    lots, _ = many(tmp_path, 32, 250)
    peak(few)  # what is imported then is imported
    small, found = peak(few)
    large, more = peak(lots)
    assert (found.listed, len(found.orphans), found.live) == (2_000, 200, 1_800)
    assert (more.listed, len(more.orphans), more.live) == (8_000, 800, 7_200)
    assert large - small < 6_000 * 40  # bytes for each more; a key alone takes 140

    looked: list[str] = []
    stat = os.stat

    def counted(path: Any, *words: Any, **more: Any) -> os.stat_result:
        looked.append(os.fspath(path))
        return stat(path, *words, **more)

    monkeypatch.setattr(os, "stat", counted)
    peak(few)
    names = [name for name in looked if re.fullmatch(r"(?:.*/)?[0-9a-f]{64}\.json", name)]
    assert len(names) == len(set(names)) == sum(1 for _ in store.rglob("*.json"))


@pytest.mark.slow
def test_what_a_run_holds_does_not_grow_with_the_trash(tmp_path: Path) -> None:
    held = []
    for count in (100, 1_500, 9_500):  # what is imported with the first is imported, and the second has a whole page
        root = tmp_path / str(count)
        repository, store = many(root, 1, 10)
        for number in range(count):
            key = f"shop0/home/popularity/{version(1_000 + number)}.json"
            path = store / f".pointsman/trash/{date(2026, 1, 1) + timedelta(number // 50)}/{key}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        most, found = peak(repository)
        assert (found.trash, found.listed, found.purged) == (count, 10, 0)
        held.append(most)
    assert held[2] - held[1] < 8_000 * 80  # bytes for each more; a key alone takes 160


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["of every kind", "very many"])  # very many: so that git is read piece by piece
def test_several_processes_tell_what_one_does(shop: Shop, kind: str, tmp_path: Path) -> None:
    """In a process of their own: a test runner has threads."""
    program = (
        "import sys; from pointsman.retention import survey; from pointsman.store import processes;"
        "survey._MANY = int(sys.argv.pop(1)); processes.cores = lambda: 3; from pointsman.__main__ import run; run()"
    )
    repository = shop.desk if kind == "of every kind" else many(tmp_path, 20, 300)[0]
    command = [sys.executable, "-c", program]
    one, three = (
        subprocess.run(
            [*command, many, "-C", repository, "--json", "gc", "--grace", "0s", "--max-share", "1"],
            capture_output=True,
            check=False,
        )
        for many in ("1000000", "1")  # objects that the first one looks at before there are others
    )
    assert three.returncode == one.returncode == 0, three.stderr
    told = [json.loads(re.sub(rb'"age_seconds": *[0-9]+', b'"age_seconds": 0', each.stdout)) for each in (one, three)]
    assert told[0] == told[1]
    assert told[0]["listed"] > 100
    assert told[0]["orphans"]
    assert bool(told[0]["trash"]) == (kind == "of every kind")
