"""Claims: signed documents that hold a target at an earlier state while git cannot be reached.

A claim is one object beside the pointer that it is about. What is signed is the document without its signature, as
compact JSON with sorted names in UTF-8.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import asdict, replace

from pointsman.patterns import pattern
from pointsman.state.names import VERSION, Target, is_name, is_version
from pointsman.state.objects import Oid
from pointsman.state.strict_json import read
from pointsman.state.times import rfc3339_instant

NAMESPACE = "pointsman-claim"  # of its SSH signature
LIFE = 24 * 3600  # seconds
SKEW = 300  # seconds that the clock of whoever signs may be ahead
_MOST_BYTES = 1 << 17
_COMMIT = pattern(r"[0-9a-f]{40}([0-9a-f]{24})?")
_UNIX = 62135596800  # seconds from year 1 to 1970


class Claim(Struct, frozen=True):
    """What break-glass put in front of serving, and why. Times are RFC 3339 in UTC."""

    target: str
    place: str  # "" where there is one
    from_: str  # SHA-256 of the pointer that it replaces; "" for none
    to: str  # SHA-256 of the manifest that is put back
    state: Oid  # the commit that made this manifest
    replaced: str  # the commit of the state that is replaced; "" if no state has these bytes
    main: Oid  # the commit of the fence: what sync had begun to work on
    versions: Mapping[str, str]  # of what is put back
    by: str
    at: str
    reason: str
    until: str
    signature: str = ""  # an armored SSH signature; "" for none

    @property
    def signed(self) -> bytes:
        """The bytes that are signed."""
        document = {"v": 1, **{_name(key): value for key, value in asdict(self).items() if key != "signature"}}
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def render(self) -> bytes:
        """The bytes of the object."""
        document = {"v": 1, **{_name(key): value for key, value in asdict(self).items()}}
        return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"

    def sign(self, signature: str) -> Claim:
        """The same with a signature."""
        return replace(self, signature=signature)

    @property
    def begins(self) -> int:
        """Seconds since 1970."""
        return _seconds(self.at)

    @property
    def ends(self) -> int:
        """Seconds since 1970."""
        return _seconds(self.until)


def read_claim(data: bytes, target: Target) -> Claim | None:
    """The claim in an object; None if this is none, or one of another target, or one that has ended."""
    document = read(data, "") if len(data) <= _MOST_BYTES else None
    if not isinstance(document, dict) or document.get("v") != 1:
        return None
    try:
        claim = Claim(**{_member(key): value for key, value in document.items() if key != "v"})
        _check(claim, target)
    except (TypeError, ValueError, AttributeError):
        return None
    return claim


def ended(reason: str, at: str) -> bytes:
    """What stands in the place of a claim that has ended: a bucket deletes nothing conditionally."""
    return json.dumps({"v": 1, "ended": {"at": at, "says": reason}}, indent=2).encode() + b"\n"


def has_ended(data: bytes) -> bool:
    """Whether an object says that the claim has ended."""
    document = read(data, "") if len(data) <= _MOST_BYTES else None
    return isinstance(document, dict) and set(document) == {"v", "ended"}


def _check(claim: Claim, target: Target) -> None:
    """ValueError for what no command of ours writes."""
    texts = [value for key, value in asdict(claim).items() if key != "versions"]
    if not all(isinstance(text, str) for text in texts) or claim.target != str(target):
        raise ValueError(claim)
    if not all(is_name(slot) and is_version(version) for slot, version in claim.versions.items()):
        raise ValueError(claim)
    if not re.fullmatch(VERSION, claim.to) or not re.fullmatch(rf"({VERSION})?", claim.from_):
        raise ValueError(claim)
    commits = (claim.state, claim.main, *([claim.replaced] if claim.replaced else ()))
    if not all(map(_COMMIT.fullmatch, commits)) or not claim.begins < claim.ends <= claim.begins + LIFE:
        raise ValueError(claim)


def _seconds(text: str) -> int:
    instant = rfc3339_instant(text)
    if instant is None:
        raise ValueError(text)
    return instant[0] - _UNIX


def _name(member: str) -> str:
    return member.removesuffix("_")


def _member(name: str) -> str:
    return "from_" if name == "from" else name
