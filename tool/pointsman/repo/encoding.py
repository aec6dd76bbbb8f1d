"""Git's formats: trees, packs, and what `git log` and `git diff-tree` print with `-z --raw`."""

from __future__ import annotations

import os
import re
import time
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from itertools import chain
from typing import IO

from msgspec.structs import replace

from pointsman.patterns import pattern
from pointsman.state.objects import PLAIN_FILE, TREE, Change, Commit, Entry, Oid

# Encodings in which a byte below 128 means what it means in UTF-8. In others (UTF-7, EBCDIC, UTF-16, ISO-2022) a line
# could hide from whoever reads the bytes, or appear for git alone.
_LIKE_ASCII = pattern(rb"iso-?8859-(?:1[0-6]|[1-9])|latin-?1|(?:windows-|cp)125[0-8]", re.IGNORECASE)
_NOBODY = "(no name)"  # who is told where a commit names nobody
_LAST_SECOND = 253402300799  # of the year 9999, seconds since 1970: no calendar of ours goes further
# What `commits_of` reads. git has turned the last three into UTF-8, if it could.
COMMIT_FORMAT = "--format=%H%x00%P%x00%e%x00%ct%x00%cn <%ce>%x00%an <%ae>%x00%B"


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


# Names and emails from which git takes nothing away.
_PLAIN = pattern(r"[^\x00- .,:;<>\"\\'](?:[^\x00-\x1f\x7f<>]*[^\x00- .,:;<>\"\\'])?")
_DATES = ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE")


def encode_commit(tree: Oid, parents: Iterable[Oid], message: str, who: Mapping[str, str], now: int) -> bytes | None:
    """The content of a commit as `git commit-tree` would make it now, with the names of the environment `who`.

    None if that would do more with it: clean a name, read a date, refuse a message.
    """
    if any(os.environ.get(name) for name in _DATES) or "\0" in message:
        return None
    if not all(_PLAIN.fullmatch(value) for value in who.values()):
        return None
    at = f"{now} {time.strftime('%z', time.localtime(now))}"
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in dict.fromkeys(parents))]
    lines += [
        f"{role} {who[f'GIT_{role.upper()}_NAME']} <{who[f'GIT_{role.upper()}_EMAIL']}> {at}"
        for role in ("author", "committer")
    ]
    try:
        return "\n".join([*lines, "", message]).encode()
    except UnicodeEncodeError:
        return None


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


def nul_terminated(stream: IO[bytes]) -> Generator[bytes, None, None]:
    """Blocks of texts that end with a NUL each, as many at once as there are."""
    rest = b""
    while chunk := stream.read1(65536):  # type: ignore[attr-defined]
        whole, nul, rest = (rest + chunk).rpartition(b"\0")
        if nul:
            yield whole + nul
    if rest:
        yield rest + b"\0"


def nul_separated(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The texts of such blocks, one at a time."""
    return chain.from_iterable(block[:-1].split(b"\0") for block in blocks)


def clock(digits: bytes | int) -> int:
    """A time as a commit has it, in seconds since 1970; 0 if there is none, or if no calendar has it."""
    if isinstance(digits, bytes):
        digits = int(digits[:20]) if digits.isdigit() else 0
    return digits if digits <= _LAST_SECOND else 0


def read_commit(oid: Oid, content: bytes) -> Commit:
    """A commit from the bytes of its object, as far as they can be read. A NUL ends its line, or the message."""
    head, _, message = content.partition(b"\n\n")
    whole = (line.partition(b"\0")[0].partition(b" ") for line in head.split(b"\n"))
    lines = [(name, value) for name, _, value in whole]
    parents = tuple(Oid(value.decode(errors="replace")) for name, value in lines if name == b"parent")
    fields = dict(reversed(lines))  # of two, the first counts
    encoding = fields.get(b"encoding", b"")
    (committer, time), (author, _) = (_person(fields.get(who, b"")) for who in (b"committer", b"author"))
    by, of = (_text(each, encoding) or _NOBODY for each in (committer, author))
    return Commit(oid, parents, clock(time), by, of, _text(message.partition(b"\0")[0], encoding))


def _person(line: bytes) -> tuple[bytes, bytes]:
    """Name and email of the line of an author or a committer, and the digits of the time; each empty if not there."""
    found = re.fullmatch(rb"([^<]*)<([^>]*)>(?:.*>)?[ \t]*([0-9]*).*", line)
    if found is None:
        return b"", b""
    name, email = found[1].strip(), found[2].strip()
    return (b"%s <%s>" % (name, email)).strip() if name or email else b"", found[3]


def _text(data: bytes, encoding: bytes = b"") -> str:
    """The bytes of a commit as UTF-8. Those of an encoding that differs in letters alone are read by that."""
    like = _LIKE_ASCII.fullmatch(encoding)
    return data.decode(encoding.decode().lower() if like else "utf-8", "replace")


def commits_of(tokens: Iterator[bytes], most: int, raw: Callable[[Oid], bytes]) -> Iterator[Commit]:
    """Commits with at most `most` changes each (0: any number). Each is yielded as soon as it is complete.

    `raw` gives the bytes of a commit that names an encoding. What git made of those bytes is not used.
    """
    token = next(tokens, None)
    while token is not None:
        oid = Oid(token.decode())
        parents, encoding, time, committer, author, message = (next(tokens) for _ in range(6))
        ids = tuple(Oid(parent) for parent in parents.decode().split())
        if encoding:
            commit = replace(read_commit(oid, raw(oid)), parents=ids)
        else:
            by, of = (_text(each.strip()) if each != b" <>" else _NOBODY for each in (committer, author))
            commit = Commit(oid, ids, clock(time), by, of, _text(message))
        changes: list[Change] = []
        while (token := next(tokens, None)) is not None and token.lstrip(b"\n").startswith(b":"):
            changes.append(_change(token.lstrip(b"\n"), next(tokens)))
            if len(changes) == most:
                yield replace(commit, changes=tuple(changes))
        if not most or len(changes) < most:
            yield replace(commit, changes=tuple(changes))


def bare_commits_of(tokens: Iterator[bytes]) -> Iterator[Commit]:
    """Commits with all their changes and without names and messages, from tokens "<id> <time> <parents>".

    Apart from `commits_of`, because it reads whole histories: a hundred thousand commits in half the time.
    """
    token = next(tokens, None)
    while token is not None:
        oid, time, *parents = token.split(b" ")
        ids = tuple(Oid(parent.decode()) for parent in parents if parent)
        changes: list[Change] = []
        while (token := next(tokens, None)) is not None and (meta := token.lstrip(b"\n")).startswith(b":"):
            changes.append(_change(meta, next(tokens)))
        yield Commit(Oid(oid.decode()), ids, clock(time), "", "", "", tuple(changes))


def changes_of(tokens: Iterator[bytes]) -> list[Change]:
    return [_change(token, next(tokens)) for token in tokens]


def _change(meta: bytes, path: bytes) -> Change:
    old_mode, new_mode, old, new, _ = meta.decode().removeprefix(":").split(" ")
    return Change(
        path.decode(errors="surrogateescape"),
        Entry(old_mode, Oid(old)) if old_mode != "000000" else None,
        Entry(new_mode, Oid(new)) if new_mode != "000000" else None,
    )
