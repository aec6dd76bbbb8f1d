"""What a JSON Schema declares at each place of a document, no matter which of its branches apply.

A place is the set of schemas that describe a value. `allOf`, `anyOf`, `oneOf` and `$ref` all add schemas to it. Values
with the same set have the same place, so a recursive schema has a finite number of places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias
from urllib.parse import unquote

from pointsman.state.strict_json import shown

# JSON pointers of schemas, such as #/properties/rows.
Place: TypeAlias = frozenset[str]

_root_keywords = {"$schema", "$id"}
_keywords = {
    *("$ref", "$defs", "allOf", "anyOf", "oneOf"),
    *("properties", "patternProperties", "additionalProperties", "prefixItems", "items"),
    *("type", "enum", "const", "required", "dependentRequired", "pattern", "format", "uniqueItems"),
    *("minProperties", "maxProperties", "minItems", "maxItems", "minLength", "maxLength"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("$comment", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"),
    *("contentEncoding", "contentMediaType"),
}
_most_places = 4096
_most_cached = 65536


class Unclear(Exception):
    """The schema does not say which numbers are integers. The message says where, why, and how to fix it."""


class Matches(Protocol):
    """Whether a name matches a regular expression, in the dialect of the validator."""

    def __call__(self, pattern: str, name: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Schema:
    """One schema. Schemas inside it are given by their JSON pointers."""

    anything: bool  # it is `true`
    numbers: tuple[str, ...]
    names: frozenset[str]
    same_place: tuple[str, ...]
    properties: Mapping[str, str]
    patterns: Mapping[str, str]
    additional: str | None
    prefix: tuple[str, ...]
    items: str | None


class Places:
    """The places of one valid schema. Unclear if a place does not say whether a number is an integer."""

    def __init__(self, schema: object, matches: Matches) -> None:
        self._matches = matches
        self._schemas: dict[str, _Schema] = {}
        self._known: dict[tuple[Place, str], Place | None] = {}
        self._maps: dict[Place, frozenset[str] | None] = {}  # the names of its own that a map has; None: no map
        self._collect("#", schema)
        for pointer in self._schemas:
            self._refuse_dangling_and_loops(pointer)
        self.root = self._place(["#"])
        self._refuse_mixed_numbers()

    def member(self, place: Place, name: str) -> Place | None:
        """The place of the member `name` of an object at `place`; None if no schema declares it."""
        key = place, name
        if key not in self._known:
            if len(self._known) >= _most_cached:
                self._known.clear()
            found = [pointer for each in place for pointer in self._declarations(each, name)]
            self._known[key] = self._place(found) if found else None
        return self._known[key]

    def element(self, place: Place, index: int) -> Place:
        """The place of the element `index` of a list at `place`; empty if no schema describes it."""
        found = []
        for each in place:
            schema = self._schemas[each]
            if schema.anything:
                found.append(each)
            elif index < len(schema.prefix):
                found.append(schema.prefix[index])
            elif schema.items:
                found.append(schema.items)
        return self._place(found)

    def longest_prefix(self, place: Place) -> int:
        """The index from which on all elements of a list at `place` have the same place."""
        return max((len(self._schemas[each].prefix) for each in place), default=0)

    def numbers(self, place: Place) -> frozenset[str]:
        """Which of `integer` and `number` are declared for a value at `place`."""
        return frozenset(kind for each in place for kind in self._schemas[each].numbers)

    def named_at_root(self) -> frozenset[str]:
        """The members of the document that the schema names."""
        return frozenset().union(*(self._schemas[each].names for each in self.root))

    def is_map(self, place: Place) -> bool:
        """Whether an object at `place` may have members of any name, as a map from ids has."""
        if place not in self._maps:
            schemas = [self._schemas[each] for each in place]
            named = frozenset().union(*(schema.properties for schema in schemas))
            # Beside names of its own, `true` only says that more members do not matter.
            open_ = any(
                schema.anything
                or schema.patterns
                or (schema.additional and not (named and self._schemas[schema.additional].anything))
                for schema in schemas
            )
            self._maps[place] = named if open_ else None
        return self._maps[place] is not None

    def is_entry(self, place: Place, name: str) -> bool:
        """Whether the member `name` of an object at `place` is an entry of a map: no schema has this very name."""
        return self.is_map(place) and name not in (self._maps[place] or ())

    def _collect(self, pointer: str, schema: object) -> None:
        if not isinstance(schema, dict):
            self._schemas[pointer] = _Schema(schema is True, (), frozenset(), (), {}, {}, None, (), None)
            return
        for keyword in schema:
            if keyword not in _keywords and not (pointer == "#" and keyword in _root_keywords):
                says = "is unknown, or does not say which numbers are integers; remove it"
                raise Unclear(f"{pointer}: the keyword {shown(keyword)} {says}")

        def one(keyword: str) -> str | None:
            return self._inside(pointer, schema[keyword], keyword) if keyword in schema else None

        def many(keyword: str) -> tuple[str, ...]:
            return tuple(self._inside(pointer, each, keyword, str(i)) for i, each in enumerate(schema.get(keyword, ())))

        def named(keyword: str) -> dict[str, str]:
            return {name: self._inside(pointer, each, keyword, name) for name, each in schema.get(keyword, {}).items()}

        named("$defs")
        kinds = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", ())
        dependent = schema.get("dependentRequired", {})
        properties = named("properties")
        self._schemas[pointer] = _Schema(
            anything=False,
            numbers=tuple(kind for kind in ("integer", "number") if kind in kinds),
            names=frozenset().union(properties, schema.get("required", ()), dependent, *dependent.values()),
            same_place=(*many("allOf"), *many("anyOf"), *many("oneOf"), *_target(pointer, schema.get("$ref"))),
            properties=properties,
            patterns=named("patternProperties"),
            additional=one("additionalProperties") if schema.get("additionalProperties", False) is not False else None,
            prefix=many("prefixItems"),
            items=one("items"),
        )

    def _inside(self, pointer: str, schema: object, *steps: str) -> str:
        inner = "/".join((pointer, *(step.replace("~", "~0").replace("/", "~1") for step in steps)))
        self._collect(inner, schema)
        return inner

    def _refuse_dangling_and_loops(self, pointer: str) -> None:
        seen: set[str] = set()
        ahead = list(self._schemas[pointer].same_place)
        while ahead:
            each = ahead.pop()
            if each not in self._schemas:
                raise Unclear(f"{pointer}/$ref: {shown(each)} points to no schema of this file; fix the pointer")
            if each == pointer:
                raise Unclear(f"{pointer}: refers back to itself and never to a value; break the loop")
            if each not in seen:
                seen.add(each)
                ahead.extend(self._schemas[each].same_place)

    def _place(self, pointers: Iterable[str]) -> Place:
        found: set[str] = set()
        ahead = list(pointers)
        while ahead:
            each = ahead.pop()
            if each not in found:
                found.add(each)
                ahead.extend(self._schemas[each].same_place)
        return frozenset(found)

    def _declarations(self, pointer: str, name: str) -> list[str]:
        schema = self._schemas[pointer]
        if schema.anything:
            return [pointer]
        found = [inner for pattern, inner in schema.patterns.items() if self._matches(pattern, name)]
        if name in schema.properties:
            found.append(schema.properties[name])
        return found or ([schema.additional] if schema.additional else [])

    def _refuse_mixed_numbers(self) -> None:
        """Unclear if a place declares both kinds of numbers. Checks every place that the schema alone shows.

        If a name matches several patterns, only a document shows its place: its reader asks `numbers` there.
        """
        ahead = [self.root]
        seen = {self.root}
        while ahead:
            place = ahead.pop()
            if len(self.numbers(place)) > 1:
                kinds = [f"{each} says {kind}" for each in sorted(place) for kind in self._schemas[each].numbers]
                raise Unclear(f"{', '.join(kinds)} for the same value; declare it either integer or number")
            for inner in self._below(place):
                if inner not in seen:
                    seen.add(inner)
                    ahead.append(inner)
            if len(seen) > _most_places:
                raise Unclear(f"#: has more than {_most_places} different places; simplify it")

    def _below(self, place: Place) -> Iterator[Place]:
        schemas = [self._schemas[each] for each in place]
        for name in {name for schema in schemas for name in schema.properties}:
            yield self.member(place, name) or frozenset()
        for pattern in {pattern for schema in schemas for pattern in schema.patterns}:
            yield self._place(filter(None, (schema.patterns.get(pattern, schema.additional) for schema in schemas)))
        yield self._place(filter(None, (schema.additional for schema in schemas)))
        for index in range(self.longest_prefix(place) + 1):
            yield self.element(place, index)


def _target(pointer: str, reference: Any) -> tuple[str, ...]:
    if reference is None:
        return ()
    if reference != "#" and not reference.startswith("#/"):
        raise Unclear(f"{pointer}/$ref: {shown(reference)} is not in this file; write a pointer such as #/$defs/row")
    return (unquote(reference),)
