"""What somebody who may write into a directory can put where a file of Pointsman should stand."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

Plant = Callable[[Path, Path], object]  # the name to take, and a file of somebody else


def _socket(path: Path, _: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        home = os.getcwd()
        os.chdir(path.parent)  # the path of a socket may not be long
        try:
            listening.bind(path.name)
        finally:
            os.chdir(home)


NO_FILES: Mapping[str, Plant] = {
    "directory": lambda path, _: path.mkdir(),
    "pipe": lambda path, _: os.mkfifo(path),
    "socket": _socket,
    "link to a device": lambda path, _: path.symlink_to("/dev/zero"),
    "link to a directory": lambda path, victim: path.symlink_to(victim.parent),
}
LINKS: Mapping[str, Plant] = {
    "link": lambda path, victim: path.symlink_to(victim),
    "link that leads nowhere": lambda path, victim: path.symlink_to(victim.parent / "not made yet"),
    "hard link": lambda path, victim: path.hardlink_to(victim),
}
PLANTS: Mapping[str, Plant] = {**NO_FILES, **LINKS}


def plant(kind: str, path: Path, victim: Path) -> None:
    """Put what `kind` says under a name, in the place of whatever stands there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    path.unlink(missing_ok=True)
    PLANTS[kind](path, victim)


def spoil(path: Path, how: str) -> None:
    """Make of a manifest in a checkout one that cannot be read."""
    if how == "cut off":
        path.write_text("{")
    elif how == "executable":
        path.chmod(0o755)
    else:
        path.unlink()
        if how == "a symlink":
            path.symlink_to("elsewhere")
        else:
            path.mkdir()
            (path / "file").write_text("")
