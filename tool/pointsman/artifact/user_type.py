"""A user's own artifact type, declared by a JSON Schema of the whole artifact document.

The schema says what is valid and which numbers are integers. The canonical form decides everything else, so rewording
or reordering a schema changes no version.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from pointsman.artifact import schema_reading
from pointsman.artifact.drafts import DRAFTS, LATEST, Draft, draft_of
from pointsman.artifact.exact import ENVELOPE, Refusal, double, integer, kind, spelled, unknown_member
from pointsman.artifact.own_content import Own, every_id, own_content, own_summary
from pointsman.artifact.schema_places import MOST_INSIDE, MOST_WORK, Place, Places, TooMuch
from pointsman.errors import Fault
from pointsman.patterns import pattern
from pointsman.state import strict_json
from pointsman.state.names import BUILT_IN_TYPES, is_name
from pointsman.state.strict_json import MAX_DEPTH, TOO_DEEP, Trail, place, shown

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError, Validator

_MASK = "\ufffc"  # replaces the value in the validator's message, which would quote all of it
MOST_BYTES = 4_000_000  # of a schema
_PATTERN_BYTES = 1_000_000  # of one regular expression when it is compiled
_MOST_PATTERNS = 100_000  # characters of all regular expressions of a schema
_MOST_TOLD = 1000  # faults by the schema of the draft
_MOST_FAULTS = 20  # of one schema in a message
_LOOKS_AROUND = pattern(r"\(\?<?[=!]|\\[1-9]|\\k<")
_VALIDATORS = {
    4: "Draft4Validator",
    6: "Draft6Validator",
    7: "Draft7Validator",
    2019: "Draft201909Validator",
    2020: "Draft202012Validator",
}


class UserType(Struct, frozen=True, eq=False):
    """One type that a schema declares. `load` makes it."""

    name: str
    _places: Places
    _validator: Validator

    def body(self, tree: Mapping[str, object], path: str) -> Mapping[str, object] | Fault:
        """The type's own members of the document `tree`, sorted and ready to be encoded; a fault if they are not valid.

        The caller has read the members that all artifacts have. They are validated here if the schema names them.
        """
        walk = _Walk(self._places)
        try:
            own = {name: value for name, value in tree.items() if name not in ENVELOPE}
            members = walk.members((), own, self._places.root)
        except Refusal as refusal:
            return refusal.fault(path)
        except TooMuch as much:
            return Fault(path, "schema", f"$: {much}")
        named = {name: tree[name] for name in self._places.named_at_root().intersection(ENVELOPE, tree)}
        fault = self._invalid({**named, **members}, path)
        return fault or {name: _spelled(value) if walk.doubles else value for name, value in members.items()}

    def faults(self, tree: Mapping[str, object], most: int) -> Iterator[Refusal]:
        """What is wrong with the type's own members, by both readers, `most` of each at most."""
        walk = _Walk(self._places, most)
        own = {name: value for name, value in tree.items() if name not in ENVELOPE}
        with contextlib.suppress(Refusal, TooMuch):
            walk.members((), own, self._places.root)
        yield from walk.every
        named = {name: tree[name] for name in self._places.named_at_root().intersection(ENVELOPE, tree)}
        told = {place(refusal.trail) for refusal in walk.every}
        for error in islice(self._validator.iter_errors({**named, **own}), most):
            unknown = error.schema_path[-1:] in (["additionalProperties"], ["unevaluatedProperties"])
            if not unknown and place(_trail(error)) not in told - {"$"}:  # the walk has told it
                yield Refusal(_trail(error), _explain(error).partition(": ")[2])

    def summary(self, members: Mapping[str, object]) -> dict[str, int]:
        """The sizes of the lists and maps of a body that was read."""
        return own_summary(members, self._places)

    def content(self, document: Mapping[str, object]) -> Own:
        """What is in a valid document."""
        own = {name: value for name, value in document.items() if name not in ENVELOPE}
        return own_content(self.name, own, self._places)

    def every_id(self, document: Mapping[str, object]) -> Iterator[str]:
        """Every id in a document, as often as it is there. TooMuch if it has more places than are told apart."""
        self._places.begin()
        return every_id({name: value for name, value in document.items() if name not in ENVELOPE}, self._places)

    def _invalid(self, document: Mapping[str, object], path: str) -> Fault | None:
        from jsonschema_rs import ValidationError

        try:
            self._validator.validate(document)
        except ValidationError as error:
            return Fault(path, "schema", _explain(error))
        return None


