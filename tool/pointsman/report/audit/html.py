"""An audit's report as one HTML page that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.report.audit.rows import facts, tables, verdict
from pointsman.report.html import template


def render(document: Mapping[str, Any]) -> str:
    """The page; every list is whole."""
    return template("audit.html").render(
        verdict=verdict(document),
        facts=facts(document),
        tables=list(tables(document)),
        stopped=document["counts"]["broken"] > 0,
    )
