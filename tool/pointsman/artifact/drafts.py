"""The drafts of JSON Schema: which keywords each has, and what kind each keyword is."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from enum import Enum

from msgspec import Struct


class Kind(Enum):
    """What stands in a keyword."""

    PLAIN = "a value that the validator reads"
    ONE = "a schema"
    MANY = "a list of schemas"
    NAMED = "schemas by name"
    EITHER = "a schema, or a list of schemas"
    DEPENDENCIES = "by name, a schema or a list of names"
    REFERENCE = "a reference to a schema"
    NAME = "a name of this schema"


class Draft(Struct, frozen=True):
    """One draft. Drafts are ordered by `age`."""

    name: str
    url: str
    age: int
    id_word: str = "$id"

    @property
    def reference_stands_alone(self) -> bool:
        """Whether all that stands beside a $ref is ignored."""
        return self.age <= 7


DRAFTS = (
    Draft("draft 4", "json-schema.org/draft-04/schema", 4, "id"),
    Draft("draft 6", "json-schema.org/draft-06/schema", 6),
    Draft("draft 7", "json-schema.org/draft-07/schema", 7),
    Draft("draft 2019-09", "json-schema.org/draft/2019-09/schema", 2019),
    Draft("draft 2020-12", "json-schema.org/draft/2020-12/schema", 2020),
)
LATEST = DRAFTS[-1]


class Keyword(Struct, frozen=True):
    """A keyword, the ages of the drafts that have it, and what to write in the others."""

    kind: Kind
    first: int = 4
    last: int = 2020
    instead: str = ""


_PLAIN = Keyword(Kind.PLAIN)
KEYWORDS: Mapping[str, Keyword] = {
    "$ref": Keyword(Kind.REFERENCE),
    "$recursiveRef": Keyword(Kind.REFERENCE, 2019, 2019, '"$dynamicRef"'),
    "$dynamicRef": Keyword(Kind.REFERENCE, 2020),
    "$id": Keyword(Kind.NAME, 6),
    "id": Keyword(Kind.NAME, 4, 4, '"$id"'),
    "$anchor": Keyword(Kind.NAME, 2019),
    "$dynamicAnchor": Keyword(Kind.NAME, 2020),
    "$defs": Keyword(Kind.NAMED),  # `definitions` and `$defs` are only places, so every draft may have both
    "definitions": Keyword(Kind.NAMED),
    "allOf": Keyword(Kind.MANY),
    "anyOf": Keyword(Kind.MANY),
    "oneOf": Keyword(Kind.MANY),
    "not": Keyword(Kind.ONE),
    "if": Keyword(Kind.ONE, 7),
    "then": Keyword(Kind.ONE, 7),
    "else": Keyword(Kind.ONE, 7),
    "properties": Keyword(Kind.NAMED),
    "patternProperties": Keyword(Kind.NAMED),
    "additionalProperties": Keyword(Kind.ONE),
    "unevaluatedProperties": Keyword(Kind.ONE, 2019),
    "propertyNames": Keyword(Kind.ONE, 6),
    "dependencies": Keyword(Kind.DEPENDENCIES, 4, 7, '"dependentSchemas" or "dependentRequired"'),
    "dependentSchemas": Keyword(Kind.NAMED, 2019),
    "dependentRequired": Keyword(Kind.PLAIN, 2019),
    "items": Keyword(Kind.EITHER),
    "additionalItems": Keyword(Kind.ONE, 4, 2019, '"prefixItems" and "items"'),
    "prefixItems": Keyword(Kind.MANY, 2020),
    "unevaluatedItems": Keyword(Kind.ONE, 2019),
    "contains": Keyword(Kind.ONE, 6),
    "minContains": Keyword(Kind.PLAIN, 2019),
    "maxContains": Keyword(Kind.PLAIN, 2019),
    "const": Keyword(Kind.PLAIN, 6),
    "format": _PLAIN,
    **dict.fromkeys(("type", "enum", "required", "pattern", "uniqueItems", "multipleOf"), _PLAIN),
    **dict.fromkeys(("minProperties", "maxProperties", "minItems", "maxItems", "minLength", "maxLength"), _PLAIN),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _PLAIN),
}
_PLAIN_NAMES = {word.casefold().strip("$"): word for word, keyword in KEYWORDS.items() if keyword.kind is not Kind.NAME}


def draft_of(schema: Mapping[str, object]) -> Draft | None:
    """The draft that a schema names in `$schema`, the latest if it names none; None if it is not known."""
    named = schema.get("$schema", f"https://{LATEST.url}")
    if not isinstance(named, str):
        return None
    url = named.partition("://")[2].removesuffix("#").rstrip("/")
    if named.partition("://")[0] not in ("http", "https"):
        return None
    return next((draft for draft in DRAFTS if draft.url == url), LATEST if url == "json-schema.org/schema" else None)


def objection(word: str, draft: Draft) -> str | None:
    """Why a schema of `draft` may not have the keyword `word`; None for keywords of the draft, and for notes.

    A word that no draft has is a note, such as `x-order` or `markdownDescription`: validators ignore it, and so does
    this one. But it is refused if it is nearly a keyword, because then somebody believes that it has an effect.
    """
    keyword = KEYWORDS.get(word)
    if keyword is not None:
        if keyword.first <= draft.age <= keyword.last or (word == "id" and draft.age != 4) or word == "$id":
            return None
        if draft.age < keyword.first:
            first = next(each.name for each in DRAFTS if each.age == keyword.first)
            return f'{draft.name} ignores it; name {first} or a later one in "$schema"'
        return f"{draft.name} ignores it; write {keyword.instead}"
    plain = word.casefold().replace("_", "").replace("-", "").strip("$")
    meant = difflib.get_close_matches(plain, _PLAIN_NAMES, n=1, cutoff=0.87)
    if meant and not word.casefold().startswith("x-"):
        return f'no draft has it; write "{_PLAIN_NAMES[meant[0]]}", or "x-{word}" if it is a note'
    return None
