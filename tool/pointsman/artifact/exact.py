"""The exact way to read an artifact: slower than structs, but it keeps every sign and explains every fault.

A `Refusal` ends the walk. `claims` and `body` turn it into the fault that they return.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import msgspec
from msgspec import Struct

from pointsman.artifact import go_json
from pointsman.artifact.built_in import Layout
from pointsman.errors import Fault
from pointsman.state.strict_json import MinusZero, Trail, folded, is_int64, place, shown

ENVELOPE = ("v", "artifact_type", "tenant", "surface", "segment", "window", "build")
_required = tuple(name for name in ENVELOPE if name != "segment")
_Read: TypeAlias = Callable[[Trail, object], object]


class Refusal(Exception):
    """What is wrong at one place of a document, and the rule that it breaks."""

    def __init__(self, trail: Trail, says: str, rule: str = "schema") -> None:
        super().__init__(says)
        self.trail, self.says, self.rule = trail, says, rule

    def fault(self, path: str) -> Fault:
        return Fault(path, self.rule, f"{place(self.trail)}: {self.says}")


class Claims(Struct, frozen=True):
    """What an artifact says about itself outside its body. The types are right; the values are not checked yet."""

    v: int
    type: str
    tenant: str
    surface: str
    segment: str
    window_start: str
    window_end: str
    built_at: str
    version: str
    source_hash: str


class Body(Struct, frozen=True):
    """The rows of a built-in type, ready to be encoded, and the number of leaves of each.

    `broken`: the first value that has the right type but is not allowed, such as a negative count.
    """

    members: Mapping[str, object]
    leaves: list[int]
    broken: Fault | None


def claims(tree: dict[str, object], path: str) -> Claims | Fault:
    """The members that artifacts of all types have, or a fault about the first wrong one."""
    try:
        members = _with((), tree, _required)
        window = closed(((), "window"), members["window"], ("start", "end"))
        build = closed(((), "build"), members["build"], ("built_at", "version"), ("source_hash",))
        return Claims(
            v=integer(((), "v"), members["v"]),
            type=string(((), "artifact_type"), members["artifact_type"]),
            tenant=string(((), "tenant"), members["tenant"]),
            surface=string(((), "surface"), members["surface"]),
            segment=string(((), "segment"), members.get("segment", "")),
            window_start=string((((), "window"), "start"), window["start"]),
            window_end=string((((), "window"), "end"), window["end"]),
            built_at=string((((), "build"), "built_at"), build["built_at"]),
            version=string((((), "build"), "version"), build["version"]),
            source_hash=string((((), "build"), "source_hash"), build.get("source_hash", "")),
        )
    except Refusal as refusal:
        return refusal.fault(path)


def body_faults(tree: dict[str, object], layout: Layout, most: int) -> list[Refusal]:
    """The first faults of the body of a document, `most` at most, those of a wrong type and those of a wrong value."""
    walk = _Walk(layout, most)
    walk.every += wrong_members((), tree, (*_required, layout.rows), ("segment",))
    try:
        walk.each(((), layout.rows), tree.get(layout.rows), walk.row)
    except Refusal as refusal:
        walk.every.append(refusal)
    return walk.every


def body(tree: object, layout: Layout, path: str) -> Body | Fault:
    """The body of a document, or a fault about its first member of a wrong type. Read the `claims` first."""
    walk = _Walk(layout)
    try:
        document = closed((), tree, (*_required, layout.rows), ("segment",))
        rows = walk.each(((), layout.rows), document[layout.rows], walk.row)
    except Refusal as refusal:
        return refusal.fault(path)
    return Body({layout.rows: rows}, walk.leaves, walk.broken.fault(path) if walk.broken else None)


def canonical(claimed: Claims, body_members: Mapping[str, object]) -> bytes:
    """The bytes that are hashed. The members of the body keep their order; their doubles must be `spelled`."""
    document = {
        "v": claimed.v,
        "artifact_type": claimed.type,
        "tenant": claimed.tenant,
        "surface": claimed.surface,
        **({"segment": claimed.segment} if claimed.segment else {}),
        "window": {"start": claimed.window_start, "end": claimed.window_end},
        **body_members,
        "build": {"built_at": "", "version": ""},
    }
    return go_json.html_safe(msgspec.json.encode(document))


def spelled(value: float) -> int | msgspec.Raw:
    """`value` in a form that msgspec encodes as Go does. Msgspec writes some doubles differently."""
    text = go_json.number(value)
    return int(text) if text.isdigit() and len(text) < 16 else msgspec.Raw(text.encode())


def integer(trail: Trail, value: object) -> int:
    """`value` as an int64; Refusal if it is not one."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refusal(trail, f"is {kind(value)}; write an integer without fraction or exponent")
    if not is_int64(value):
        raise Refusal(
            trail, f"{shown(value)} is outside the range of 64-bit integers; write a smaller number", "bad-json"
        )
    return int(value)


