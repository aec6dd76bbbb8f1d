"""An audit's report as one HTML page that needs nothing beside itself."""

from __future__ import annotations

from pointsman.report.audit.rows import facts, tables, verdict
from pointsman.report.audit.value import Audit
from pointsman.report.html import template


def render(found: Audit) -> str:
    """The page; every list is whole."""
    return template("audit.html").render(
        verdict=verdict(found),
        facts=facts(found),
        tables=list(tables(found)),
        found=found,
        mood="bad" if found.counts.broken else "wait" if found.counts.accepted or found.counts.now else "fine",
    )
