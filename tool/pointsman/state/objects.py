"""Git objects as values: ids, tree entries, changes and commits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NewType

from msgspec import Struct

Oid = NewType("Oid", str)


PLAIN_FILE = "100644"
TREE = "40000"


class Entry(Struct, frozen=True):
    """One entry of a tree: mode as git writes it ("100644", "40000", …) and object id."""

    mode: str
    oid: Oid


class Change(Struct, frozen=True):
    """One path that differs between two trees. None: the path is not in that tree."""

    path: str
    old: Entry | None
    new: Entry | None


class Commit(Struct, frozen=True):
    """One commit of a first-parent walk. `changes`: compared with its first parent, only the paths of the walk."""

    oid: Oid
    parents: tuple[Oid, ...]
    time: int  # of the committer's clock, seconds since 1970
    committer: str
    author: str
    message: str
    changes: tuple[Change, ...] = ()


def object_id(kind: str, content: bytes, length: int = 40) -> Oid:
    """The id that git gives an object of `length` hex digits: hash of "<kind> <size>\\0<content>" (gitformat-loose)."""
    return Oid(hasher(length)(b"%s %d\0" % (kind.encode(), len(content)) + content).hexdigest())


def hasher(length: int) -> Callable[[bytes], hashlib._Hash]:
    """The hash function of a repository with ids of `length` hex digits."""
    return hashlib.sha1 if length == 40 else hashlib.sha256
