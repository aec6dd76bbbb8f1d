"""The file in which the chain of main is kept: derived from git, with a checksum, and thrown away at any doubt.

Each commit has a height; its first parent's is one less. The file has, newest first, the id, the clock and the number
of parents of each commit, and for each path the heights at which it changed and what it became.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from msgspec import Struct, field

from pointsman.files import read_file
from pointsman.state.objects import Entry, Oid

_MAGIC = b"PMCHAIN1" if sys.byteorder == "little" else b"PMCHAINB"
_HEADER = struct.Struct("<8sIIqQQQQ")  # magic, bytes of an id, complete, height, commits, known, items, bytes of paths
_CHECKSUM = struct.Struct("<I")
MOST = 1 << 29  # bytes of a file; a longer one is none, and is not written. A million commits have about 100 MB
MOST_PARENTS = 255  # of a commit, in a byte: more are told as so many
_BEFORE = -(1 << 31)  # the height of an item that says what a path was before all that is known

# One change of a path: at which height, and what it was and became there.
Touch = tuple[int, Entry | None, Entry | None]


class Commits(Struct):
    """Ids, clocks and numbers of parents of commits in a row, newest first. `height`: of the first."""

    size: int  # bytes of an id
    height: int = 0
    ids: bytes | bytearray = b""
    clocks: array[int] = field(default_factory=lambda: array("q"))
    parents: bytes | bytearray = b""  # at most MOST_PARENTS

    def __len__(self) -> int:
        return len(self.clocks)

    def add(self, oid: Oid, clock: int, parents: int) -> None:
        """One older commit."""
        self._let_grow()
        self.ids += bytes.fromhex(oid)
        self.clocks.append(clock)
        self.parents += bytes((min(parents, MOST_PARENTS),))

    def add_all(self, older: Commits) -> None:
        """Commits that are older than all these."""
        self._let_grow()
        self.ids += older.ids
        self.clocks += older.clocks
        self.parents += older.parents

    def _let_grow(self) -> None:
        if isinstance(self.ids, bytes):
            self.ids, self.parents = bytearray(self.ids), bytearray(self.parents)

    def at(self, height: int) -> Oid:
        """The commit at a height."""
        start = (self.height - height) * self.size
        return Oid(bytes(self.ids[start : start + self.size]).hex())

    def find(self, oid: Oid) -> int | None:
        """The height of a commit; None if it is not here."""
        wanted = bytes.fromhex(oid)
        place = self.ids.find(wanted) if len(wanted) == self.size else -1
        while place % self.size and place != -1:  # the end of one id and the beginning of the next
            place = self.ids.find(wanted, place + 1)
        return None if place == -1 else self.height - place // self.size

    def has_merge(self, newest: int, oldest: int) -> bool:
        """Whether one of these commits, by height, has several parents."""
        return any(count > 1 for count in self.parents[self.height - newest : self.height - oldest + 1])


class ChainFile:
    """A chain as it was kept. `known`: of how many commits, from the newest on, all changes are known."""

    def __init__(self, commits: Commits, known: int, *, complete: bool, items: bytes, paths: bytes) -> None:
        self.commits = commits
        self.known = known
        self.complete = complete  # the last commit is the first of main
        self._items = items
        self._paths = paths
        self._item = struct.Struct(f"<iI{commits.size}s")

    def touches(self, path: str) -> list[Touch]:
        """The changes of a path, newest first."""
        return self._touches(self._range(path.encode(errors="surrogateescape")))

    def _touches(self, where: tuple[int, int]) -> list[Touch]:
        start, count = where
        size = self._item.size
        read = [
            (height, Entry(f"{mode:o}", Oid(oid.hex())) if mode else None)
            for height, mode, oid in self._item.iter_unpack(self._items[start * size : (start + count) * size])
        ]
        return [(height, old, new) for (height, new), (_, old) in pairwise(read)]

    def _range(self, path: bytes) -> tuple[int, int]:
        """Where the items of a path begin, and how many there are."""
        place = self._paths.find(b"\0\0" + path + b"\0")
        if place == -1:
            return 0, 0
        start = place + len(path) + 3
        first, count = self._paths[start : self._paths.find(b"\0", start)].split()
        return int(first), int(count)

    def every(self) -> Iterator[tuple[str, list[Touch]]]:
        """Each path with its changes."""
        for entry in self._paths.split(b"\0\0")[1:]:
            path, _, where = entry.rstrip(b"\0").partition(b"\0")
            first, count = where.split()
            yield path.decode(errors="surrogateescape"), self._touches((int(first), int(count)))


def read(path: Path, size: int) -> ChainFile | None:
    """The chain in a file; None if there is none, if it is damaged or too long, or if ids have not `size` bytes."""
    try:
        data = read_file(path, MOST)
    except OSError:
        return None
    if len(data) < _HEADER.size + _CHECKSUM.size or data[: len(_MAGIC)] != _MAGIC:
        return None
    body, checksum = memoryview(data)[: -_CHECKSUM.size], data[-_CHECKSUM.size :]
    if _CHECKSUM.unpack(checksum)[0] != zlib.crc32(body):
        return None
    _, bytes_of_id, complete, height, count, known, items, paths = _HEADER.unpack_from(data)
    lengths = (bytes_of_id * count, 8 * count, count, (8 + bytes_of_id) * items, paths)
    if bytes_of_id != size or not 0 <= known <= count or not count or _HEADER.size + sum(lengths) != len(body):
        return None
    parts, place = [], _HEADER.size
    for length in lengths:
        parts.append(data[place : place + length])
        place += length
    commits = Commits(size, height, parts[0], array("q", parts[1]), parts[2])
    return ChainFile(commits, known, complete=bool(complete), items=parts[3], paths=parts[4])


def write(
    path: Path, commits: Commits, known: int, *, complete: bool, touched: Iterable[tuple[str, Sequence[Touch]]]
) -> None:
    """Keep a chain. Readers see the old file or the new one. Nothing is said if it cannot be written."""
    item = struct.Struct(f"<iI{commits.size}s")
    items, paths, count = bytearray(), bytearray(), 0
    for name, touches in touched:
        rows = [(height, new) for height, _, new in touches]
        rows.append((_BEFORE, touches[-1][1]))
        for height, entry in rows:
            mode, oid = (int(entry.mode, 8), bytes.fromhex(entry.oid)) if entry is not None else (0, b"")
            items += item.pack(height, mode, oid)
        paths += b"\0\0" + name.encode(errors="surrogateescape") + b"\0%d %d" % (count, len(rows))
        count += len(rows)
    paths += b"\0"
    head = _HEADER.pack(_MAGIC, commits.size, complete, commits.height, len(commits), known, count, len(paths))
    body = b"".join((head, commits.ids, commits.clocks.tobytes(), commits.parents, items, paths))
    if len(body) + _CHECKSUM.size > MOST:
        return
    import tempfile

    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        fd, temporary = tempfile.mkstemp(prefix=path.name, dir=path.parent)
        try:
            with open(fd, "wb") as file:
                file.write(body + _CHECKSUM.pack(zlib.crc32(body)))
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


def place_from(touches: Sequence[Touch], height: int) -> int:
    """The place, in changes newest first, of the first that is not above a height."""
    return bisect_left(touches, -height, key=lambda touch: -touch[0])
