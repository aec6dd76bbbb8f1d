"""Commits that git takes and that few programs expect: each is the text of an object, to be written as it is."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

PERSON = b"Odd Bot <odd@example.org>"
NOW = b"%d" % time.time()  # a ship may not be older than its manifest says
ON_TIME = PERSON + b" %s +0000" % NOW


def commit(
    tree: str, parent: str, message: bytes, *, author: bytes = ON_TIME, committer: bytes = ON_TIME, more: bytes = b""
) -> bytes:
    """The content of a commit; a line whose person is empty is left out, `more` are further lines of its header."""
    people = ((b"author", author), (b"committer", committer))
    lines = b"".join(b"%s %s\n" % (who, person) for who, person in people if person)
    return f"tree {tree}\nparent {parent}\n".encode() + lines + more + b"\n" + message


# Name → what is odd about the commit.
ODD: Mapping[str, Mapping[str, bytes]] = {
    "no date": {"committer": PERSON, "author": PERSON},
    "before 1970": {"committer": PERSON + b" -86400 +0000", "author": PERSON + b" -1 +0000"},
    "after the year 9999": {"committer": PERSON + b" 253402300800 +0000"},
    "beyond 64 bits": {"committer": PERSON + b" %s +0000" % (b"9" * 5000), "author": PERSON + b" 1e9 +0000"},
    "a time zone that is none": {"committer": PERSON + b" " + NOW + b" +99999999", "author": PERSON + b" " + NOW},
    "no author": {"author": b""},
    "no committer": {"committer": b""},
    "nobody": {"author": b"", "committer": b""},
    "no email": {"author": b"Odd Bot " + NOW + b" +0000", "committer": b"Odd Bot " + NOW + b" +0000"},
    "brackets": {"author": b"a <b <c> d> 1 +0000 <e> " + NOW + b" +0000", "committer": b"<> " + NOW + b" +0000"},
    "an empty name": {"author": b" <odd@example.org> " + NOW + b" +0000"},
    "a name that git refuses": {"author": b".,; <odd@example.org> " + NOW + b" +0000"},
    "two authors": {"more": b"author " + ON_TIME + b"\n"},
    "EBCDIC": {"more": b"encoding IBM037\n", "message": "ship: é\n\nRun: x\n".encode("cp037")},
    "UTF-7": {"more": b"encoding UTF-7\n", "author": b"A+AAo-B+AAA-C <a@b> 1 +0000", "message": b"+AAA-a+AAo-b"},
    "UTF-16": {"more": b"encoding UTF-16\n", "message": "ship\n\nRun: x".encode("utf-16")},
    "a lie": {"more": b"encoding UTF-16BE\n"},
    "an unknown encoding": {"more": b"encoding no-such-\x1b[31m\xff\n"},
    "Latin-1": {"more": b"encoding ISO-8859-1\n", "author": b"J\xf6rg <j@example.org> " + NOW + b" +0000"},
    "no UTF-8": {"message": b"ship: \xff\xfe\n\nReason: \xc3\x28\n", "author": b"\xff\x80 <\xfe@b> " + NOW + b" +0000"},
    "NUL in the message": {"message": b"ship: a\0b\n\nReason: \0\n"},
    "NUL in the name": {"author": b"Odd\0Bot <odd@example.org> " + NOW + b" +0000"},
    "no message": {"message": b""},
    "line ends of all kinds": {"message": "a\r\nb\rc\x0bd\x0ce\x1cf\x85g\u2028h\u2029i\n".encode()},
    "what a terminal obeys": {
        "author": "\u202eevE \u200b\x1b[31m\x9b <e\u2066@b> 1773000000 +0000".encode(),
        "committer": "\u202eevE \u200b\x1b[31m\x9b <e\u2066@b> 1773000000 +0000".encode(),
        "message": "\u202eship \x1b]0;title\x07\n\nReason: \u202eesrever\u200b\n".encode(),
    },
    "a signature of nonsense": {"more": b"gpgsig -----BEGIN\n \xff\n\ngpgsig x\n"},
    "a long line": {"message": b"x" * 100_000, "author": b"y" * 10_000 + b" <a@b> " + NOW + b" +0000"},
}  # fmt: skip


def write(where: Path, content: bytes) -> str:
    """Write a commit into a repository as it is, whatever git would say of it, and return its id."""
    words = ["git", "hash-object", "-t", "commit", "-w", "--literally", "--stdin"]
    return subprocess.run(words, cwd=where, input=content, check=True, capture_output=True).stdout.decode().strip()


def odd(where: Path, name: str, parent: str, tree: str, message: bytes = b"odd: one of many\n") -> str:
    """Write the odd commit of this name on top of `parent`."""
    return write(where, commit(tree, parent, **{"message": message, **ODD[name]}))
