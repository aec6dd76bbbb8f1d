"""An audit's report as Markdown: whole, however long it is."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.report.audit.rows import Table, facts, tables, verdict
from pointsman.report.audit.value import Audit
from pointsman.report.markdown import code, plain


def render(found: Audit) -> str:
    """The report; texts from outside stand as code."""
    return "\n".join(_lines(found))


def _lines(found: Audit) -> Iterator[str]:
    yield f"# Audit: {plain(verdict(found))}"
    yield ""
    yield "| | |"
    yield "|---|---|"
    for label, text in facts(found):
        yield f"| {plain(label)} | {code(text)} |"
    for table in tables(found):
        yield ""
        yield f"## {plain(table.title)} ({len(table.rows):,})"
        yield ""
        yield from _folded(table) if table.usual else _table(table)


def _folded(table: Table) -> Iterator[str]:
    yield f"<details><summary>{len(table.rows):,} as usual</summary>"
    yield ""
    yield from _table(table)
    yield ""
    yield "</details>"


def _table(table: Table) -> Iterator[str]:
    yield "| " + " | ".join(table.columns) + " |"
    yield "|" + "---|" * len(table.columns)
    for row in table.rows:
        yield "| " + " | ".join(code(each) for each in row) + " |"
