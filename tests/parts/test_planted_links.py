"""A directory store in which somebody planted links, pipes and devices: none blocks, none is written through."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from planted import LINKS, NO_FILES, PLANTS, plant

from pointsman.errors import Blocked, MovedFirst, Problem
from pointsman.store.directory import FileStore
from pointsman.store.open import open_store

KEY = "t/s/manifest.json"
OURS = (".pointsman/next", ".pointsman/lock", ".pointsman", ".pointsman/creates", KEY)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    opened = open_store(f"file://{tmp_path}/store")
    assert isinstance(opened, FileStore)
    return opened


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    victim = tmp_path / "somebody's" / "file"
    victim.parent.mkdir()
    victim.write_bytes(b"somebody's")
    victim.chmod(0o644)
    return victim


@pytest.mark.parametrize("kind", PLANTS)
def test_nothing_is_written_through_what_was_planted_under_one_of_our_names(
    tmp_path: Path, victim: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    for place, name in enumerate(OURS):
        store = FileStore(tmp_path / str(place), f"file://{tmp_path}/{place}")
        monkeypatch.setattr(store, "_has_links", False)  # so that a create goes through .pointsman, too
        plant(kind, store.root / name, victim)
        for write in (_replace, lambda store: store.create("t/s/blob.json", b"ours"), _replace):
            with contextlib.suppress(Blocked, MovedFirst):
                write(store)
        assert victim.read_bytes() == b"somebody's", name
        assert victim.stat().st_mode & 0o777 == 0o644, name
        assert [path.name for path in victim.parent.iterdir()] == ["file"], name


def _replace(store: FileStore) -> None:
    with store.locked(""):
        held = store.read(KEY)
        store.replace(KEY, b"ours", was=held.tag if held else None)


@pytest.mark.parametrize("kind", [*LINKS, "pipe", "socket", "link to a device"])
def test_what_was_planted_beside_the_lock_is_taken_away_and_the_pointer_is_written(
    store: FileStore, victim: Path, kind: str
) -> None:
    plant(kind, store.root / ".pointsman" / "next", victim)
    _replace(store)
    path = store.root / KEY
    assert path.read_bytes() == b"ours"
    assert (path.is_symlink(), path.stat().st_nlink) == (False, 1)
    assert victim.read_bytes() == b"somebody's"


@pytest.mark.parametrize("kind", LINKS)
def test_a_link_in_the_place_of_a_pointer_is_replaced_by_the_pointer(store: FileStore, victim: Path, kind: str) -> None:
    plant(kind, store.root / KEY, victim)
    _replace(store)
    assert not (store.root / KEY).is_symlink()
    assert (store.root / KEY).read_bytes() == b"ours"
    assert victim.read_bytes() == b"somebody's"


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_no_object_and_whoever_needs_one_there_is_told(
    store: FileStore, victim: Path, kind: str
) -> None:
    plant(kind, store.root / KEY, victim)
    asked = store.digest, store.size, store.written, store.writer
    assert [ask(KEY) for ask in asked] == [None] * len(asked)
    assert list(store.keys("", 3)) == []
    assert store.keep(KEY) is False
    for call in (
        lambda: store.read(KEY),
        lambda: store.create(KEY, b"ours"),
        lambda: store.replace(KEY, b"ours", was=None),
        lambda: store.delete(KEY, was="1-1-1"),
        lambda: store.move(KEY, ".pointsman/trash/2026-01-01/x", 0, lambda: True),
    ):
        with pytest.raises(Blocked, match="stands there, not a file: take it away"), store.locked(""):
            call()
    assert os.path.lexists(store.root / KEY)


def test_a_create_where_a_link_leads_nowhere_says_so(store: FileStore, victim: Path) -> None:
    plant("link that leads nowhere", store.root / KEY, victim)
    with pytest.raises(Blocked, match="a symbolic link that leads nowhere stands there"):
        store.create(KEY, b"ours")
    assert [path.name for path in victim.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("place", ["t", "t/s"])
def test_a_file_where_a_directory_should_be_is_said_and_blocks_its_own_keys_alone(store: FileStore, place: str) -> None:
    (store.root / place).parent.mkdir(parents=True)
    (store.root / place).write_text("a file")
    for call in (lambda: store.create(KEY, b"ours"), lambda: store.replace(KEY, b"ours", was=None)):
        with pytest.raises(Blocked, match=f"/{place} is a file, and a directory of the store"), store.locked(""):
            call()
    assert store.create("other/s/manifest.json", b"ours") is True


def test_a_lock_that_is_no_file_is_said(store: FileStore, victim: Path) -> None:
    plant("link", store.root / ".pointsman" / "lock", victim)
    with pytest.raises(Problem, match=r"cannot lock .* a symbolic link stands there"), store.locked(""):
        pass
