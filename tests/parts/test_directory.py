"""A directory as a store: what it does beyond what every store does (test_stores)."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Timer

import full_disk
import pytest
from locks import is_locked, other_process
from shop import Shop, popularity
from world import own_mounts

from pointsman.errors import Blocked, Unreachable
from pointsman.store import file_moves
from pointsman.store.base import Page, listed
from pointsman.store.directory import FileStore
from pointsman.store.open import open_store
from pointsman.store.parallel import ask_all

TRASH = ".pointsman/trash/"


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    opened = open_store(f"file://{tmp_path}/a store")
    assert isinstance(opened, FileStore)
    return opened


def test_a_create_without_nameless_files_leaves_nothing_else_behind(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    assert store.create("a/b/c/1.json", b"one") is True
    assert store.create("a/b/c/1.json", b"two") is False
    assert [path.name for path in store.root.rglob("*") if path.is_file()] == ["1.json"]


def test_what_the_system_refuses_names_the_store_and_the_key(store: FileStore, tmp_path: Path) -> None:
    store.root.write_text("a file where the store should be")
    with pytest.raises(Unreachable, match=r"cannot write file://.*a store/t/1.json") as error:
        store.create("t/1.json", b"x")
    assert error.value.exit_code == 3


@pytest.mark.parametrize("file", ["", "t", "t/s", ".pointsman"])
def test_a_file_where_a_directory_belongs_is_named_and_never_taken_for_nothing(store: FileStore, file: str) -> None:
    stands = store.root / file
    stands.parent.mkdir(parents=True, exist_ok=True)
    stands.write_text("a file")
    key = f"{file or 't'}/s/1.json"
    says = re.escape(f"{stands} is a file, and a directory of the store should stand there: take it away")
    asked = store.read, store.digest, store.size, store.written, store.writer
    for ask in (
        *asked,
        lambda key: list(store.keys(f"{file}/" if file else "", 3)),
        lambda key: store.create(key, b"x"),
    ):
        with pytest.raises(Blocked, match=rf"^cannot (read|list|write) {store.url}/.*: {says}$"):
            ask(key)
    if not file:
        with pytest.raises(Blocked, match=says):
            store.tags(3, ())
        return
    store.create("other/s/1.json", b"x")
    assert store.read("other/s/1.json") is not None, "nobody else pays for it"
    assert set(store.tags(3, [key])) == {"other/s/1.json"}


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize(
    "root,files,directories",
    [(0o755, 0o644, 0o755), (0o2770, 0o640, 0o2770), (0o700, 0o600, 0o700), (0o777, 0o644, 0o775)],
)
def test_whoever_may_read_the_store_may_read_what_is_in_it_whatever_the_umask(
    store: FileStore, root: int, files: int, directories: int, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Serving runs under another user. Nobody else is let in: the mode of the store's own directory says who."""
    monkeypatch.setattr(store, "_has_links", links)
    store.root.mkdir()
    store.root.chmod(root)
    umask = os.umask(0o077)
    try:
        store.create("t/s/1.json", b"x")
        with store.locked("current/"):
            store.replace("current/t/s/m.json", b"x", was=None)
    finally:
        os.umask(umask)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in store.root.rglob("*")}
    locks = {path: mode for path, mode in modes.items() if path.name in ("lock", "creates")}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {directories}
    assert {mode for path, mode in modes.items() if path.is_file() and path not in locks} == {files}
    assert set(locks.values()) == {directories & 0o660 | files}


def test_what_leaves_the_trash_takes_its_empty_directories_with_it_and_no_others(store: FileStore) -> None:
    one, two, later = (
        f".pointsman/trash/{rest}.json" for rest in ("2026-03-01/t/s/p/1", "2026-03-01/t/s/p/2", "2026-03-02/t/s/p/1")
    )
    for key in (one, two, later):
        store.create(key, b"x")
    store.remove(one)
    assert store.read(two) is not None
    store.remove(two)
    assert [path.name for path in (store.root / ".pointsman/trash").iterdir()] == ["2026-03-02"]
    store.remove(later)
    assert list((store.root / ".pointsman/trash").iterdir()) == []


