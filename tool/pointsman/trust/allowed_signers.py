"""Files of allowed signers: who may sign what, with which key, and from when until when.

The format is that of OpenSSH (ssh-keygen(1), ALLOWED SIGNERS). It is read more strictly here than there, because a line
may decide what is served: a line that is not fully understood counts for nobody.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
import time
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from pointsman.patterns import pattern

_MOST_BYTES = 1 << 20
_NAME = r"[^\s\",*?!#\x00-\x1f\x7f-\x9f][^\s\",*?!\x00-\x1f\x7f-\x9f]*"  # of one person: no pattern, no list
_OPTION = r"[A-Za-z-]+(?:=\"[^\"\\]*\")?"
_LINE = pattern(
    rf"(?P<names>{_NAME}(?:,{_NAME})*)[ \t]+(?P<options>{_OPTION}(?:,{_OPTION})*)[ \t]+"
    r"(?P<type>(?:sk-)?(?:ssh|ecdsa)-[a-z0-9.@-]+)[ \t]+(?P<key>[A-Za-z0-9+/]+={0,2})(?:[ \t].*)?"
)
_TIME = pattern(r"\d{8}(?:\d{4}(?:\d\d)?)?Z?")
_FORMS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


class Signer(Struct, frozen=True):
    """One key, whose it is, and when its signatures count: seconds since 1970, both ends included; None: no limit."""

    names: tuple[str, ...]
    key: bytes  # the public key as SSH writes it (RFC 4253, 6.6)
    after: int | None = None
    before: int | None = None

    @property
    def has_limits(self) -> bool:
        """Whether the time of a signature matters."""
        return self.after is not None or self.before is not None

    def is_valid_at(self, seconds: int) -> bool:
        """Whether a signature of that time counts."""
        return (self.after is None or self.after <= seconds) and (self.before is None or seconds <= self.before)


@functools.lru_cache(maxsize=8)  # very many commits are judged by one file
def read_signers(data: bytes, namespace: str) -> tuple[Signer, ...]:
    """Those who may sign in a namespace.

    A line counts only if its `namespaces=` names the namespace itself. Patterns, `cert-authority`, options that are not
    known here and whatever else ssh-keygen would not read do not count.
    """
    if len(data) > _MOST_BYTES:
        return ()
    lines = data.decode("utf-8", "replace").split("\n")
    return tuple(found for line in lines if (found := _signer(line.strip(" \t\r"), namespace)) is not None)


def _signer(line: str, namespace: str) -> Signer | None:
    found = _LINE.fullmatch(line)
    options = _options(found["options"]) if found is not None else None
    if found is None or options is None:
        return None
    if namespace not in options.get("namespaces", "").split(",") or f"!{namespace}" in options["namespaces"].split(","):
        return None
    try:
        key = base64.b64decode(found["key"], validate=True)
        after, before = (
            _seconds(options[name]) if name in options else None for name in ("valid-after", "valid-before")
        )
    except (ValueError, binascii.Error):
        return None
    if not key.startswith(len(found["type"]).to_bytes(4) + found["type"].encode()) or "-cert-" in found["type"]:
        return None
    return Signer(tuple(found["names"].split(",")), key, after, before)


def _options(text: str) -> dict[str, str] | None:
    """Name → value; None if one is unknown, stands twice, or has no value and needs one."""
    found: dict[str, str] = {}
    for option in re.findall(_OPTION, text):
        name, sign, value = option.partition("=")
        name = name.lower()
        if name not in ("namespaces", "valid-after", "valid-before") or name in found or not sign:
            return None
        found[name] = value.strip('"')
    return found


def _seconds(text: str) -> int:
    """A time of an option as seconds since 1970; ValueError for none. Without a zone it is UTC."""
    digits = text.removesuffix("Z")
    if not _TIME.fullmatch(text):
        raise ValueError(text)
    import calendar

    return calendar.timegm(time.strptime(digits, _FORMS[len(digits)]))


def names_by_key(signers: Iterable[Signer]) -> dict[bytes, frozenset[str]]:
    """Every name under which each key stands."""
    found: dict[bytes, set[str]] = {}
    for each in signers:
        found.setdefault(each.key, set()).update(each.names)
    return {key: frozenset(names) for key, names in found.items()}


def persons(signed: Mapping[bytes, frozenset[str]]) -> Iterator[tuple[str, ...]]:
    """The names of each person among keys that signed: keys that share a name are one person's.

    So neither a key under two names nor two keys under one name count twice.
    """
    person_of: dict[str, set[str]] = {}
    for names in signed.values():
        known = {id(person): person for name in names if (person := person_of.get(name)) is not None}
        whole = max(known.values(), key=len, default=set())
        for more in (names, *(person for person in known.values() if person is not whole)):
            whole |= more
            person_of |= dict.fromkeys(more, whole)
    for person in {id(person): person for person in person_of.values()}.values():
        yield tuple(sorted(person))
