"""Values made of their documents: the opposite of `as_document`, for tests that change a document first."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from msgspec.inspect import is_struct_type

from pointsman.outcome import members


def value_of(kind: Any, document: Any) -> Any:
    """The value of a type that has this document."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return value_of(parts[0], document)
    if origin in (Union, types.UnionType):
        return value_of(_fitting(parts, document), document)
    if is_struct_type(kind):
        hints = get_type_hints(kind, include_extras=True)
        there = {name: document.get(name.removesuffix("_")) for name in members(kind)}
        return kind(**{name: value_of(hints[name], inner) for name, inner in there.items()})
    if origin is Mapping:
        return {key: value_of(parts[1], inner) for key, inner in document.items()}
    if origin is tuple:
        return tuple(map(value_of, parts, document))
    if origin is Sequence:
        return [value_of(parts[0], inner) for inner in document]
    return document


def _fitting(parts: Sequence[Any], document: Any) -> Any:
    """The part of a union that a document is of."""
    for part in parts:
        bare = get_args(part)[0] if get_origin(part) is Annotated else part
        if isinstance(document, dict) and (is_struct_type(bare) or get_origin(bare) is Mapping):
            return part
        if isinstance(document, list) and get_origin(bare) in (tuple, Sequence):
            return part
    return type(document)
