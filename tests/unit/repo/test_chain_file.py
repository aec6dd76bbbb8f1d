"""The file of the chain: what is read of it has a limit, and a file beyond that is one that is damaged."""

from __future__ import annotations

import os
from array import array
from pathlib import Path

import pytest

from pointsman.repo import chain_file
from pointsman.repo.chain_file import Commits


def written(path: Path) -> int:
    """The bytes of a chain of nine commits."""
    chain_file.write(
        path, Commits(20, 8, bytes(range(180)), array("q", range(9)), b"\1" * 9), 9, complete=True, touched=()
    )
    return path.stat().st_size


def test_a_file_of_just_the_limit_is_read_and_a_longer_one_is_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = written(tmp_path / "chain")
    monkeypatch.setattr(chain_file, "MOST", size)
    assert chain_file.read(tmp_path / "chain", 20) is not None
    monkeypatch.setattr(chain_file, "MOST", size - 1)
    assert chain_file.read(tmp_path / "chain", 20) is None


def test_what_would_not_be_read_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_file, "MOST", written(tmp_path / "chain") - 1)
    (tmp_path / "chain").unlink()
    chain_file.write(
        tmp_path / "chain", Commits(20, 8, bytes(180), array("q", range(9)), bytes(9)), 9, complete=True, touched=()
    )
    assert list(tmp_path.iterdir()) == []


def test_whatever_is_no_plain_file_is_none_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "chain")
    assert chain_file.read(tmp_path / "chain", 20) is None