def double(trail: Trail, value: object) -> float:
    """`value` as a double, also if it was written as an integer; Refusal if it is not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal(trail, f"is {kind(value)}; write a number")
    return -0.0 if isinstance(value, MinusZero) else float(value)


def kind(value: object) -> str:
    """What `value` is, in words for a message."""
    match value:
        case None | bool():
            return shown(value)
        case int():
            return f"the integer {shown(value)}"
        case float():
            return f"{shown(value)}, with a fraction or exponent"
        case str():
            return f"the string {shown(value)}"
        case dict():
            return "an object"
        case _:
            return "a list"


def unknown_member(trail: Trail, name: str, known: tuple[str, ...]) -> Refusal:
    meant = next((other for other in known if folded(other) == folded(name)), None)
    return Refusal(trail, f"unknown member {shown(name)}; " + (f"write {shown(meant)}" if meant else "remove it"))


class _Walk:
    """One pass over a body. A wrong type raises Refusal at once; the first wrong value is kept in `broken`.

    With `most`, so many of both kinds are kept in `every` before one is raised.
    """

    def __init__(self, layout: Layout, most: int = 0) -> None:
        self.leaves: list[int] = []
        self.broken: Refusal | None = None
        self.every: list[Refusal] = []
        self._layout = layout
        self._most = most

    def each(self, trail: Trail, value: object, read: _Read) -> list[object] | None:
        if value is None:
            return None
        if not isinstance(value, list):
            raise Refusal(trail, f"is {kind(value)}; write a list")
        if self._most:
            return [self._kept((trail, index), element, read) for index, element in enumerate(value)]
        return [read((trail, index), element) for index, element in enumerate(value)]

    def _kept(self, trail: Trail, element: object, read: _Read) -> object:
        try:
            return read(trail, element)
        except Refusal as refusal:
            if len(self.every) >= self._most:
                raise
            self.every.append(refusal)
            return None

    def row(self, trail: Trail, value: object) -> object:
        layout = self._layout
        if layout.leaves is None:
            self.leaves.append(0)
            return self.leaf(trail, value)
        row = self._closed(trail, value, (layout.row_id, layout.leaves))
        row_id = self._id((trail, layout.row_id), row[layout.row_id])
        leaves = self.each((trail, layout.leaves), row[layout.leaves], self.leaf if layout.number else string)
        self.leaves.append(len(leaves or ()))
        return {layout.row_id: row_id, layout.leaves: leaves}

    def leaf(self, trail: Trail, value: object) -> object:
        number = self._layout.number or ""
        leaf = self._closed(trail, value, ("item_id", number))
        item_id = self._id((trail, "item_id"), leaf["item_id"])
        return {"item_id": item_id, number: self._number((trail, number), leaf[number])}

    def _closed(self, trail: Trail, value: object, required: tuple[str, ...]) -> dict[str, object]:
        if self._most and isinstance(value, dict):
            self.every += [*wrong_members(trail, value, required)][1:]  # the first one is raised
        return closed(trail, value, required)

    def _id(self, trail: Trail, value: object) -> str:
        text = string(trail, value)
        if not text:
            self._break(trail, "is empty; give it an id or leave the entry out")
        return text

    def _number(self, trail: Trail, value: object) -> object:
        name = self._layout.number
        read = integer(trail, value) if name == "count" else double(trail, value)
        if read < 0:
            self._break(trail, f"is {read}; a {name} is never negative")
        return read if isinstance(read, int) else spelled(read)

    def _break(self, trail: Trail, says: str) -> None:
        self.broken = self.broken or Refusal(trail, says)
        if len(self.every) < self._most:
            self.every.append(Refusal(trail, says))


def _with(trail: Trail, value: object, required: tuple[str, ...]) -> dict[str, object]:
    if not isinstance(value, dict):
        raise Refusal(trail, f"is {kind(value)}; write an object")
    if any(name not in value for name in required):
        raise next(wrong_members(trail, value, required))
    return value


def wrong_members(
    trail: Trail, value: Mapping[str, object], required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> Iterator[Refusal]:
    """Each member that is missing, then each that is unknown. One in another case is told as that alone."""
    known = required + optional
    others = {folded(name): name for name in value if name not in known}
    for name in required:
        if name not in value:
            yield unknown_member(trail, others[name], known) if name in others else missing_member(trail, name)
    told = {others[name] for name in required if name not in value and name in others}
    yield from (unknown_member(trail, name, known) for name in value if name not in known and name not in told)


def missing_member(trail: Trail, name: str) -> Refusal:
    """That a member is missing, and what adds it."""
    stamped = (not trail and name == "build") or trail == ((), "build")
    how = "pointsman stamp FILE adds it" if stamped else "add it"
    return Refusal(trail, f"the member {shown(name)} is missing; {how}")


def closed(trail: Trail, value: object, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, object]:
    members = _with(trail, value, required)
    if len(members) > len(required):
        for name in members:
            if name not in required and name not in optional:
                raise unknown_member(trail, name, required + optional)
    return members


def string(trail: Trail, value: object) -> str:
    if not isinstance(value, str):
        raise Refusal(trail, f"is {kind(value)}; write a string")
    return value
