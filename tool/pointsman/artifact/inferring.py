"""A JSON Schema for a type of one's own, from examples of its documents: which members there are, which numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from pointsman.artifact.drafts import LATEST
from pointsman.artifact.exact import ENVELOPE
from pointsman.errors import Problem
from pointsman.patterns import pattern
from pointsman.state.strict_json import MAX_DEPTH

_IDENTIFIER = pattern(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_MEMBERS = 10  # of one kind, before they are taken for the keys of a map
_NAMES = {str: "string", bool: "boolean", type(None): "null", list: "array", dict: "object"}


class Shape(Struct):
    """What was seen at one place of all examples."""

    kinds: set[str] = field(default_factory=set)
    members: dict[str, Shape] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)  # how many objects have the member
    objects: int = 0
    element: Shape | None = None

    def see(self, value: object, depth: int = 0) -> None:
        """Take one value into account; Problem if it nests too deep."""
        if depth > MAX_DEPTH:
            raise Problem(f"the example has more than {MAX_DEPTH} lists and objects inside each other")
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.kinds.add(_NAMES[type(value)])
        else:
            self.kinds.add("integer" if isinstance(value, int) else "number")
        if isinstance(value, dict):
            self.objects += 1
            for name, each in value.items():
                self.counts[name] = self.counts.get(name, 0) + 1
                self.members.setdefault(name, Shape()).see(each, depth + 1)
        elif isinstance(value, list):
            self.element = self.element or Shape()
            for each in value:
                self.element.see(each, depth + 1)

    @property
    def is_map(self) -> bool:
        """Whether the names of the members are data, such as the ids of users."""
        kinds = [each.kinds - {"null"} for each in self.members.values()]
        if not kinds or any(each != kinds[0] for each in kinds):
            return False
        odd = any(not _IDENTIFIER.fullmatch(name) for name in self.members)
        inner = len(kinds) > 1 and kinds[0] <= {"array", "object"} and kinds[0] != set()
        return odd or inner or len(kinds) > _MOST_MEMBERS

    def joined(self) -> Shape:
        """The shape of the values of a map."""
        found = Shape()
        for each in self.members.values():
            found.add(each)
        return found

    def add(self, other: Shape) -> None:
        """Take into account what another shape has seen."""
        self.kinds |= other.kinds
        self.objects += other.objects
        for name, each in other.members.items():
            self.counts[name] = self.counts.get(name, 0) + other.counts[name]
            self.members.setdefault(name, Shape()).add(each)
        if other.element is not None:
            self.element = self.element or Shape()
            self.element.add(other.element)


class Inferred(Struct):
    """The schema, and what a person has to look at, each as a place such as $.users.*[].score."""

    schema: dict[str, Any]
    integers: list[str] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    maps: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)  # null, and lists and objects with nothing in them


def infer(name: str, documents: Sequence[Mapping[str, object]]) -> Inferred:
    """A schema that fits all documents; the members that every artifact has are left out of it."""
    root = Shape()
    for document in documents:
        root.see({key: value for key, value in document.items() if key not in ENVELOPE})
    found = Inferred({"$schema": f"https://{LATEST.url}", "title": name})
    found.schema |= _schema(root, "$", found, may_be_map=False)
    return found


def _schema(shape: Shape, where: str, found: Inferred, *, may_be_map: bool = True) -> dict[str, Any]:
    kinds = set(shape.kinds)
    if {"integer", "number"} <= kinds:
        kinds.discard("integer")
    for kind, places in (("integer", found.integers), ("number", found.numbers)):
        if kind in kinds:
            places.append(where)
    schema: dict[str, Any] = {"type": next(iter(kinds)) if len(kinds) == 1 else sorted(kinds)} if kinds else {}
    if kinds == {"null"}:
        found.unknown.append(where)
    if "array" in kinds:
        if shape.element is None or not shape.element.kinds:
            found.unknown.append(where)
        schema["items"] = _schema(shape.element or Shape(), f"{where}[]", found)
    if "object" in kinds:
        schema |= dict(_members(shape, where, found, may_be_map))
    return schema


def _members(shape: Shape, where: str, found: Inferred, may_be_map: bool) -> Iterator[tuple[str, Any]]:
    if may_be_map and shape.is_map:
        found.maps.append(where)
        yield "additionalProperties", _schema(shape.joined(), f"{where}.*", found)
        return
    if not shape.members and may_be_map:
        found.unknown.append(where)
    yield "properties", {name: _schema(each, f"{where}.{name}", found) for name, each in shape.members.items()}
    if required := [name for name in shape.members if shape.counts[name] == shape.objects]:
        yield "required", required
