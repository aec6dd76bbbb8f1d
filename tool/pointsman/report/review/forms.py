"""The forms of a review, by the name that `--format` takes: each is a module with a `render`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

FORMS = {
    "terminal": "pointsman.report.review.terminal",
    "markdown": "pointsman.report.review.markdown",
    "json": "pointsman.report.review.terminal",  # the document goes out; this is never asked for text
    "html": "pointsman.report.review.html",
}


def renderer(form: str) -> Callable[[Mapping[str, Any]], str]:
    """What turns a review's document into one of its forms, imported when it is asked for."""
    render: Callable[[Mapping[str, Any]], str] = import_module(FORMS[form]).render
    return render
