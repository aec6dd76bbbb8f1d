"""Decoders of structs, each made once, by one thread at a time.

What msgspec knows of a struct it gathers when the first decoder of it is made, and others see that before it is whole:
where two threads make decoders at the same moment, Python may crash.
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import msgspec

_Kind = TypeVar("_Kind")
_making = threading.Lock()
_made: dict[type, msgspec.json.Decoder[Any]] = {}


def decoder(kind: type[_Kind]) -> msgspec.json.Decoder[_Kind]:
    """The decoder of JSON of this type."""
    with _making:
        if kind not in _made:
            _made[kind] = msgspec.json.Decoder(kind)
        return _made[kind]
