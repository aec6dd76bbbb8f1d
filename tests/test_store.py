"""The store on a local disk: create-only, conditional, whole or not there at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pointsman.errors import MovedFirst, Problem, Unreachable
from pointsman.store import FileStore, open_store


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    opened = open_store(f"file://{tmp_path}/a store")
    assert isinstance(opened, FileStore)
    return opened


def test_a_create_happens_once_and_never_overwrites(store: FileStore) -> None:
    assert store.create("a/b/c/1.json", b"one") is True
    assert store.create("a/b/c/1.json", b"two") is False
    assert store.digest("a/b/c/1.json") == (3, "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed")
    assert store.size("a/b/c/1.json") == 3
    assert store.digest("a/b/c/2.json") is None
    assert store.size("a/b/c/2.json") is None


def test_a_create_without_nameless_files_leaves_nothing_else_behind(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    assert store.create("a/b/c/1.json", b"one") is True
    assert store.create("a/b/c/1.json", b"two") is False
    assert [path.name for path in store.root.rglob("*") if path.is_file()] == ["1.json"]


def test_a_replace_needs_the_tag_that_was_read(store: FileStore) -> None:
    with store.locked(""):
        store.replace("t/s/m.json", b"one", was=None)
        first = store.read("t/s/m.json")
        assert first is not None
        store.replace("t/s/m.json", b"two", was=first.tag)
        with pytest.raises(MovedFirst):
            store.replace("t/s/m.json", b"three", was=first.tag)
        with pytest.raises(MovedFirst):
            store.replace("t/s/m.json", b"three", was=None)
        with pytest.raises(MovedFirst):
            store.delete("t/s/m.json", was=first.tag)
        second = store.read("t/s/m.json")
        assert second is not None
        assert second.data == b"two"
        store.delete("t/s/m.json", was=second.tag)
        assert store.read("t/s/m.json") is None


def test_listing_goes_as_deep_as_asked_and_skips_what_is_not_ours(store: FileStore) -> None:
    for key in ("t/s/m.json", "t/r/m.json", "t/top.json", "t/s/x/deep.json", ".pointsman/sync.json"):
        store.create(key, b"x")
    assert list(store.keys("", 3)) == ["t/r/m.json", "t/s/m.json"]
    assert list(store.keys("nowhere/", 3)) == []


def test_what_the_system_refuses_names_the_store_and_the_key(store: FileStore, tmp_path: Path) -> None:
    store.root.write_text("a file where the store should be")
    with pytest.raises(Unreachable, match=r"cannot write file://.*a store/t/1.json") as error:
        store.create("t/1.json", b"x")
    assert error.value.exit_code == 3


def test_blobs_are_readable_by_serving_under_another_user(store: FileStore) -> None:
    store.create("t/1.json", b"x")
    assert stat.S_IMODE((store.root / "t/1.json").stat().st_mode) & 0o044 == 0o044


def test_only_absolute_paths_and_buckets_are_stores() -> None:
    for url in (
        "file://relative",
        "/srv",
        "ftp://host/x",
        "s3://",
        "s3:///x",
        "gs://b/a b",
        "az://b/%2e%2e",
        "s3://b//x",
    ):
        with pytest.raises(Problem, match="not a store this version can use"):
            open_store(url)


def test_a_url_with_credentials_in_it_is_refused_and_not_repeated() -> None:
    for url in (
        "s3://AKIA:verysecret@bucket/x",
        "az://c/x?sig=verysecret",
        "gs://b#verysecret",
        "https://u:verysecret@h",
    ):
        with pytest.raises(Problem, match="credentials come from the environment") as error:
            open_store(url)
        assert "verysecret" not in str(error.value)
