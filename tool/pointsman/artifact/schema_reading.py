"""Reads a JSON Schema of any draft: its schemas by their JSON pointers, a copy for the validator, and all its faults.

The copy has no ids and no notes, and every reference in it is a pointer into the file. So no validator ever asks for
another file, and a schema means the same whatever it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote, urldefrag, urljoin

from msgspec import Struct, field
from msgspec.structs import replace

from pointsman.artifact.drafts import KEYWORDS, Draft, Kind, objection
from pointsman.state.strict_json import shown

_NO_SCHEMAS = ("enum", "const", "default", "examples", "example")  # values: a reference into them is a mistake
_TEXT = frozenset(("pattern", "minLength", "maxLength"))
_MOST_SCHEMAS = 20_000  # of one file
_Copy = dict[str, Any]


class Node(Struct, frozen=True):
    """One schema of a file. Schemas inside it are given by their JSON pointers."""

    anything: bool = False  # it is `true`
    numbers: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    same_place: tuple[str, ...] = ()  # schemas of the same value, which may declare what is in it
    tests: tuple[str, ...] = ()  # schemas of the same value that only test it: `not` and `if`
    properties: Mapping[str, str] = field(default_factory=dict)
    patterns: Mapping[str, str] = field(default_factory=dict)
    additional: str | None = None
    unevaluated: str | None = None  # of members that no other schema declares
    prefix: tuple[str, ...] = ()
    items: str | None = None
    unevaluated_items: str | None = None
    element_tests: tuple[str, ...] = ()  # `contains`
    name_tests: tuple[str, ...] = ()  # `propertyNames`
    cost: int = 1  # of one evaluation; more where a value is compared with many others one by one
    reads_text: bool = False
    unique: bool = False


class Reading(Struct):
    """What was read of a file."""

    nodes: dict[str, Node] = field(default_factory=dict)
    copy: Any = None
    faults: list[str] = field(default_factory=list)
    is_too_large: bool = False  # nothing else was looked for


class _TooLarge(Exception):
    """The file has more schemas than are read."""


def read(document: Mapping[str, object], draft: Draft, wrong_pattern: Callable[[str], str | None]) -> Reading:
    """The schemas of a file. `wrong_pattern` says why a regular expression cannot be used."""
    walk = _Walk(document, draft, wrong_pattern)
    try:
        walk.read()
    except _TooLarge:
        return Reading(faults=[f"#: has more than {_MOST_SCHEMAS:,} schemas; simplify it"], is_too_large=True)
    return Reading(walk.nodes, walk.copy, walk.faults)


class _Reference(Struct):
    """A reference that is looked up when the whole file has been read."""

    holder: str
    keyword: str
    base: str
    text: str
    copy: _Copy


class _Walk:
    def __init__(
        self, document: Mapping[str, object], draft: Draft, wrong_pattern: Callable[[str], str | None]
    ) -> None:
        self.nodes: dict[str, Node] = {}
        self.copy: Any = {}
        self.faults: list[str] = []
        self._document = document
        self._draft = draft
        self._wrong_pattern = wrong_pattern
        self._resources: dict[str, str] = {"": "#"}  # absolute id → pointer
        self._anchors: dict[tuple[str, str], str] = {}
        self._references: list[_Reference] = []
        self._targets: dict[str, list[str]] = {}  # pointer of a schema → what its references point to

    def read(self) -> None:
        self.copy = self._schema("#", self._document, "")
        while self._references:
            self._follow(self._references.pop())
        for pointer, targets in self._targets.items():
            node = self.nodes[pointer]
            self.nodes[pointer] = replace(node, same_place=(*node.same_place, *targets))

    def _schema(self, pointer: str, schema: object, base: str) -> Any:
        """Read one schema and those inside it; return its copy for the validator."""
        if len(self.nodes) >= _MOST_SCHEMAS:
            raise _TooLarge
        if not isinstance(schema, dict):
            self.nodes[pointer] = Node(anything=schema is True)
            return schema
        alone = self._draft.reference_stands_alone and "$ref" in schema
        base = self._name(pointer, schema, base) if not alone or pointer == "#" else base
        copy: _Copy = {}
        found: dict[str, Any] = {}
        self.nodes[pointer] = Node()
        for word, value in schema.items():
            if alone and word not in ("$ref", "definitions", "$defs"):
                continue
            why = objection(word, self._draft)
            if why is not None:
                self.faults.append(f"{pointer}: the keyword {shown(word)}: {why}")
            elif (keyword := KEYWORDS.get(word)) is not None and keyword.kind is not Kind.NAME:
                self._keyword(pointer, word, value, base, copy, found)
        self.nodes[pointer] = _node(schema if not alone else {}, found)
        return copy

    def _keyword(self, pointer: str, word: str, value: object, base: str, copy: _Copy, found: dict[str, Any]) -> None:
        kind = KEYWORDS[word].kind
        if kind is Kind.REFERENCE:
            if isinstance(value, str):
                self._references.append(_Reference(pointer, word, base, value, copy))
        elif kind is Kind.PLAIN:
            copy[word] = value
            if word == "pattern" and isinstance(value, str):
                self._pattern(pointer, value)
        elif isinstance(value, list) and kind in (Kind.MANY, Kind.EITHER):
            if word == "items" and self._draft.age > 2019:
                says = 'a list in "items" is of earlier drafts; write "prefixItems", or name their draft in "$schema"'
                self.faults.append(f"{pointer}: {says}")
            each = [self._inside(pointer, inner, base, word, str(index)) for index, inner in enumerate(value)]
            found[word], copy[word] = tuple(name for name, _ in each), [made for _, made in each]
        elif kind is Kind.NAMED and isinstance(value, dict):
            named = {name: self._inside(pointer, inner, base, word, name) for name, inner in value.items()}
            found[word] = {name: inner for name, (inner, _) in named.items()}
            copy[word] = {name: made for name, (_, made) in named.items()}
            for name in value if word == "patternProperties" else ():
                self._pattern(pointer, name)
        elif kind is Kind.DEPENDENCIES and isinstance(value, dict):
            schemas = {name: each for name, each in value.items() if not isinstance(each, list)}
            named = {name: self._inside(pointer, inner, base, word, name) for name, inner in schemas.items()}
            found[word] = {name: inner for name, (inner, _) in named.items()}
            copy[word] = {name: named[name][1] if name in named else each for name, each in value.items()}
        elif kind in (Kind.ONE, Kind.EITHER) and isinstance(value, dict | bool):
            found[word], copy[word] = self._inside(pointer, value, base, word)

    def _inside(self, pointer: str, schema: object, base: str, *steps: str) -> tuple[str, Any]:
        inner = "/".join((pointer, *map(_escaped, steps)))
        return inner, self._schema(inner, schema, base)

    def _pattern(self, pointer: str, pattern: str) -> None:
        if (why := self._wrong_pattern(pattern)) is not None:
            self.faults.append(f"{pointer}: {why}")

    def _name(self, pointer: str, schema: Mapping[str, object], base: str) -> str:
        """Keep the names that others may call a schema by; return the base of the references in it."""
        name = schema.get(self._draft.id_word)
        if isinstance(name, str) and name:
            if name.startswith("#"):
                self._anchors[base, name[1:]] = pointer
            else:
                base = urldefrag(_joined(base, name))[0]
                self._resources.setdefault(base, pointer)
        for word in ("$anchor", "$dynamicAnchor"):
            anchor = schema.get(word)
            if isinstance(anchor, str):
                self._anchors[base, anchor] = pointer
        return base

    def _follow(self, reference: _Reference) -> None:
        target = self._target(reference)
        if target is None:
            where = f"{reference.holder}/{reference.keyword}"
            says = "is not in this file; copy that schema into it, and write a pointer such as #/$defs/row"
            self.faults.append(f"{where}: {shown(reference.text)} {says}")
            return
        if target not in self.nodes and not self._read_late(target):
            where = f"{reference.holder}/{reference.keyword}"
            self.faults.append(f"{where}: {shown(reference.text)} points to no schema of this file; fix the pointer")
            return
        if reference.keyword != "$ref" and len(self._resources) > 2:
            where = f"{reference.holder}/{reference.keyword}"
            self.faults.append(f"{where}: means different schemas where a file has several $id; write $ref")
        self._targets.setdefault(reference.holder, []).append(target)
        pointer = "#" + quote(target[1:], safe="/~!$&'()*+,;=:@")
        if "$ref" in reference.copy:
            reference.copy.setdefault("allOf", []).append({"$ref": pointer})
        else:
            reference.copy["$ref"] = pointer

    def _target(self, reference: _Reference) -> str | None:
        """The pointer that a reference means; None if it is in another file."""
        base, text = reference.base, reference.text
        url, fragment = (base, text[1:]) if text.startswith("#") else urldefrag(_joined(base, text))
        root = self._resources.get(url)
        if root is None:
            return None
        fragment = unquote(fragment)
        if fragment and not fragment.startswith("/"):
            return self._anchors.get((url, fragment), f"#{fragment}")
        return root + fragment

    def _read_late(self, target: str) -> bool:
        """Read a schema that stands in no place for schemas, but is referred to."""
        value: Any = self._document
        copy: Any = self.copy
        steps = [step.replace("~1", "/").replace("~0", "~") for step in target.split("/")[1:]]
        if not target.startswith("#/") or set(steps) & set(_NO_SCHEMAS) or self._is_container(target):
            return False
        for place, step in enumerate(steps):
            if isinstance(value, list):
                value = value[int(step)] if step.isdigit() and int(step) < len(value) else None
            else:
                value = value.get(step) if isinstance(value, dict) else None
            if place == len(steps) - 1:
                break
            if isinstance(copy, list):
                copy = copy[int(step)] if step.isdigit() and int(step) < len(copy) else None
            elif isinstance(copy, dict):
                copy = copy.setdefault(step, {})
        if not isinstance(value, dict | bool) or not isinstance(copy, dict):
            return False
        copy[steps[-1]] = self._schema(target, value, "")
        return True

    def _is_container(self, target: str) -> bool:
        """Whether this is no schema but the schemas in a keyword, such as #/$defs."""
        holder, _, word = target.rpartition("/")
        return holder in self.nodes and word in KEYWORDS and KEYWORDS[word].kind in (Kind.NAMED, Kind.DEPENDENCIES)