def load(type_name: str, schema_bytes: bytes, path: str) -> UserType | Fault:
    """The type that the JSON Schema in `schema_bytes` declares, or a `schema` or `bad-json` fault with all its faults.

    Every number must be declared `integer` or `number`, never both.
    """
    if not is_name(type_name) or type_name.casefold() in BUILT_IN_TYPES:
        return Fault(path, "schema", f"{shown(type_name)} cannot name a user's type; choose another name")
    if len(schema_bytes) > MOST_BYTES:
        return Fault(path, "schema", f"$: {len(schema_bytes):,} bytes, the limit is {MOST_BYTES:,}; make it smaller")
    schema = strict_json.read_schema(schema_bytes, path)
    if isinstance(schema, Fault):
        return schema
    if not isinstance(schema, dict):
        return Fault(path, "schema", f"$: is {kind(schema)}; a type's schema is an object")
    draft = draft_of(schema)
    if draft is None:
        known = ", ".join(each.name.removeprefix("draft ") for each in DRAFTS)
        says = f"$: the dialect {shown(schema['$schema'])} is not known; name one of the drafts {known}"
        return Fault(path, "schema", f"{says}, such as {shown(f'https://{LATEST.url}')}")
    return _load(type_name, schema, draft, path)


def _load(type_name: str, schema: dict[str, object], draft: Draft, path: str) -> UserType | Fault:
    import jsonschema_rs

    matches = _Matcher()
    reading = schema_reading.read(schema, draft, matches.objection)
    faults = (
        reading.faults
        if reading.is_too_large
        else [*_against_the_draft(schema, draft, reading.faults), *reading.faults]
    )
    if not faults:
        places = Places(reading.nodes, matches)
        faults = places.faults
    if not faults:
        try:
            validator = getattr(jsonschema_rs, _VALIDATORS[draft.age])(
                reading.copy,
                mask=_MASK,
                validate_formats=False,
                pattern_options=jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES),
                offline=True,
            )
            return UserType(type_name, places, validator)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
            faults = [f"not a JSON Schema: {str(error)[:200]}"]
    return Fault(path, "schema", _all(faults))


def _all(faults: Sequence[str]) -> str:
    """All faults of a schema in one sentence; of very many, the first ones."""
    each = list(dict.fromkeys(faults))
    if len(each) == 1:
        return each[0]
    more = f"; and {len(each) - _MOST_FAULTS} more" if len(each) > _MOST_FAULTS else ""
    return f"{len(each)} faults: " + "; ".join(f"({n}) {says}" for n, says in enumerate(each[:_MOST_FAULTS], 1)) + more


def _against_the_draft(schema: dict[str, object], draft: Draft, known: Sequence[str]) -> Iterator[str]:
    """What is wrong with a schema by the schema of its draft, without what `known` says better."""
    for error in islice(_validator_of(draft).iter_errors(schema), _MOST_TOLD):
        if not any(says.startswith(f"{_pointer(error.instance_path[:-1])}: a list in") for says in known):
            yield f"not a JSON Schema: {_explain(error)}"


@functools.cache
def _validator_of(draft: Draft) -> Validator:
    """The validator of schemas of a draft."""
    import jsonschema_rs

    url = f"http{'s' if draft.age > 7 else ''}://{draft.url}{'#' if draft.age <= 7 else ''}"
    validator: Validator = getattr(jsonschema_rs, _VALIDATORS[draft.age])({"$ref": url}, mask=_MASK, offline=True)
    return validator


def _pointer(trail: Sequence[str | int]) -> str:
    return "/".join(("#", *(str(step).replace("~", "~0").replace("/", "~1") for step in trail)))


