"""Puts a version into `build.version` of a document, and leaves every other byte as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from pointsman.patterns import pattern

_TOKEN = pattern(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]', re.DOTALL)


def with_build(data: bytes, build: Mapping[str, object]) -> bytes:
    """The JSON object in `data` with this `build`; it is put at the end if there is none.

    ValueError if it is no JSON object.
    """
    text = json.dumps(build, ensure_ascii=False).encode(errors="surrogatepass")
    span = _span(data)
    if span is not None:
        start, end = span
        return data[:start] + text + data[end:]
    last = data.rindex(b"}")
    comma = b"" if data[:last].rstrip().endswith(b"{") else b","
    return data[:last].rstrip() + comma + b'\n  "build": ' + text + b"\n" + data[last:]


def _span(data: bytes) -> tuple[int, int] | None:
    """Where the value of the member `build` of the outermost object begins and ends."""
    depth, key, start = 0, None, 0
    for token in _TOKEN.finditer(data):
        what = token[0]
        if what in (b"{", b"["):
            depth += 1
        elif what in (b"}", b"]"):
            depth -= 1
        if depth == 1 and what == b":":
            start = token.end()
        elif (depth == 1 and what == b",") or (depth == 0 and what == b"}"):
            if key == "build" and start:
                gap = len(data[start : token.start()]) - len(data[start : token.start()].lstrip())
                return start + gap, start + len(data[start : token.start()].rstrip())
            key, start = None, 0
        elif depth == 1 and not start and what.startswith(b'"'):
            key = json.loads(what)
    return None
