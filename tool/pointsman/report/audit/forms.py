"""The forms of an audit's report, by the name that `--format` takes: each is a module with a `render`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

FORMS = {
    "text": "pointsman.report.audit.terminal",
    "markdown": "pointsman.report.audit.markdown",
    "html": "pointsman.report.audit.html",
}


def renderer(form: str) -> Callable[[Mapping[str, Any]], str]:
    """What turns an audit's document into one of its forms, imported when it is asked for."""
    render: Callable[[Mapping[str, Any]], str] = import_module(FORMS[form]).render
    return render
