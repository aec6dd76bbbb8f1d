"""An audit's report on a terminal: what is wrong and what is unusual line by line, the rest as figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pointsman.report.audit.rows import facts, tables, verdict

_FEW = 3  # columns of what needs no more than a line
_PAST = "a fault of the past stays one: once it is mended, move [audit] since in pointsman.toml to a later commit"


def render(document: Mapping[str, Any]) -> str:
    """The unusual first, the figures, and one verdict."""
    return "\n".join([*_lines(document), verdict(document), *([_PAST] if document["counts"]["broken"] else [])])


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    for table in tables(document, usual=False):
        yield f"{table.title}:"
        for row in table.rows:
            if len(row) <= _FEW:
                yield "  " + "  ".join(row)
                continue
            *most, says, by, commit = row
            yield "  " + "  ".join(each for each in (*most, commit) if each)
            yield f"    {says}"
            if by:
                yield f"    by {by}"
        yield ""
    for label, text in facts(document):
        if text != "0":
            yield f"{label}: {text}"
    yield ""
