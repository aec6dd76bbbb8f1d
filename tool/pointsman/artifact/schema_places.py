"""What a JSON Schema declares at each place of a document, no matter which of its branches apply, and what it costs.

A place is the schemas that describe a value, and how often a validator evaluates each of them. `allOf`, `anyOf`,
`oneOf` and `$ref` all add schemas. Twice the same schema at each level makes 2^64 evaluations at level 64, so they are
counted before a validator begins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from pointsman.artifact.schema_reading import Node

MOST_WORK = 1_000_000_000  # evaluations of schemas for one document; a validator needs a few nanoseconds for each
MOST_INSIDE = 2_000  # schemas inside each other in one evaluation; a validator needs some stack for each
_MOST_OF_A_VALUE = 20_000  # evaluations for one value
_MOST_ABOVE = 200  # schemas of one value inside each other
_MOST_PLACES = 4096
_MOST_STEPS = 5_000_000  # while all places of a schema are looked at
_ENOUGH = MOST_WORK + 1  # no larger number is kept


class TooMuch(Exception):
    """The schema, or the document, needs more work than is allowed. The message says how much that is."""


class Matches(Protocol):
    """Whether a name matches a regular expression, in the dialect of the validator."""

    def __call__(self, pattern: str, name: str) -> bool: ...


class Place(Struct, eq=False):
    """The schemas of a value: pointer → how often it is evaluated. `tests` declare nothing, such as those in `not`."""

    schemas: Mapping[str, int]
    tests: Mapping[str, int]
    numbers: frozenset[str]  # which of `integer` and `number` are declared
    named: frozenset[str]  # the members that schemas have by name
    patterns: tuple[str, ...]
    prefix: int  # the index from which on all elements of a list have the same place
    is_map: bool  # an object may have members of any name, as a map from ids has
    cost: int  # evaluations for one value
    name_cost: int  # for the name of each member
    text_cost: int  # schemas that read all of a text
    unique_cost: int  # schemas that compare all elements of a list
    height: int  # schemas inside each other
    members: dict[str | tuple[str, ...], Place | None] = field(default_factory=dict)
    elements: dict[int, Place] = field(default_factory=dict)

    def is_entry(self, name: str) -> bool:
        """Whether the member `name` is an entry of a map: no schema has this very name."""
        return self.is_map and name not in self.named


class Places:
    """The places of one schema. `faults`: where it is too costly, or does not say whether a number is an integer."""

    def __init__(self, nodes: Mapping[str, Node], matches: Matches) -> None:
        self._matches = matches
        self._nodes = nodes
        self._interned: dict[object, Place] = {}
        self._steps = 0
        self._evaluations: dict[str, int] = {}
        self._heights: dict[str, int] = {}
        self._declaring: dict[str, Counter[str]] = {}
        self._testing: dict[str, Counter[str]] = {}
        self.faults = [*self._loops(), *self._costly()]
        if self.faults:
            return
        try:
            self.nothing = self._place({}, {})
            self.root = self._place({"#": 1}, {})
            self.faults = list(self._mixed_numbers())
            self._steps = 0
        except TooMuch as much:
            self.faults = [f"#: {much}"]

    def begin(self) -> None:
        """Allow a new document as much work as any other."""
        self._steps = 0

    def member(self, place: Place, name: str) -> Place | None:
        """The place of the member `name` of an object at `place`; None if no schema declares it."""
        key: str | tuple[str, ...] = name
        if name not in place.named or name not in place.members:
            hits = tuple(pattern for pattern in place.patterns if self._matches(pattern, name))
            key = name if name in place.named else hits
            if key not in place.members:
                place.members[key] = self._member(place, name, hits)
        return place.members[key]

    def _member(self, place: Place, name: str, hits: tuple[str, ...]) -> Place | None:
        found, tests = self._inner(place.schemas, name, hits), self._inner(place.tests, name, hits)
        for weights, inner in ((place.schemas, found), (place.tests, tests)):
            if not inner:
                for pointer, count in weights.items():
                    if (other := self._nodes[pointer].unevaluated) is not None:
                        inner[other] += count
        return self._place(found, tests) if found else None

    def _inner(self, weights: Mapping[str, int], name: str, hits: tuple[str, ...]) -> Counter[str]:
        inner: Counter[str] = Counter()
        for pointer, count in weights.items():
            node = self._nodes[pointer]
            declared = [node.patterns[pattern] for pattern in hits if pattern in node.patterns]
            declared += [node.properties[name]] if name in node.properties else ()
            if node.anything:
                declared = [pointer]
            elif not declared and node.additional is not None:
                declared = [node.additional]
            for each in declared:
                inner[each] += count
        return inner

    def element(self, place: Place, index: int) -> Place:
        """The place of the element `index` of a list at `place`; without schemas if none describes it."""
        index = min(index, place.prefix)
        if index not in place.elements:
            found, tests = self._at(place.schemas, index), self._at(place.tests, index)
            for pointer, count in (*place.schemas.items(), *place.tests.items()):
                for test in self._nodes[pointer].element_tests:
                    tests[test] += count
            place.elements[index] = self._place(found, tests)
        return place.elements[index]

    def _at(self, weights: Mapping[str, int], index: int) -> Counter[str]:
        inner: Counter[str] = Counter()
        others: Counter[str] = Counter()
        for pointer, count in weights.items():
            node = self._nodes[pointer]
            if node.anything:
                inner[pointer] += count
            elif index < len(node.prefix):
                inner[node.prefix[index]] += count
            elif node.items is not None:
                inner[node.items] += count
            if node.unevaluated_items is not None:
                others[node.unevaluated_items] += count
        return inner or others

    def named_at_root(self) -> frozenset[str]:
        """The members of the document that the schema names."""
        return frozenset().union(*(self._nodes[each].names for each in self.root.schemas))

    # what a schema costs

    def _next(self, pointer: str) -> tuple[str, ...]:
        node = self._nodes[pointer]
        return (*node.same_place, *node.tests)

    def _loops(self) -> Iterator[str]:
        """The schemas that refer back to themselves and never to a value. Fills in the costs of all others."""
        for start in self._nodes:
            path: dict[str, Iterator[str]] = {}  # the schemas from `start` to here, with what is ahead of each
            following: str | None = start
            while following is not None or path:
                if following is not None and following in path:
                    yield f"{following}: refers back to itself and never to a value; break the loop"
                elif following is not None and following not in self._evaluations:
                    path[following] = iter(self._next(following))
                if not path:
                    break
                last = next(reversed(path))
                following = next(path[last], None)
                if following is None:
                    self._count(last)
                    del path[last]

    def _count(self, pointer: str) -> None:
        inner = self._next(pointer)
        total = self._nodes[pointer].cost + sum(self._evaluations.get(each, 0) for each in inner)
        self._evaluations[pointer] = min(total, _ENOUGH)
        self._heights[pointer] = 1 + max((self._heights.get(each, 0) for each in inner), default=0)

    def _costly(self) -> Iterator[str]:
        for pointer, total in self._evaluations.items():
            if self._heights[pointer] > _MOST_ABOVE:
                yield f"{pointer}: more than {_MOST_ABOVE} schemas of one value inside each other; shorten the chain"
                return
            if total > _MOST_OF_A_VALUE:
                yield f"{pointer}: one value needs more than {_MOST_OF_A_VALUE:,} evaluations of schemas; simplify it"
                return

    def _step(self, many: int) -> None:
        self._steps += many
        if self._steps > _MOST_STEPS:
            raise TooMuch("its schemas refer to each other in too many ways; simplify it")

    def _expanded(self, pointer: str) -> tuple[Counter[str], Counter[str]]:
        """A schema with all that describe the same value: those that declare, and those that only test."""
        if pointer not in self._declaring:
            node = self._nodes[pointer]
            declaring, testing = Counter({pointer: 1}), Counter[str]()
            for inner in node.same_place:
                declares, tests = self._expanded(inner)
                self._step(len(declares) + len(tests) + 1)
                declaring.update(declares)
                testing.update(tests)
            for inner in node.tests:
                for each in self._expanded(inner):
                    self._step(len(each) + 1)
                    testing.update(each)
            self._declaring[pointer], self._testing[pointer] = declaring, testing
        return self._declaring[pointer], self._testing[pointer]

    # places

    def _place(self, found: Mapping[str, int], tests: Mapping[str, int]) -> Place:
        schemas: Counter[str] = Counter()
        testing: Counter[str] = Counter()
        for pointer, count in found.items():
            declares, inner = self._expanded(pointer)
            _add(schemas, declares, count)
            _add(testing, inner, count)
        for pointer, count in tests.items():
            for each in self._expanded(pointer):
                _add(testing, each, count)
        self._step(len(schemas) + len(testing) + 1)
        key = frozenset(schemas.items()), frozenset(testing.items())
        if key not in self._interned:
            height = max((self._heights[each] for each in (*found, *tests)), default=0)
            self._interned[key] = self._made(schemas, testing, height)
        return self._interned[key]

    def _made(self, schemas: Mapping[str, int], tests: Mapping[str, int], height: int) -> Place:
        weighted = [(self._nodes[each], count) for each, count in (*schemas.items(), *tests.items())]
        declaring = [self._nodes[each] for each in schemas]
        named = frozenset().union(*(node.properties for node, _ in weighted))
        own = frozenset().union(*(node.properties for node in declaring))
        patterns = tuple(dict.fromkeys(pattern for node, _ in weighted for pattern in node.patterns))
        names = sum(
            count * (1 + 4 * len(node.patterns) + sum(self._evaluations[each] for each in node.name_tests))
            for node, count in weighted
        )
        return Place(
            schemas,
            tests,
            numbers=frozenset(kind for node in declaring for kind in node.numbers),
            named=named,
            patterns=patterns,
            prefix=max((len(node.prefix) for node, _ in weighted), default=0),
            is_map=any(self._lets_any_name(node, bool(own)) for node in declaring),
            cost=min(sum(count * node.cost for node, count in weighted), _ENOUGH),
            name_cost=min(names + 100 * len(patterns), _ENOUGH),
            text_cost=min(sum(count for node, count in weighted if node.reads_text), _ENOUGH),
            unique_cost=min(sum(count for node, count in weighted if node.unique), _ENOUGH),
            height=height,
        )

    def _lets_any_name(self, node: Node, beside_names: bool) -> bool:
        """Whether an object may have members of any name. Beside other names, `true` only lets more names be."""
        others = [other for other in (node.additional, node.unevaluated) if other is not None]
        closed = all(beside_names and self._nodes[other].anything for other in others)
        return node.anything or bool(node.patterns) or not closed

    def _mixed_numbers(self) -> Iterator[str]:
        """The places that declare both kinds of numbers. Looks at every place that the schema alone shows.

        If a name matches several patterns, only a document shows its place: its reader asks for `numbers` there.
        """
        ahead = [self.root]
        seen = {frozenset(self.root.schemas)}
        while ahead:
            place = ahead.pop()
            if len(place.numbers) > 1:
                kinds = [f"{each} says {kind}" for each in sorted(place.schemas) for kind in self._nodes[each].numbers]
                yield f"{', '.join(kinds)} for the same value; declare it either integer or number"
            for inner in self._below(place):
                plain = frozenset(inner.schemas)
                if plain not in seen:
                    seen.add(plain)
                    ahead.append(inner)
            if len(seen) > _MOST_PLACES:
                yield f"#: has more than {_MOST_PLACES} different places; simplify it"
                return

    def _below(self, place: Place) -> Iterator[Place]:
        """Every place inside, each of its schemas counted once."""
        nodes = [self._nodes[each] for each in place.schemas]
        once = replace(place, schemas=dict.fromkeys(place.schemas, 1), tests={}, members={}, elements={})
        for name in sorted({name for node in nodes for name in node.properties}):
            yield self._member(once, name, tuple(each for each in place.patterns if self._matches(each, name))) or once
        for pattern in place.patterns:
            yield self._once(node.patterns.get(pattern, node.additional) for node in nodes)
        yield self._once(node.additional for node in nodes)
        yield self._once(node.unevaluated for node in nodes)
        for index in range(place.prefix + 1):
            yield self._place(self._at(once.schemas, index), {})

    def _once(self, pointers: Iterable[str | None]) -> Place:
        return self._place({each: 1 for each in pointers if each is not None}, {})


def _add(to: Counter[str], found: Mapping[str, int], count: int) -> None:
    for pointer, times in found.items():
        to[pointer] = min(to[pointer] + times * count, _ENOUGH)
