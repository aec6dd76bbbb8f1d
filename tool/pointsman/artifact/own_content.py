"""What is in an artifact of a user's own type: the size of each list and map, their ids, and the single values.

The schema says what an object is: a map (it may have members of any name, such as users) or a structure (its members
have names of their own). Each place has a name: `users`, `model.dim`, and `users.*` for what is inside of each user.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set

from msgspec import Struct, field

from pointsman.artifact.schema_places import Place, Places

_ID_NAMES = ("item_id", "user_id", "id")  # the member that is an object's id
_DEEPEST = 3  # structures inside each other in which lists, maps and values are looked for
_MOST_COUNTS = 100  # of a summary, which stands in a record
ENTRIES = "entries"  # the name of a document that is a map itself


class Own(Struct, frozen=True):
    """The content of one artifact. Every mapping is by the name of a place."""

    type: str
    sizes: Mapping[str, int]  # the elements of each list, the members of each map
    ids: Mapping[str, Set[str]] = field(default_factory=dict)  # no place without ids
    values: Mapping[str, object] = field(default_factory=dict)  # texts, numbers, booleans and nulls outside of lists

    @property
    def is_empty(self) -> bool:
        """Whether it has lists or maps, and nothing in any of them."""
        return bool(self.sizes) and not any(self.sizes.values())


def own_content(artifact_type: str, members: Mapping[str, object], places: Places) -> Own:
    """What is in the body `members`, which has been found valid."""
    walk = _Walk(places)
    walk.body(members)
    return Own(artifact_type, walk.sizes, {name: ids for name, ids in walk.ids.items() if ids}, walk.values)


def own_summary(members: Mapping[str, object], places: Places) -> dict[str, int]:
    """The sizes of the lists and maps in a valid body, as a record tells them. Reads nothing inside of these."""
    walk = _Walk(places, inside=False)
    walk.body(members)
    return dict(sorted(walk.sizes.items())[:_MOST_COUNTS])


def every_id(members: Mapping[str, object], places: Places) -> Iterator[str]:
    """Every id in a body: entries of maps, texts in lists, and members that are called as ids are.

    Unlike in `own_content`, no place is left out because others of its list have no id, or because it is deep, and an
    id may be a whole number.
    """
    left: list[tuple[object, Place]] = [(members, places.root)]
    while left:
        value, at = left.pop()
        if isinstance(value, dict):
            for name, inner in value.items():
                if at.is_entry(name):
                    yield name
                elif name in _ID_NAMES and isinstance(inner, str | int):
                    yield str(inner)
                left.append((inner, places.member(at, name) or places.nothing))
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                if isinstance(inner, str):
                    yield inner
                elif isinstance(inner, dict | list):
                    left.append((inner, places.element(at, index)))


class _Walk:
    def __init__(self, places: Places, *, inside: bool = True) -> None:
        self.sizes: dict[str, int] = {}
        self.ids: dict[str, set[str]] = {}
        self.values: dict[str, object] = {}
        self._places = places
        self._looks_inside = inside

    def body(self, members: Mapping[str, object]) -> None:
        root = self._places.root
        if root.is_map:
            name = "$" if ENTRIES in self._places.named_at_root() else ENTRIES
            self._map(name, self._entries(members, root), root)
        self._structure("", members, root, 0)

    def _value(self, name: str, value: object, at: Place, depth: int) -> None:
        """A value outside of lists and maps. `depth`: how many structures it is in."""
        if isinstance(value, list):
            self.sizes[name] = len(value)
            self._list(name, value, at)
        elif isinstance(value, dict):
            if at.is_map:
                self._map(name, self._entries(value, at), at)
            self._structure(name, value, at, depth)
        else:
            self.values[name] = value

    def _structure(self, name: str, value: Mapping[str, object], at: Place, depth: int) -> None:
        for each, inner in value.items() if depth < _DEEPEST else ():
            if not at.is_entry(each):
                self._value(_step(name, each), inner, self._place(at, each), depth + 1)

    def _map(self, name: str, entries: Mapping[str, object], at: Place) -> None:
        self.sizes[name] = len(entries)
        if self._looks_inside:
            self.ids.setdefault(name, set()).update(entries)
            for each, inner in entries.items():
                self._inside(f"{name}.*", inner, self._place(at, each))

    def _list(self, name: str, elements: Sequence[object], at: Place) -> None:
        if not self._looks_inside:
            return
        self.ids.setdefault(name, set()).update(_ids(elements))
        inside = f"{name}.*"
        for index, inner in enumerate(elements):
            if isinstance(inner, dict | list):
                self._inside(inside, inner, self._places.element(at, index))

    def _inside(self, name: str, value: object, at: Place) -> None:
        """A value inside of a list or a map: only its ids count, together with those of its neighbours."""
        if isinstance(value, list):
            self._list(name, value, at)
        elif isinstance(value, dict):
            for each, inner in value.items():
                is_entry = at.is_entry(each)
                if is_entry:
                    self.ids.setdefault(name, set()).add(each)
                if isinstance(inner, dict | list):
                    self._inside(f"{name}.*" if is_entry else _step(name, each), inner, self._place(at, each))

    def _entries(self, value: Mapping[str, object], at: Place) -> dict[str, object]:
        return {each: inner for each, inner in value.items() if at.is_entry(each)}

    def _place(self, at: Place, member: str) -> Place:
        return self._places.member(at, member) or self._places.nothing


def _step(name: str, member: str) -> str:
    shown = json.dumps(member) if not member or set(member) & set('.*"[]$') else member
    return f"{name}.{shown}" if name else shown


def _ids(elements: Sequence[object]) -> list[str]:
    """The ids of a list's elements: strings themselves, or one member of objects. Empty unless all have one."""
    if all(isinstance(element, str) for element in elements):
        return [str(element) for element in elements]
    for name in _ID_NAMES:
        if all(isinstance(element, dict) and isinstance(element.get(name), str) for element in elements):
            return [str(element[name]) for element in elements if isinstance(element, dict)]
    return []