def _joined(base: str, text: str) -> str:
    try:
        return urljoin(base, text)
    except ValueError:  # no URL at all
        return text


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


def _node(schema: Mapping[str, Any], found: Mapping[str, Any]) -> Node:
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else ()
    properties: Mapping[str, str] = found.get("properties", {})
    items = found.get("items")
    listed = isinstance(items, tuple)
    dependent = {**found.get("dependencies", {}), **found.get("dependentSchemas", {})}
    return Node(
        numbers=tuple(kind for kind in ("integer", "number") if kind in kinds),
        names=frozenset(_names(schema)).union(properties, dependent),
        same_place=(
            *found.get("allOf", ()),
            *found.get("anyOf", ()),
            *found.get("oneOf", ()),
            *(found[word] for word in ("then", "else") if word in found),
            *dependent.values(),
        ),
        tests=tuple(found[word] for word in ("not", "if") if word in found),
        properties=properties,
        patterns=found.get("patternProperties", {}),
        additional=_open(schema, found, "additionalProperties"),
        unevaluated=_open(schema, found, "unevaluatedProperties"),
        prefix=items if isinstance(items, tuple) else found.get("prefixItems", ()),
        items=found.get("additionalItems") if listed else items,
        unevaluated_items=found.get("unevaluatedItems"),
        element_tests=tuple(found[word] for word in ("contains",) if word in found),
        name_tests=tuple(found[word] for word in ("propertyNames",) if word in found),
        cost=1 + _comparisons(schema.get("enum")),
        reads_text=not _TEXT.isdisjoint(schema),
        unique=schema.get("uniqueItems") is True,
    )


def _comparisons(values: object) -> int:
    """How many values of an enum are compared one by one: lists and objects. The others are looked up."""
    return 20 * sum(isinstance(each, dict | list) for each in values) if isinstance(values, list) else 0


def _open(schema: Mapping[str, Any], found: Mapping[str, Any], word: str) -> str | None:
    """The schema of other members; `false` allows none, as if nothing were said."""
    pointer: str | None = found.get(word) if schema.get(word) is not False else None
    return pointer


def _names(schema: Mapping[str, Any]) -> Iterator[str]:
    """The members of the document that a schema names beside `properties`."""
    lists = [schema.get("required")]
    for word in ("dependentRequired", "dependencies"):
        dependent = schema.get(word)
        if isinstance(dependent, dict):
            yield from dependent
            lists += dependent.values()
    for names in lists:
        yield from (name for name in names if isinstance(name, str)) if isinstance(names, list) else ()
