"""One line of recsys-service's log, as it comes from outside: any bytes at all.

The service writes JSON with `level`, `ts`, `msg` and the fields of the message (zap's production form):

    {"level":"info","ts":1772359200.5,"msg":"artifact manifest loaded","tenant":…,"surface":…,"uri":…,"hash":…}

`hash` is the SHA-256 of the manifest's bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from pointsman.errors import Problem
from pointsman.patterns import pattern
from pointsman.state.names import Target, is_name, is_version
from pointsman.state.times import unix

LOADED = "artifact manifest loaded"
MOST = 1 << 16  # bytes of a line
# What may be elsewhere than where the service writes it.
FIELDS = {
    "instance": "", "line": "", "time": "ts", "message": "msg", "tenant": "tenant", "surface": "surface", "hash": "hash"
}  # fmt: skip
_FROM_KUBECTL = pattern(rb"\[pod/([A-Za-z0-9.-]{1,253})/[A-Za-z0-9.-]{1,253}\] ")  # kubectl logs --prefix
_LATEST = 1e11  # seconds since 1970; a larger number has a smaller unit


class Heard(Struct, frozen=True):
    """What one line tells. `at`: seconds since 1970, by the clock of whoever wrote it; None: it has no time."""

    instance: str | None
    at: float | None
    load: tuple[Target, str] | None = None


class Form(Struct, frozen=True):
    """Where in a line its parts are: paths of names with dots."""

    paths: Mapping[str, str] = field(default_factory=lambda: dict(FIELDS))

    def read(self, data: bytes) -> Heard | str:
        """What a line tells, or in a few words why it tells nothing. Never raises."""
        pod = _FROM_KUBECTL.match(data)
        if pod is not None:
            data = data[pod.end() :]
        outer = _object(data)
        inner = outer
        if outer is not None and self.paths["line"]:
            text = _at(outer, self.paths["line"])
            inner = _object(text.encode(errors="replace")) if isinstance(text, str) else text
        if not isinstance(inner, dict) or outer is None:
            return "no JSON object"
        name = pod[1].decode() if pod is not None else None
        if self.paths["instance"]:
            name = self._part("instance", inner, outer)
            if name is None:
                return "no instance in them"
        if name is not None and not (isinstance(name, str) and is_name(name)):
            return "an instance with a wrong name"
        at = _seconds(self._part("time", inner, outer))
        if self._part("message", inner, outer) != LOADED:
            return Heard(name, at)
        tenant, surface, sha256 = (self._part(each, inner, outer) for each in ("tenant", "surface", "hash"))
        if not (isinstance(tenant, str) and isinstance(surface, str) and isinstance(sha256, str)):
            return "a load without its names"
        try:
            target = Target(tenant, surface)
        except Problem:
            return "a load with a wrong name"
        return Heard(name, at, (target, sha256)) if is_version(sha256) else "a load with a wrong hash"

    def _part(self, name: str, inner: Mapping[str, Any], outer: Mapping[str, Any]) -> object:
        """A part of the service's line, or of the envelope around it."""
        found = _at(inner, self.paths[name])
        return _at(outer, self.paths[name]) if found is None else found


def read_form(given: tuple[tuple[str, str], ...]) -> Form:
    """The form that NAME=PATH say; Problem for an unknown name or an empty path."""
    for name, path in given:
        if name not in FIELDS:
            raise Problem(f"--field {name}: there is no such field: it is one of {', '.join(FIELDS)}")
        if not path or not all(path.split(".")):
            raise Problem(
                f"--field {name}: {path!r} is no path: names of members with dots, such as kubernetes.pod_name"
            )
    return Form({**FIELDS, **dict(given)})


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _at(document: Mapping[str, Any], path: str) -> Any:
    """The member at a path. A name may have dots itself."""
    if path in document:
        return document[path]
    name, _, rest = path.partition(".")
    inner = document.get(name)
    return _at(inner, rest) if rest and isinstance(inner, dict) else None


def _seconds(value: object) -> float | None:
    """Seconds since 1970 of a time: RFC 3339, or a number of seconds, milli-, micro- or nanoseconds."""
    if isinstance(value, str) and (seconds := unix(value)) is not None:
        return float(seconds)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int) and abs(value) > 10**30:
        return None
    number = float(value)
    while math.isfinite(number) and number > _LATEST:
        number /= 1000
    return number if math.isfinite(number) and number > 0 else None
