"""Get: the bytes of a version."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from planted import plant
from reviews import reviewed
from shop import Kept, Shop

from pointsman.cli.main import main
from pointsman.errors import Problem
from pointsman.state.documents import Tombstone
from pointsman.verbs import get
from pointsman.workspace import Workspace


@pytest.fixture
def shop(reviewable: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # others have read the same versions
    return reviewable.fresh()


def target(document: dict[str, Any]) -> dict[str, Any]:
    (only,) = document["targets"]
    assert isinstance(only, dict)
    return only


def test_get_hands_out_the_bytes_of_a_version(
    shop: Shop, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    version = target(reviewed(shop))["changes"]["popularity"][1]
    blob = (shop.store / "grocer" / "home" / "popularity" / f"{version}.json").read_bytes()
    assert main(["-C", str(shop.desk), "get", version[:8]]) == 0
    assert capsysbinary.readouterr().out == blob
    file = tmp_path / "got.json"
    assert main(["-C", str(shop.desk), "get", version, "-o", str(file)]) == 0
    assert file.read_bytes() == blob
    for words, code, says in (
        ((version[:3],), 2, b"at least 4"),
        (("0" * 64,), 2, b"log --records lists them"),
        ((version, "--json"), 2, b"-o"),
        ((version, "-o", str(tmp_path / "no" / "such")), 2, b"cannot write"),
        ((version, "--offline"), 3, b"--offline"),
    ):
        assert main(["-C", str(shop.desk), "get", *words]) == code
        said = capsysbinary.readouterr()
        assert says in said.err, words
    (shop.store / "grocer" / "home" / "popularity" / f"{version}.json").write_bytes(b"{}")
    assert main(["-C", str(shop.desk), "get", version]) == 3
    assert b"do not hash to their version" in capsysbinary.readouterr().err
    assert sorted(os.listdir(tmp_path)) == sorted({*os.listdir(tmp_path)} - {".got.json"})


@pytest.mark.slow
def test_get_says_of_a_blob_that_is_not_there_whether_its_version_was_retired(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.pull()
    before, current = target(reviewed(shop))["changes"]["popularity"]
    for version in (before, current):
        (shop.store / f"grocer/home/popularity/{version}.json").unlink()
    stone = Tombstone("grocer", "home", "popularity", before, "old")
    (shop.desk / stone.path).write_bytes(stone.render())
    shop.push()
    for version in (before, current):
        assert main(["-C", str(shop.desk), "get", version]) == 3
        assert ("; it was retired, so its bytes may be gone" in capsys.readouterr().err) == (version == before)


@pytest.mark.slow
def test_get_writes_to_what_is_open_already_and_a_dash_is_stdout(shop: Shop, tmp_path: Path) -> None:
    blob = next((shop.store / "grocer" / "home" / "popularity").glob("*.json"))
    ours = tmp_path / "ours"
    ours.write_bytes(b"what stood there\n")
    for name in ("-", "/dev/stdout", "/dev/fd/1", "/dev/fd/5"):
        script = f'exec "$@" -o {name} 5>>"$0"'
        command = ["sh", "-c", script, str(ours), sys.executable, "-m", "pointsman", "-C", str(shop.desk), "get"]
        ran = subprocess.run([*command, blob.stem], capture_output=True, check=True)
        assert ran.stdout == (blob.read_bytes() if name != "/dev/fd/5" else ran.stdout), name
    assert ours.read_bytes() == b"what stood there\n" + blob.read_bytes()


@pytest.mark.parametrize("kind", ["directory", "socket", "link to a directory", "link to itself"])
def test_get_says_where_it_cannot_write_and_leaves_nothing_behind(shop: Shop, tmp_path: Path, kind: str) -> None:
    blob = next((shop.store / "grocer" / "home" / "popularity").glob("*.json"))
    (tmp_path / "else").mkdir()
    if kind == "link to itself":
        (tmp_path / "it").symlink_to("it")
    else:
        plant(kind, tmp_path / "it", tmp_path / "else" / "file")
    with shop.open() as repo, pytest.raises(Problem, match="cannot write"):
        get.get(Workspace(repo), blob.stem, str(tmp_path / "it"))
    assert list((tmp_path / "else").iterdir()) == []
    assert not list(tmp_path.glob(".it*"))
    assert (tmp_path / "it").is_symlink() == kind.startswith("link")


def test_a_file_that_get_replaces_keeps_its_mode(shop: Shop, tmp_path: Path) -> None:
    blob = next((shop.store / "grocer" / "home" / "popularity").glob("*.json"))
    (tmp_path / "ours").write_bytes(b"old")
    (tmp_path / "ours").chmod(0o600)
    with shop.open() as repo:
        get.get(Workspace(repo), blob.stem, str(tmp_path / "ours"))
    assert (tmp_path / "ours").read_bytes() == blob.read_bytes()
    assert (tmp_path / "ours").stat().st_mode & 0o777 == 0o600


def test_get_writes_through_a_symlink_and_into_a_pipe(shop: Shop, tmp_path: Path) -> None:
    blob = next((shop.store / "grocer" / "home" / "popularity").glob("*.json"))
    real, link, pipe = tmp_path / "real", tmp_path / "link", tmp_path / "pipe"
    real.write_text("old")
    link.symlink_to(real)
    with shop.open() as repo:
        get.get(Workspace(repo), blob.stem, str(link))
    assert link.is_symlink()
    assert real.read_bytes() == blob.read_bytes()
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader, shop.open() as repo:
        get.get(Workspace(repo), blob.stem, str(pipe))
        assert reader.communicate()[0] == blob.read_bytes()
    assert pipe.is_fifo()
