"""Tags of files, and of all files below a directory: what a bucket's entity tags and listings are elsewhere."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Collection
from pathlib import Path

from pointsman.store.closed import Closed, pass_by

RACY = 2_000_000_000  # nanoseconds: coarser than the clock of any file system


def tag_of(status: os.stat_result) -> str:
    """Changes with every write: by renaming (inode), in place (times), and with times put back (ctime)."""
    return f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}-{status.st_ctime_ns}"


class Tags:
    """The tags below one directory, read again and again. A directory that has not changed is listed only once."""

    def __init__(self, root: Path, url: str) -> None:
        self._root = root
        self._url = url
        self._listed: dict[str, tuple[str | None, list[str]]] = {}  # directory → its tag, and the names in it

    def of(
        self, depth: int, others: Collection[str], name: str = "", closed: Closed | None = None
    ) -> dict[str, str | None]:
        """The tag of every file exactly `depth` names below, and of `others` that are there. Raises OSError.

        `name`: only of files of this name, which costs a sixth: a directory that can have one such file is not listed.
        None: the file is so new that its tag may stay the same if it is written again. `closed` gets the directories
        that cannot be listed; without it, ClosedDirectory.
        """
        racy = time.time_ns() - RACY
        found: dict[str, str | None] = {}
        # Names are looked up from here: a key is its own path, and the way to the root is gone once.
        try:
            root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return found
        try:
            if name:
                self._add(root, "", depth - 1, f"/{name}", found, racy, closed)
            else:
                self._add(root, "", depth, "", found, racy, closed)
            for key in others:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    found[key] = _sure(os.stat(key, dir_fd=root), racy)
        finally:
            os.close(root)
        return found

    def _add(
        self,
        root: int,
        prefix: str,
        levels: int,
        file: str,
        found: dict[str, str | None],
        racy: int,
        closed: Closed | None,
    ) -> None:
        """Add the files so many levels below. `file`: what stands behind the last level; "": that is the files."""
        try:
            tag = _sure(os.stat(prefix or ".", dir_fd=root), racy)
            listed, names = self._listed.get(prefix, (None, []))
            if tag is None or tag != listed:
                # What is no directory is found out below it, where each name is asked for anyway.
                names = [name for name in os.listdir(f"{self._root}/{prefix}") if name[0] != "."]
                self._listed[prefix] = tag, names
        except (FileNotFoundError, NotADirectoryError):
            return
        except PermissionError:
            pass_by(prefix, self._url, self._root, closed)
            return
        if levels > 1:
            for name in names:
                self._add(root, f"{prefix}{name}/", levels - 1, file, found, racy, closed)
            return
        for name in names:  # very many: a context for each would cost a tenth of the look
            key = f"{prefix}{name}{file}"
            try:
                status = os.stat(key, dir_fd=root)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except PermissionError:
                pass_by(f"{key.rpartition('/')[0]}/" if "/" in key else "", self._url, self._root, closed)
                continue
            if stat.S_ISREG(status.st_mode):
                found[key] = _sure(status, racy)


def _sure(status: os.stat_result, racy: int) -> str | None:
    """The tag of what last changed before `racy`; None of anything newer."""
    return tag_of(status) if status.st_ctime_ns < racy else None
