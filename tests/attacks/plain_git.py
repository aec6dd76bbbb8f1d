"""Git objects and repositories written without git: fast, and able to hold what git itself refuses to write."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FILE, EXECUTABLE, LINK, SUBMODULE, TREE = "100644", "100755", "120000", "160000", "40000"
CLOCK = 1772600000  # 2026-03-04, where every story here begins
WHO = "Ann Ops <ann@example.org>"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One entry of a tree that is no tree: mode and object id."""

    mode: str
    oid: str


Files = dict[str, Leaf]


class Objects:
    """Loose objects of one repository. What was written here can be read back without git."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.contents: dict[str, bytes] = {}

    def put(self, kind: str, content: bytes) -> str:
        whole = b"%s %d\0" % (kind.encode(), len(content)) + content
        oid = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
        if oid not in self.contents:
            self.contents[oid] = content
            path = self.directory / oid[:2] / oid[2:]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(zlib.compress(whole, 1))
        return oid

    def blob(self, content: bytes, mode: str = FILE) -> Leaf:
        return Leaf(mode, self.put("blob", content))

    def entries(self, entries: Iterable[tuple[str, str, str]]) -> str:
        """A tree of (mode, name, id) in exactly this order, whether git would write it so or not."""
        return self.put("tree", b"".join(b"%s %s\0%s" % (mode.encode(), _name(name), bytes.fromhex(oid))
                                         for mode, name, oid in entries))  # fmt: skip

    def tree(self, files: Mapping[str, Leaf]) -> str:
        here: list[tuple[str, str, str]] = []
        below: dict[str, Files] = {}
        for path, leaf in files.items():
            name, slash, rest = path.partition("/")
            if slash:
                below.setdefault(name, {})[rest] = leaf
            else:
                here.append((leaf.mode, name, leaf.oid))
        here += [(TREE, name, self.tree(inner)) for name, inner in below.items()]
        return self.entries(sorted(here, key=lambda each: _name(each[1]) + (b"/" if each[0] == TREE else b"")))

    def commit(
        self, tree: str, parents: Sequence[str], message: str | bytes, *, time: int, who: str = WHO, fields: str = ""
    ) -> str:
        head = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
        head += [f"author {who} {time} +0000", f"committer {who} {time} +0000", *([fields] if fields else [])]
        body = message.encode(errors="surrogateescape") if isinstance(message, str) else message
        return self.put("commit", "\n".join(head).encode() + b"\n\n" + body)


def _name(name: str) -> bytes:
    return name.encode(errors="surrogateescape")


def make_repository(
    directory: Path, refs: Mapping[str, str], *, borrows: Path | None = None, bare: bool = True
) -> Path:
    """A repository with these refs; `borrows` names an object directory to read from. Returns its git directory."""
    git_dir = directory if bare else directory / ".git"
    for name in ("objects/info", "objects/pack", "refs/heads"):
        os.makedirs(git_dir / name)
    (git_dir / "HEAD").write_text("ref: refs/heads/main\n")
    (git_dir / "config").write_text(f"[core]\n\trepositoryformatversion = 0\n\tbare = {str(bare).lower()}\n")
    if borrows is not None:
        (git_dir / "objects" / "info" / "alternates").write_text(f"{borrows}\n")
    for name, oid in refs.items():
        set_ref(git_dir, name, oid)
    return git_dir


def set_ref(git_dir: Path, name: str, oid: str) -> None:
    path = git_dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{oid}\n")