def test_what_cannot_be_moved_tells_what_is_in_the_way_of_it_and_not_to_take_the_blob_away(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob, trash = "t/s/1.json", store.root / ".pointsman/trash"
    store.create(blob, b"x")

    def move() -> str:
        with pytest.raises(Unreachable) as error:
            store.move(blob, f"{TRASH}2026-01-01/{blob}", 1, lambda: True)
        assert store.read(blob) is not None
        return str(error.value).removeprefix(f"cannot move {blob} to {store.url}/{TRASH}2026-01-01/{blob}: ")

    trash.parent.mkdir()
    trash.write_text("a file")
    assert move() == f"{trash} is a file, and a directory of the store should stand there: take it away"
    trash.unlink()
    (tmp_path / "elsewhere").mkdir()
    trash.symlink_to(tmp_path / "elsewhere")
    assert move() == f"{trash} is a symbolic link, and gc and find look behind none: make it a directory"
    assert not list((tmp_path / "elsewhere").rglob("*.json"))
    trash.unlink()

    def rename(path: Path, goal: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "rename", rename)
    assert "different file systems" in move()


@pytest.mark.slow
def test_what_is_moved_counts_as_written_then(store: FileStore) -> None:
    store.create("t/s/old.json", b"x")
    os.utime(store.root / "t/s/old.json", (1, 1))
    assert store.move("t/s/old.json", "t/s/new.json", 1, lambda: True)
    assert (store.written("t/s/new.json") or 0) > time.time() - 3600


@pytest.mark.slow
def test_a_disk_that_is_full_is_said_leaves_no_half_a_blob_and_running_again_finishes(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.store.mkdir()
    paths = [str(popularity(tmp_path / f"{number}.json", 200 * number, surface=f"s{number}")) for number in (1, 5)]
    script = [sys.executable, full_disk.__file__, str(shop.store), str(shop.desk), *paths]
    ran = subprocess.run(
        [*own_mounts(), *script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    found = json.loads(ran.stdout)
    code, sentence = found["full"]
    assert code == 3
    assert re.fullmatch(r"cannot write file://.+\.json: the disk is full: make room and run again", sentence)
    assert found["again"] == [0, ""]
    whole = {path: size for path, size in found["after"].items() if path.startswith("grocer/")}
    assert len(whole) == 2
    assert {path for path in found["during"] if path != ".ballast"} < set(whole)
    assert all(whole[path] == size for path, size in found["during"].items() if path != ".ballast")


@pytest.mark.slow
def test_a_file_that_may_not_grow_so_large_is_said_and_leaves_nothing_behind(store: FileStore) -> None:
    """The limit of the process (RLIMIT_FSIZE): another error than a full disk, met at the same place."""
    script = (
        "import resource, sys\n"
        "from pointsman.store.open import open_store\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "open_store(sys.argv[1]).create('t/1.json', bytes(2000))\n"
    )
    ran = subprocess.run([sys.executable, "-c", script, store.url], capture_output=True, text=True, check=False)
    assert "Unreachable: cannot write" in ran.stderr
    assert "a file may not grow that large here" in ran.stderr
    assert [path for path in store.root.rglob("*") if path.is_file()] == []
    assert store.create("t/1.json", bytes(2000)) is True


def test_what_is_gone_cannot_be_kept(store: FileStore) -> None:
    assert store.keep("t/1.json") is False


def test_whatever_returns_has_fsynced_the_bytes_and_the_directory_that_names_them(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what another process put there a moment ago. The order of all this is watched in test_durability."""
    fsync = os.fsync
    synced: list[str] = []

    def noted(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        fsync(fd)

    def done(call: Callable[[], object]) -> set[str]:
        synced.clear()
        call()
        return {Path(path).name for path in synced}

    monkeypatch.setattr(os, "fsync", noted)
    assert {"home", "cart"} <= done(lambda: store.create("grocer/home/cart/1.json", b"one"))
    assert done(lambda: store.create("grocer/home/cart/1.json", b"one")) >= {"1.json", "cart"}
    assert done(lambda: store.keep("grocer/home/cart/1.json")) == {"1.json", "cart"}
    with store.locked(""):
        assert done(lambda: store.replace("grocer/home/p.json", b"one", was=None)) >= {"next", "home"}
        held = store.read("grocer/home/p.json")
        assert held is not None
        assert done(lambda: store.delete("grocer/home/p.json", was=held.tag)) == {"home"}
    trash = ".pointsman/trash/2026-01-01"
    assert {"popular", "cart"} <= done(
        lambda: store.move("grocer/home/cart/1.json", f"{trash}/grocer/home/popular/1.json", 3, lambda: True)
    )
    assert done(lambda: store.remove(f"{trash}/grocer/home/popular/1.json")) == {"popular"}


@pytest.mark.slow
def test_only_one_process_at_a_time_writes_pointers(store: FileStore) -> None:
    with store.locked(""):
        assert is_locked(store.url)
    assert not is_locked(store.url)


def test_whoever_waits_for_the_lock_for_too_long_says_so(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_LOCK_TIMEOUT", "0.2")
    with other_process(store.url) as (went, process):
        assert went == "in"
        with pytest.raises(Unreachable, match=r"holds the lock of .* \(POINTSMAN_LOCK_TIMEOUT\)"), store.locked(""):
            pass
        monkeypatch.setenv("POINTSMAN_LOCK_TIMEOUT", "60")
        Timer(0.1, process.kill).start()
        with store.locked(""):
            assert process.wait() != 0


def test_a_process_that_is_killed_leaves_no_lock_behind(store: FileStore) -> None:
    with other_process(store.url) as (went, process):
        assert went == "in"
        assert is_locked(store.url)
        process.kill()
        process.wait()
        assert not is_locked(store.url)


@pytest.mark.parametrize("nameless", [True, False])
@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_without_hard_links_a_create_is_still_whole_once_and_never_over_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, nameless: bool
) -> None:
    """As on gcsfuse, SMB, exFAT and virtiofs."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE")
    url = f"file://{tmp_path}/store"
    won = list(ask_all(lambda each: open_store(url).create("t/s/1.json", b"%d" % each), range(8), at_once=8))
    assert sum(won) == 1
    store = open_store(url)
    there = store.read("t/s/1.json")
    assert there is not None
    assert there.data == b"%d" % won.index(True)
    assert store.create("t/s/2.json", b"two") is True
    assert store.create("t/s/2.json", b"other") is False
    write = os.write

    def full(fd: int, data: memoryview) -> int:
        if len(data) < 2000:
            raise OSError(errno.ENOSPC, "full")
        return write(fd, data[:1000])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(Unreachable, match="the disk is full"):
        store.create("t/s/3.json", bytes(2500))
    files = sorted(path.name for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert files == ["1.json", "2.json", "creates"]


def test_what_a_killed_process_began_goes_with_a_later_object_and_no_younger_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    store = open_store(f"file://{tmp_path}/store")
    store.create("t/s/1.json", b"one")
    own = tmp_path / "store" / ".pointsman"
    old, young, other = own / f"new-{'0' * 16}", own / f"new-{'1' * 16}", own / "new-est"
    for path in (old, young, other):
        path.write_bytes(b"one and a half")
    written = young.stat().st_mtime
    os.utime(old, (written, written - 86500))
    os.utime(other, (written, written - 86500))
    store.create("t/s/2.json", b"two")
    assert (old.exists(), young.exists(), other.exists()) == (False, True, True)


def test_a_file_system_without_locks_is_named_with_what_helps(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(Unreachable, match=r"gives no locks \(ENOLCK\): on NFS start its lock"), store.locked(""):
        pass
    monkeypatch.setattr(store, "_has_links", False)
    with pytest.raises(Unreachable, match="gives no locks"):
        store.create("t/s/1.json", b"one")


@pytest.mark.parametrize("shape", ["{0}", "a/{0}", "a/b/c/d/e/{0}", "s{0}/t", "a/s{0}/b{0}", "a/{1}/b/{0}", "{1}/{0}"])
@pytest.mark.parametrize("count", [0, 1, 15, 16, 40, 200])
def test_the_parts_of_a_listing_are_the_listing(
    store: FileStore, shape: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_moves, "_PAGE", 3)
    for number in range(count):
        (store.root / shape.format(number, number % 3)).parent.mkdir(parents=True, exist_ok=True)
        (store.root / shape.format(number, number % 3)).write_bytes(b"x" * number)
    parts = [[each for page in part() for each in page.objects()] for part in store.parts()]
    assert [each for part in parts for each in part] == list(listed(store))
    assert len(parts) <= 64
    assert len(parts) >= min(count // 3, 16), "there is nothing for a second process to do"


def test_a_part_that_cannot_be_listed_is_told_as_the_listing_is(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        store.create(f"t/s{number % 4}/{number}.json", b"x" * number)
    look = file_moves._look

    def broken(root: str, directory: str, names: list[str], page: Page) -> None:
        if directory == "t/s2/":
            raise OSError(errno.EIO, os.strerror(errno.EIO), f"{root}/{directory}")
        look(root, directory, names, page)

    monkeypatch.setattr(file_moves, "_look", broken)
    with pytest.raises(Unreachable, match=r"cannot list file://.* the disk has an error there"):
        list(listed(store))
    with pytest.raises(Unreachable, match=r"cannot list file://.* the disk has an error there"):
        [list(part()) for part in store.parts()]


def test_what_is_no_plain_file_any_more_is_not_moved(store: FileStore) -> None:
    """Somebody put a link in the place of a blob after it was listed."""
    (store.root / "a").mkdir(parents=True)
    (store.root / "a" / "1.json").symlink_to("elsewhere")
    with pytest.raises(Unreachable, match=r"cannot move a/1\.json to .* a symbolic link stands there, not a file"):
        store.move("a/1.json", ".pointsman/trash/2026-01-01/a/1.json", 3, lambda: True)
    assert (store.root / "a" / "1.json").is_symlink()
