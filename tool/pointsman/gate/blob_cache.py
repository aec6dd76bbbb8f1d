"""Blobs from buckets in the user's cache directory, by version, so that the same one is not fetched twice.

If the cache cannot be read or written, nothing happens: it only saves time. What is to be erased is dropped from it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pointsman.files import read_file, write_new
from pointsman.state.names import is_version

_MOST = 1_000_000_000  # bytes of the directory; above it, the versions unused for longest are deleted
_DAY = 86400  # seconds, after which what is begun was begun by a process that was killed


def cached(version: str) -> bytes | None:
    """The cached bytes of a version; None if there are none or their hash is wrong."""
    data = peek(version)
    if data is not None:
        with suppress(OSError, RuntimeError):  # a shared cache may be read-only
            os.utime(_path(version))
    return data


def peek(version: str) -> bytes | None:
    """The same, and it does not count as used."""
    with suppress(OSError, RuntimeError):
        data = read_file(_path(version), _MOST)
        if hashlib.sha256(data).hexdigest() == version:
            return data
    return None


def cache(version: str, data: bytes) -> None:
    """Put a version into the cache."""
    with suppress(OSError, RuntimeError):
        directory = _directory()
        directory.mkdir(0o700, parents=True, exist_ok=True)
        temporary = directory / f".{version}.{os.urandom(4).hex()}"
        try:
            write_new(temporary, data)
            temporary.replace(_path(version))
        finally:
            temporary.unlink(missing_ok=True)
        _make_room(directory)


def forget(version: str) -> None:
    """Delete a version from the cache."""
    with suppress(OSError, RuntimeError):
        _path(version).unlink(missing_ok=True)


def drop_unfinished() -> None:
    """Delete what a process that was killed had begun. One that is at work does not cache that version then."""
    with suppress(OSError, RuntimeError):
        for path in _directory().iterdir():
            if _is_unfinished(path):
                path.unlink(missing_ok=True)


def versions() -> Iterator[str]:
    """Every version that is in the cache."""
    with suppress(OSError, RuntimeError):
        names = [path.name for path in _directory().iterdir()]
        yield from (name[:-5] for name in sorted(names) if name.endswith(".json") and is_version(name[:-5]))


def _directory() -> Path:
    """The cache directory (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path.home() / ".cache") / "pointsman"


def _path(version: str) -> Path:
    return _directory() / f"{version}.json"


def _is_unfinished(path: Path) -> bool:
    return path.name.startswith(".")


def _make_room(directory: Path) -> None:
    kept = sorted(((path.stat(), path) for path in directory.iterdir()), key=lambda each: each[0].st_mtime)
    size, old = sum(stat.st_size for stat, _ in kept), kept[-1][0].st_mtime - _DAY
    for stat, path in kept[:-1]:
        if size > _MOST or (_is_unfinished(path) and stat.st_mtime < old):
            path.unlink(missing_ok=True)
            size -= stat.st_size
