"""What a JSON Schema declares at each place of a document, no matter which of its branches apply.

A place is the set of schemas that describe a value. `allOf`, `anyOf`, `oneOf` and `$ref` all add schemas to it. Values
with the same set have the same place, so a recursive schema has a finite number of places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, TypeAlias

from pointsman.artifact.schema_reading import Node

# JSON pointers of schemas, such as #/properties/rows.
Place: TypeAlias = frozenset[str]

_most_places = 4096
_most_cached = 65536


class Matches(Protocol):
    """Whether a name matches a regular expression, in the dialect of the validator."""

    def __call__(self, pattern: str, name: str) -> bool: ...


class Places:
    """The places of one schema. `faults`: where it does not say whether a number is an integer."""

    def __init__(self, nodes: Mapping[str, Node], matches: Matches) -> None:
        self._matches = matches
        self._schemas = nodes
        self._known: dict[tuple[Place, str], Place | None] = {}
        self._maps: dict[Place, frozenset[str] | None] = {}  # the names of its own that a map has; None: no map
        self.faults = self._loops()
        self.root: Place = frozenset()
        if not self.faults:
            self.root = self._place(["#"])
            self.faults = list(self._mixed_numbers())

    def member(self, place: Place, name: str) -> Place | None:
        """The place of the member `name` of an object at `place`; None if no schema declares it."""
        key = place, name
        if key not in self._known:
            if len(self._known) >= _most_cached:
                self._known.clear()
            found = [pointer for each in place for pointer in self._declarations(each, name)]
            found = found or [each for each in self._of(place, "unevaluated") if each]
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
        return self._place(found or [each for each in self._of(place, "unevaluated_items") if each])

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
                or any(
                    other and not (named and self._schemas[other].anything)
                    for other in (schema.additional, schema.unevaluated)
                )
                for schema in schemas
            )
            self._maps[place] = named if open_ else None
        return self._maps[place] is not None

    def is_entry(self, place: Place, name: str) -> bool:
        """Whether the member `name` of an object at `place` is an entry of a map: no schema has this very name."""
        return self.is_map(place) and name not in (self._maps[place] or ())

    def _of(self, place: Place, field: str) -> Iterator[str | None]:
        return (getattr(self._schemas[each], field) for each in place)

    def _loops(self) -> list[str]:
        """The schemas that refer back to themselves and never to a value."""
        found: list[str] = []
        done: set[str] = set()
        for start in self._schemas:
            path: dict[str, Iterator[str]] = {}  # the schemas from `start` to here, with what is ahead of each
            ahead = [start]
            while ahead:
                each = ahead.pop()
                if each in path:
                    found.append(f"{each}: refers back to itself and never to a value; break the loop")
                elif each not in done:
                    path[each] = iter(self._next(each))
                while path:
                    last = next(reversed(path))
                    following = next(path[last], None)
                    if following is not None:
                        ahead.append(following)
                        break
                    done.add(last)
                    del path[last]
        return found

    def _next(self, pointer: str) -> tuple[str, ...]:
        node = self._schemas[pointer]
        return (*node.same_place, *node.tests)

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

    def _mixed_numbers(self) -> Iterator[str]:
        """The places that declare both kinds of numbers. Looks at every place that the schema alone shows.

        If a name matches several patterns, only a document shows its place: its reader asks `numbers` there.
        """
        ahead = [self.root]
        seen = {self.root}
        while ahead:
            place = ahead.pop()
            if len(self.numbers(place)) > 1:
                kinds = [f"{each} says {kind}" for each in sorted(place) for kind in self._schemas[each].numbers]
                yield f"{', '.join(kinds)} for the same value; declare it either integer or number"
            for inner in self._below(place):
                if inner not in seen:
                    seen.add(inner)
                    ahead.append(inner)
            if len(seen) > _most_places:
                yield f"#: has more than {_most_places} different places; simplify it"
                return

    def _below(self, place: Place) -> Iterator[Place]:
        schemas = [self._schemas[each] for each in place]
        for name in {name for schema in schemas for name in schema.properties}:
            yield self.member(place, name) or frozenset()
        for pattern in {pattern for schema in schemas for pattern in schema.patterns}:
            yield self._place(filter(None, (schema.patterns.get(pattern, schema.additional) for schema in schemas)))
        for field in ("additional", "unevaluated"):
            yield self._place(filter(None, self._of(place, field)))
        for index in range(self.longest_prefix(place) + 1):
            yield self.element(place, index)
