"""An audit's report on a terminal: what is wrong and what is unusual line by line, the rest as figures."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.report.audit.rows import facts, tables, verdict
from pointsman.report.audit.value import Audit

_FEW = 3  # columns of what needs no more than a line
_PAST = "a fault of the past stays one: once it is fixed, move [audit] since in pointsman.toml to a later commit"


def render(found: Audit) -> str:
    """The unusual first, the figures, and one verdict."""
    return "\n".join([*_lines(found), verdict(found), *([_PAST] if found.counts.broken else [])])


def _lines(found: Audit) -> Iterator[str]:
    for table in tables(found, usual=False):
        named = f" ({', '.join(table.columns)})" if len(table.columns) <= _FEW else ""
        yield f"{table.title}{named}:"
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
    for label, text in facts(found):
        if text != "0":
            yield f"{label}: {text}"
    yield ""
