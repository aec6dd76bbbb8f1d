"""Frozen dataclasses that cost next to nothing to declare, for the values that commands return.

To the type checker they are dataclasses. At run time their methods are written once, not compiled for each class: a
command declares up to twenty of them, which would take it 10 ms of its start.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import MISSING, Field
from inspect import get_annotations
from typing import TYPE_CHECKING, Any

__all__ = ["members", "replace", "struct"]

if TYPE_CHECKING:
    from dataclasses import dataclass as struct
    from dataclasses import replace
else:

    def struct(*, frozen, kw_only=False):
        """Make a class a struct; both arguments are for the type checker."""
        return _made

    def replace(one, **changes):
        """The same value, or dataclass, with other members."""
        if not hasattr(one, "_members"):
            return dataclasses.replace(one, **changes)
        return type(one)(**{**one.__dict__, **changes})


def members(kind: type) -> Mapping[str, Any]:
    """The members of a struct, in their order, each with its default, or MISSING where it has none."""
    found: Mapping[str, Any] = kind.__dict__["_members"]
    return found


def _made(kind: Any) -> Any:
    own = {name: kind.__dict__.get(name, MISSING) for name in get_annotations(kind)}
    own = {name: each.default if isinstance(each, Field) else each for name, each in own.items()}
    kind._members = {**getattr(kind, "_members", {}), **own}
    kind.__init__, kind.__setattr__, kind.__delattr__ = _begin, _refuse, _refuse
    kind.__eq__, kind.__hash__, kind.__repr__ = _equals, _hash, _shown
    return kind


def _begin(self: Any, *args: Any, **named: Any) -> None:
    defaults = members(type(self))
    given = dict(zip(defaults, args, strict=False))
    if len(given) < len(args) or given.keys() & named.keys() or named.keys() - defaults.keys():
        raise TypeError(f"{type(self).__name__} has {', '.join(defaults)}: given are {args}, {named}")
    found = {**defaults, **given, **named}
    if lacking := [name for name, each in found.items() if each is MISSING]:
        raise TypeError(f"{type(self).__name__} needs {', '.join(lacking)}")
    self.__dict__.update(found)


def _refuse(self: Any, name: str, *_: Any) -> None:
    raise AttributeError(f"{type(self).__name__}.{name} cannot be changed: make another one with replace")


def _equals(self: Any, other: object) -> bool:
    return type(self) is type(other) and self.__dict__ == other.__dict__


def _hash(self: Any) -> int:
    return hash(tuple(self.__dict__.values()))


def _shown(self: Any) -> str:
    return f"{type(self).__name__}({', '.join(f'{name}={each!r}' for name, each in self.__dict__.items())})"
