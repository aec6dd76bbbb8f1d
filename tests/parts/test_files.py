"""Files that others may have put there: what is read is a file, and no more of it than its reader has use for."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from planted import NO_FILES, PLANTS, plant

from pointsman.errors import Problem
from pointsman.files import NoPlainFile, TooLong, read_file, unwritten, write_new

SAYS = {"directory": "a directory", "pipe": "a named pipe", "socket": "a socket", "link to a device": "a device"}


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    victim = tmp_path / "somebody's" / "file"
    victim.parent.mkdir()
    victim.write_bytes(b"somebody's")
    return victim


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_never_read_and_is_called_by_its_kind(kind: str, tmp_path: Path, victim: Path) -> None:
    plant(kind, tmp_path / "it", victim)
    with pytest.raises(NoPlainFile) as error:
        read_file(tmp_path / "it", 100)
    assert error.value.strerror == f"{SAYS.get(kind, 'a directory')} stands there, not a file: take it away"
    assert error.value.filename == str(tmp_path / "it")


def test_no_more_is_read_than_was_asked_for(victim: Path) -> None:
    assert read_file(victim, 10) == b"somebody's"
    with pytest.raises(TooLong, match="it has more than 9 bytes"):
        read_file(victim, 9)
    with pytest.raises(TooLong):
        read_file("/proc/self/maps", 100)  # its size says 0


@pytest.mark.parametrize("kind", PLANTS)
def test_a_new_file_is_made_under_no_name_that_is_taken(kind: str, tmp_path: Path, victim: Path) -> None:
    plant(kind, tmp_path / "it", victim)
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "it", b"ours")
    assert victim.read_bytes() == b"somebody's"
    assert [path.name for path in victim.parent.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "number, code", [(errno.ENOSPC, 3), (errno.EDQUOT, 3), (errno.EFBIG, 3), (errno.EIO, 3), (errno.EACCES, 2)]
)
def test_a_disk_that_took_no_write_is_no_mistake_of_whoever_typed(number: int, code: int) -> None:
    problem = unwritten(OSError(number, os.strerror(number)), "page.html")
    assert isinstance(problem, Problem)
    assert (problem.exit_code, str(problem).startswith("cannot write page.html: ")) == (code, True)
