"""Checks: questions to a Prometheus whose answers say whether a ring may be given what the ring before it has."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from pointsman.errors import Problem
from pointsman.patterns import pattern
from pointsman.state.names import Target

_TOKENS = pattern(
    r"""(?P<comment>\#[^\n]*)
    |(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`)
    |\[\s*(?P<range>[0-9a-z.]+)\s*(?P<sub>:\s*[0-9a-z.]*\s*)?\]
    |\boffset\s+-?\s*(?P<offset>[0-9][0-9a-z.]*)
    |(?P<at>@)""",
    re.VERBOSE | re.IGNORECASE,
)
_PLACEHOLDER = pattern(r"\{(tenant|surface|ring)\}")
_EQUALS = pattern(r"(?<![=<>!~])!?=\s*\Z")
_LENGTH = pattern(r"([0-9]+)(ms|s|m|h|d|w|y)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_POINTS = 60  # that one answer has, less one


class Check(Struct, frozen=True):
    """One question. Every value of the last `lasts` seconds must be below, or above, a limit."""

    name: str
    prometheus: str  # the URL of the server, without a trailing slash and without credentials
    query: str  # PromQL with {tenant}, {surface} and {ring} in the texts of its matchers
    limit: float
    is_below: bool  # whether values below the limit pass; else those above it do
    lasts: int  # seconds, one at least
    valid: int = 900  # seconds that a pass counts, if `lasts` is not longer
    rolls_back: bool = False  # what a failure does; else it stops the state

    @property
    def fresh(self) -> int:
        """Seconds that a pass counts."""
        return max(self.lasts, self.valid)

    @property
    def step(self) -> int:
        """Seconds between two points of an answer."""
        return -(-self.lasts // _POINTS)

    @property
    def reach(self) -> int:
        """Seconds before a moment that the query looks at for its value at that moment, by its ranges and offsets."""
        plain = nested = 0.0
        for found in _TOKENS.finditer(self.query):
            if found["offset"] or found["sub"] is not None:
                nested += _seconds(found["offset"] or found["range"])
            elif found["range"]:
                plain = max(plain, _seconds(found["range"]))
        return -int(-(plain + nested) // 1)

    def holds(self, value: float) -> bool:
        """Whether a value is within the limit."""
        return value < self.limit if self.is_below else value > self.limit

    @property
    def wants(self) -> str:
        """What is demanded, in words."""
        return f"{'below' if self.is_below else 'above'} {self.limit:g}"

    def asks(self, target: Target, ring: str) -> str:
        """The query about a target, and the ring whose ships are judged, the one that has them first."""
        names = {"tenant": target.tenant, "surface": target.surface, "ring": ring}
        return _PLACEHOLDER.sub(lambda found: names[found[1]], self.query)


def check_query(query: str, key: str) -> None:
    """Problem unless names can take the places of {tenant}, {surface} and {ring} and change nothing else in a query.

    So these stand where a label is compared with a text, but not with a pattern, in which a dot means any character.
    """
    for place, inside in _placeholders(query):
        if not inside:
            says = f"has {place} where a name could change the question: write it as the text that a label must equal"
            raise Problem(f'{key} {says}, such as tenant="{{tenant}}"')
    if any(found["at"] for found in _TOKENS.finditer(query)):
        raise Problem(f"{key} has @, which asks about a moment of its own: take it out, the last values are asked for")


def placeholders_of(query: str) -> set[str]:
    """Which of tenant, surface and ring a query names."""
    return {found[1] for found in _PLACEHOLDER.finditer(query)}


def _placeholders(query: str) -> Iterator[tuple[str, bool]]:
    """Each placeholder of a query, and whether it is in a text that a label must, or must not, equal."""
    safe = [found.span() for found in _TOKENS.finditer(query) if found["text"] and _is_compared(query, found)]
    for found in _PLACEHOLDER.finditer(query):
        yield found[0], any(start < found.start() and found.end() < end for start, end in safe)


def _is_compared(query: str, found: re.Match[str]) -> bool:
    return _EQUALS.search(query, 0, found.start()) is not None


def _seconds(text: str) -> float:
    """A length of time as PromQL writes it, such as 5m, 1h30m or 300; 0 for what is none, which no server answers."""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text)
    parts = _LENGTH.findall(text.lower())
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)
