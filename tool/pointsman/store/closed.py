"""Directories that this user may not look into: each is told by its own name, and is in nobody else's way."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from pointsman.errors import Blocked
from pointsman.state.names import is_name

Closed = dict[str, Blocked]  # directory, with a slash at its end → why nobody knows what is in it


class ClosedDirectory(PermissionError):
    """A directory cannot be looked into. `key`: which one of the store, with a slash at its end."""

    def __init__(self, key: str) -> None:
        super().__init__(errno.EACCES, os.strerror(errno.EACCES))
        self.key = key


def pass_by(key: str, url: str, root: Path, closed: Closed | None) -> None:
    """Go on without a directory that is closed, if that is all right; ClosedDirectory if not.

    It is if somebody asked for the `closed` ones, or if nothing of ours can have its name: every new file system has a
    `lost+found`.
    """
    if not may_be_ours(key):
        return
    if closed is None or not key:
        raise ClosedDirectory(key)
    closed[key] = Blocked(f"cannot list {url}/{key}: {no_permission(root / key)}")


def may_be_ours(key: str) -> bool:
    """Whether blobs, pointers or what stands beside them may be in a directory of this key. The root is ours."""
    name = key.rstrip("/").rpartition("/")[2]
    return name in ("", ".pointsman") or is_name(name)


def behind(key: str, closed: Mapping[str, Blocked]) -> Blocked | None:
    """Why nobody knows what is under a key; None if no directory on the way to it is closed."""
    return next((why for directory, why in closed.items() if key.startswith(directory)), None)


def no_permission(path: Path) -> str:
    """Which of what is on the way to a path, or the path itself, is closed to this user."""
    there = [each for each in (*reversed(path.parents), path) if os.path.lexists(each)]
    shut = next((each for each in there[:-1] if not _may(each, os.X_OK)), there[-1])
    if shut == path and not path.is_dir() and _may(path, os.R_OK) and not _may(path.parent, os.W_OK):
        shut = path.parent  # who writes a pointer puts a new file in its place
    return f"no permission: check the owner and mode of {shut}"


def _may(path: Path, how: int) -> bool:
    return os.access(path, how, effective_ids=True)
