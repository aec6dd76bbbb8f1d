"""Git's formats: trees, packs, and what `git log` and `git diff-tree` print with `-z --raw`."""

from __future__ import annotations

import re
import zlib
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from typing import IO

from pointsman.state.objects import PLAIN_FILE, TREE, Change, Commit, Entry, Oid


def encode_tree(entries: Mapping[str, Entry]) -> bytes:
    """The content of a tree object. Git sorts a directory as if its name ended in a slash."""

    def order(item: tuple[str, Entry]) -> bytes:
        return item[0].encode(errors="surrogateescape") + (b"/" if item[1].mode == TREE else b"")

    return b"".join(
        b"%s %s\0%s" % (entry.mode.encode(), name.encode(errors="surrogateescape"), bytes.fromhex(entry.oid))
        for name, entry in sorted(entries.items(), key=order)
    )


def parse_tree(content: bytes, size: int) -> dict[str, Entry] | None:
    """The entries of a tree. None if git would not write it so: two programs could read it differently."""
    entries: dict[str, Entry] = {}
    place, last = 0, b""
    for found in re.compile(rb"([1-7][0-7]{4,5}) ([^\0/]+)\0(.{%d})" % size, re.DOTALL).finditer(content):
        mode, name, oid = found.groups()
        order = name + b"/" if mode == b"40000" else name
        if (
            found.start() != place
            or order <= last
            or name in (b".", b"..")
            or name.decode(errors="surrogateescape") in entries
        ):
            return None
        place, last = found.end(), order
        text = mode.decode()
        if text.startswith("100"):  # git reduces all modes of files to these two
            text = "100755" if int(text, 8) & 0o100 else PLAIN_FILE
        entries[name.decode(errors="surrogateescape")] = Entry(text, Oid(oid.hex()))
    return entries if place == len(content) else None


_PACK_KINDS = {"commit": 1, "tree": 2, "blob": 3}


def pack_entry(kind: str, content: bytes) -> bytes:
    """One undeltified object as in gitformat-pack: kind and size in 7-bit groups, then the deflated content."""
    size = len(content)
    head = bytearray()
    byte, size = _PACK_KINDS[kind] << 4 | size & 15, size >> 4
    while size:
        head.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    head.append(byte)
    return bytes(head) + zlib.compress(content, 1)


def nul_separated(stream: IO[bytes]) -> Generator[bytes, None, None]:
    rest = b""
    while chunk := stream.read1(65536):  # type: ignore[attr-defined]
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole
    if rest:
        yield rest


def commits_of(tokens: Iterator[bytes], most: int) -> Iterator[Commit]:
    """Commits with at most `most` changes each (0: any number). Each is yielded as soon as it is complete."""
    token = next(tokens, None)
    while token is not None:
        oid = Oid(token.decode())
        parents, time, committer, author, message = (next(tokens).decode(errors="replace") for _ in range(5))
        ids = tuple(Oid(parent) for parent in parents.split())
        commit = Commit(oid, ids, int(time), committer, author, message)
        changes: list[Change] = []
        while (token := next(tokens, None)) is not None and token.lstrip(b"\n").startswith(b":"):
            changes.append(_change(token.lstrip(b"\n"), next(tokens)))
            if len(changes) == most:
                yield replace(commit, changes=tuple(changes))
        if not most or len(changes) < most:
            yield replace(commit, changes=tuple(changes))


def changes_of(tokens: Iterator[bytes]) -> list[Change]:
    return [_change(token, next(tokens)) for token in tokens]


def _change(meta: bytes, path: bytes) -> Change:
    old_mode, new_mode, old, new, _ = meta.decode().removeprefix(":").split(" ")
    return Change(
        path.decode(errors="surrogateescape"),
        Entry(old_mode, Oid(old)) if old_mode != "000000" else None,
        Entry(new_mode, Oid(new)) if new_mode != "000000" else None,
    )
