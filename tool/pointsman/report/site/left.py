"""What a run of `site` leaves of its calm targets, so that the next one looks only at the others.

It is derived: whoever deletes it loses time. It counts only for the tool, the settings and the place that made it,
where main went on from the commit that it was made of, and for a day: then everything is read again, in case a store
gives an old tag to new bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from pointsman.report.site.value import Calm, Row
from pointsman.state.names import Target
from pointsman.state.objects import Commit
from pointsman.state.paths import READMES, is_target

_FORM = "2"  # of what is left; another one counts for nothing
_LONGEST = 86400  # seconds


class Left(Struct, frozen=True, array_like=True):
    """The rows of calm targets, and the names of all others. Times are seconds since 1970."""

    by: str
    main: str
    read: int  # when all was read
    at: int  # when the newest of the rows was made
    others: Sequence[str]
    rows: dict[str, tuple[Calm, Row]]


def made_by(place: str, settings: str) -> str:
    """Who may go on with what: the same tool, at the same place, with the same settings."""
    return f"{_FORM} {settings} {place}"


def read_left(data: bytes, by: str, main: object, now: int) -> Left | None:
    """What the last run left, if it was made by the same at `main`; None at any doubt."""
    try:
        left = msgspec.json.decode(data, type=Left) if data else None
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if left is None or (left.by, left.main) != (by, main) or not left.at <= now < left.read + _LONGEST:
        return None
    return left


def go_on(
    left: Left | None,
    by: str,
    main: str,
    now: int,
    rows: Mapping[str, Row],
    calm: Mapping[str, Calm],
    same: Collection[str],
) -> Left:
    """What this run leaves of all rows: those of what is calm now, and of what stands as it was left (`same`)."""
    made = {name: (each, rows[name]) for name, each in calm.items()}
    others = sorted(rows.keys() - made.keys() - {*same})
    if left is None:
        return Left(by, main, now, now, others, made)
    stood = {name: left.rows[name] for name in same}
    return Left(by, main, left.read, now if made else left.at, others, stood | made)


def as_bytes(left: Left) -> bytes:
    """The same as the next run reads it, without rows that are no text."""
    try:
        return msgspec.json.encode(left)
    except UnicodeEncodeError:
        return b""


def touched(newer: Iterable[Commit]) -> Collection[str] | None:
    """The targets of which a commit changed a document; None if it may be any."""
    found: set[str] = set()
    for path in (change.path for commit in newer for change in commit.changes):
        match path.split("/"):
            case ["manifests" | "registry", tenant, surface, *_]:
                found.add(f"{tenant}/{surface}")
            case ["holds", tenant, name, *_]:
                found.add(f"{tenant}/{name.removesuffix('.json')}")
            case ["manifests" | "registry" | "holds", *_] if path not in READMES:
                return None
    return found


def targets(names: Iterable[str]) -> list[Target]:
    """Those of some names that are targets."""
    pairs = (name.split("/") for name in names)
    return [Target(*pair) for pair in pairs if is_target(*pair)]


def in_order(rows: Mapping[str, Row]) -> list[Row]:
    """All rows, as targets are sorted."""
    return [rows[name] for name in sorted(rows, key=lambda name: name.split("/"))]
