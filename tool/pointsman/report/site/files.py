"""The directory of a site: pages are replaced in one piece, and only where they differ; stale ones go.

`.pointsman-site.json` makes a directory one of ours. Nothing is written into a directory that has other things in it
and no such file. Nothing is removed but what is named as a page of ours, and then also if that file does not know it: a
cache may have put an older directory there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw, Struct

from pointsman.durable import sync_directories
from pointsman.errors import Problem
from pointsman.files import TooLong, open_file, read_file, unwritten, write_new
from pointsman.patterns import pattern
from pointsman.state.names import NAME

_NAMED = ".pointsman-site.json"
_NEW = ".pointsman-site-{}.new"  # a file before it has its name: several processes write
_LEFT_NEW = pattern(_NEW.replace(".", r"\.").format("[0-9a-f]{12}"))
_FORM = 1
_MANY = 64  # pages: more are made durable by one sync of all that the machine has to write
_MOST = 64_000_000  # bytes of that file: 200,000 targets
_PAGE = pattern(rf"(?:index|audit|targets-[0-9]{{1,4}})\.html|targets/{NAME}/{NAME}\.html")


class _Left(Struct, omit_defaults=True):
    """What a run leaves beside the pages. `sum`: SHA-256 of `rows`, which count only if it is right."""

    pages: dict[str, str]
    kept: dict[str, Any]
    sum: str = ""
    rows: Raw = Raw(b"null")
    v: int = _FORM


class SiteFiles:
    """The files of a site, for whoever has its turn.

    `pages`: path → what it was made from, "" for one that a run may have left half done.
    `kept`: what else the last run left; `rows`: JSON of its targets, b"" where there is none or it is damaged.
    """

    def __init__(self, directory: str) -> None:
        self._root = Path(directory)
        self.pages: dict[str, str] = {}
        self.kept: dict[str, Any] = {}
        self.rows = b""
        self._anew: list[str] = []
        self._there: frozenset[str] = frozenset()
        self._now: dict[str, str] = {}
        self._ready: set[Path] = set()  # directories that pages can be written into
        try:
            there = os.listdir(directory)
            for name in filter(_LEFT_NEW.fullmatch, there):  # a run was killed
                os.unlink(self._root / name)
            self._read(directory, any(not _LEFT_NEW.fullmatch(name) for name in there))
        except OSError as error:
            raise Problem(f"cannot read {error.filename or directory}: {error.strerror}") from error

    def _read(self, directory: str, has_files: bool) -> None:
        path = self._root / _NAMED
        if not os.path.lexists(path):
            if has_files:
                there = directory or repr(directory)
                raise Problem(f"{there} has files that pointsman site did not make: name a new directory")
            return
        try:
            found = msgspec.json.decode(read_file(path, _MOST), type=_Left)
        except (TooLong, msgspec.DecodeError, ValueError, RecursionError):
            found = _Left({}, {}, v=0)
        self._there = frozenset(filter(_PAGE.fullmatch, _listed(str(self._root), 2)))
        self.pages = dict.fromkeys(self._there, "")
        if found.v != _FORM:
            return
        self.pages |= {path: made for path, made in found.pages.items() if path in self._there or _PAGE.fullmatch(path)}
        self.kept = found.kept
        if found.sum == hashlib.sha256(found.rows).hexdigest():
            self.rows = bytes(found.rows)

    @property
    def written(self) -> int:
        """How many pages were made anew."""
        return len(self._anew)

    def whole(self) -> set[str]:
        """The pages that stand there and that a run ended."""
        return {path for path, made in self.pages.items() if made} & self._there

    def keep(self, paths: Iterable[str]) -> None:
        """Keep pages that stand there."""
        self._now |= {path: self.pages[path] for path in paths}

    def has(self, path: str, made_from: str) -> bool:
        """Keep a page that stands there, made from the same; whether there is one."""
        if not made_from or self.pages.get(path) != made_from or path not in self._there:
            return False
        self.keep([path])
        return True

    def put(self, path: str, made_from: str, text: str) -> None:
        """Write a page, and count it."""
        self.write(path, text)
        self.made(path, made_from)

    def write(self, path: str, text: str) -> None:
        """Write a page, in one piece."""
        self._write(path, text.encode("utf-8", "backslashreplace"))

    def made(self, path: str, made_from: str) -> None:
        """Count a page that was written, by whichever process."""
        self._now[path] = made_from
        self._anew.append(path)

    def done(self, kept: Mapping[str, Any], rows: bytes) -> int:
        """Remove the pages that are no more, and remember what there is; how many pages there are.

        What is remembered as whole is so after a power cut, too: nobody would write it again.
        """
        for path in sorted(self.pages.keys() - self._now.keys()):
            self._remove(path)
        now = dict(sorted(self._now.items()))
        if (now, kept, rows) != (self.pages, self.kept, self.rows):
            self._make_durable()
            self._leave(now, kept, rows)
        return len(now)

    def _make_durable(self) -> None:
        """Fsync the pages that were written, and their names."""
        if len(self._anew) > _MANY:
            os.sync()
            return
        pages = [self._root / path for path in self._anew]
        try:
            for page in pages:
                with open(open_file(page)[0], "rb") as file:
                    os.fsync(file.fileno())
            sync_directories(page.parent for page in pages)
        except OSError as error:
            raise unwritten(error, self._root) from error

    def begin(self, names: Iterable[str]) -> None:
        """Make the directory one of ours, before the first page: a run that dies leaves one that can go on.

        `names`: pages that are made anew. From now on nobody takes them for what they were, and whoever does not make
        them removes them.
        """
        marked = self.pages | dict.fromkeys(names, "")
        if marked != self.pages or not os.path.lexists(self._root / _NAMED):
            self.pages = marked
            self._leave(self.pages, self.kept, self.rows)

    def _leave(self, pages: dict[str, str], kept: Mapping[str, Any], rows: bytes) -> None:
        of_rows = (hashlib.sha256(rows).hexdigest(), Raw(rows)) if rows else ()
        self._write(_NAMED, msgspec.json.encode(_Left(pages, dict(kept), *of_rows)))

    def _write(self, path: str, data: bytes) -> None:
        whole, new = self._root / path, self._root / _NEW.format(os.urandom(6).hex())
        try:
            if whole.parent not in self._ready:
                self._make_ready(whole, path)
            write_new(new, data)
            os.replace(new, whole)
        except BaseException as error:
            with contextlib.suppress(OSError):
                new.unlink()
            if not isinstance(error, OSError):
                raise
            error.filename = None  # it is the new file's, which is gone
            raise unwritten(error, whole) from error

    def _make_ready(self, whole: Path, path: str) -> None:
        """Make the directory of a page."""
        whole.parent.mkdir(parents=True, exist_ok=True)
        for parent in self._directories(path):
            if parent.is_symlink():
                raise Problem(f"{parent} is a symbolic link: remove it")
        self._ready.add(whole.parent)

    def _remove(self, path: str) -> None:
        if any(parent.is_symlink() for parent in self._directories(path)):
            return
        with contextlib.suppress(OSError):
            (self._root / path).unlink()
        with contextlib.suppress(OSError):  # other pages are in it
            for parent in self._directories(path):
                parent.rmdir()

    def _directories(self, path: str) -> Sequence[Path]:
        """Those below the root that a page is in, the innermost first."""
        return (self._root / path).parents[: path.count("/")]


def _listed(directory: str, deep: int, before: str = "") -> Iterator[str]:
    """The paths of the files in a directory and so many levels below it; links are not followed."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                yield before + entry.name
            elif deep and entry.is_dir(follow_symlinks=False):
                yield from _listed(entry.path, deep - 1, f"{before}{entry.name}/")