class _Walk:
    """One pass over a body: refuses undeclared members, sorts members, decides whether each number is an integer.

    It counts what the validator will have to do, and refuses a document that needs too much.
    """

    def __init__(self, places: Places, most: int = 0) -> None:
        places.begin()
        self.every: list[Refusal] = []
        self._most = most  # so many refusals are kept in `every` before one is raised
        self.doubles = False
        self._places = places
        self._depth = 0
        self._inside = 0  # schemas inside each other
        self._work = 0  # evaluations
        self._values = 0

    def members(self, trail: Trail, value: dict[str, Any], at: Place) -> dict[str, object]:
        result = {}
        self._spend(trail, at.cost + at.name_cost * len(value))
        self._inside += at.height
        if self._inside > MOST_INSIDE:
            raise Refusal(trail, f"needs more than {MOST_INSIDE:,} schemas inside each other; simplify the schema")
        for name in sorted(value):  # by code points, the same order as by UTF-8 bytes
            inside = self._places.member(at, name)
            if inside is None:
                self._refuse(unknown_member(trail, name, ()))
                continue
            result[name] = self._value((trail, name), value[name], inside)
        self._inside -= at.height
        return result

    def _value(self, trail: Trail, value: Any, at: Place) -> object:
        self._values += 1
        if isinstance(value, str):
            self._spend(trail, at.cost + at.text_cost * len(value) // 16)
            return value
        if isinstance(value, dict | list):
            self._depth += 1
            if self._depth >= MAX_DEPTH:
                raise Refusal(trail, TOO_DEEP, "bad-json")
            settled = self.members(trail, value, at) if isinstance(value, dict) else self._elements(trail, value, at)
            self._depth -= 1
            return settled
        self._spend(trail, at.cost)
        if value is None or isinstance(value, bool):
            return value
        try:
            return self._number(trail, value, at)
        except Refusal as refusal:
            self._refuse(refusal)
            return None

    def _elements(self, trail: Trail, value: list[object], at: Place) -> list[object]:
        before = self._values
        self._spend(trail, at.cost)
        self._inside += at.height
        if self._inside > MOST_INSIDE:
            raise Refusal(trail, f"needs more than {MOST_INSIDE:,} schemas inside each other; simplify the schema")
        settled = [
            self._value((trail, index), element, self._places.element(at, index)) for index, element in enumerate(value)
        ]
        self._inside -= at.height
        self._spend(trail, at.unique_cost * 200 * (self._values - before))
        return settled

    def _refuse(self, refusal: Refusal) -> None:
        if len(self.every) >= self._most:
            raise refusal
        self.every.append(refusal)

    def _spend(self, trail: Trail, many: int) -> None:
        self._work += many
        if self._work > MOST_WORK:
            raise Refusal(
                trail, f"needs more than {MOST_WORK:,} evaluations of schemas up to here; simplify the schema"
            )

    def _number(self, trail: Trail, value: int | float, at: Place) -> int | float:
        if at.numbers == {"integer"}:
            return integer(trail, value)
        if at.numbers == {"number"}:
            self.doubles = True
            return double(trail, value)
        if at.numbers:
            raise Refusal(trail, "the schema declares it both integer and number; fix the schema")
        raise Refusal(trail, f"is {kind(value)}, but the schema declares no number here; declare it or remove it")


def _spelled(value: object) -> object:
    if isinstance(value, float):
        return spelled(value)
    if isinstance(value, dict):
        return {name: _spelled(each) for name, each in value.items()}
    return [_spelled(each) for each in value] if isinstance(value, list) else value


class _Matcher:
    """Matches names as the validator of documents does, so that both read a pattern in the same way."""

    def __init__(self) -> None:
        self._validators: dict[str, Validator] = {}
        self._characters = 0

    def __call__(self, pattern: str, name: str) -> bool:
        return self._validators[pattern].is_valid(name)

    def objection(self, pattern: str) -> str | None:
        """Why a pattern cannot be used."""
        from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

        if pattern in self._validators:
            return None
        self._characters += len(pattern)
        if self._characters > _MOST_PATTERNS:
            return f"more than {_MOST_PATTERNS:,} characters of regular expressions in one schema; shorten them"
        try:
            rule = {"type": "string", "pattern": pattern}
            options = RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES)
            self._validators[pattern] = Draft202012Validator(rule, pattern_options=options, offline=True)
        except (ValueError, ValidationError):
            if _LOOKS_AROUND.search(pattern):
                says = "looks ahead, behind or back, which can take for ever; write it without"
                return f"the regular expression {shown(pattern)} {says}"
            return f"{shown(pattern)} is not a regular expression, or too large a one; fix it"
        return None


def _trail(error: ValidationError) -> Trail:
    trail: Trail = ()
    for step in error.instance_path:
        trail = trail, step
    return trail


def _explain(error: ValidationError) -> str:
    trail = _trail(error)
    found = error.instance
    value = "the value" if isinstance(found, dict | list) else shown(found)
    rule = "/".join(map(str, error.schema_path))
    return f"{place(trail)}: {error.message[:200].replace(_MASK, value, 1)} (#/{rule}); fix it or the schema"
