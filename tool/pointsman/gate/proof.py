"""What a blob says, held against its record: a right hash proves which bytes these are, not what they are."""

from __future__ import annotations

from msgspec import Struct

from pointsman.artifact.built_in import LAYOUTS
from pointsman.artifact.reader import Artifact, read
from pointsman.artifact.user_type import UserType
from pointsman.errors import Fault
from pointsman.state.documents import Record
from pointsman.state.strict_json import shown
from pointsman.state.times import rfc3339_instant


class Difference(Struct, frozen=True):
    """A rule, and what in a blob is not as its record says."""

    rule: str
    says: str


def difference(record: Record, data: bytes, own: UserType | None) -> Difference | None:
    """The first thing in a blob that its record does not say. `own`: the schema of a user's own type."""
    found = read(data, record.path, types={record.type: own} if own is not None else None, any_source_hash=True)
    if isinstance(found, Fault):
        rule = found.rule if found.rule in ("bad-json", "schema") else "schema"
        return Difference(rule, f"is no artifact that serving can rely on ({found.says})")
    for what in ("type", "tenant", "surface", "segment"):
        is_there, recorded = getattr(found, what), getattr(record, what)
        if is_there != recorded:
            return Difference("wrong-place", f"has the {what} {shown(is_there)}, but its record {shown(recorded)}")
    return _of_window(record, found) or _of_counts(record, found) or _of_form(record, found)


def _of_window(record: Record, found: Artifact) -> Difference | None:
    ends = ("start", record.window_start, found.window_start), ("end", record.window_end, found.window_end)
    for what, recorded, is_there in ends:
        if rfc3339_instant(recorded) != rfc3339_instant(is_there):
            says = f"has a window whose {what} is {shown(is_there)}, but in its record it is {shown(recorded)}"
            return Difference("wrong-place", says)
    return None


def _of_counts(record: Record, found: Artifact) -> Difference | None:
    # An own type may be measured in more ways than when the record was made.
    names = {*record.summary, *(found.summary if record.type in LAYOUTS else ())}
    for name in sorted(names):
        is_there, recorded = found.summary.get(name), record.summary.get(name)
        if is_there != recorded:
            says = f"has {shown(is_there)} {name}, but its record says {shown(recorded)}"
            return Difference("wrong-place", says)
    return None


def _of_form(record: Record, found: Artifact) -> Difference | None:
    if found.version != record.version:
        return Difference("schema", f"is not in canonical form: its version would be {found.version}")
    return None
