"""The forms of a review, by the name that `--format` takes: each is a module with a `render`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pointsman.report.review.value import Review

FORMS = {
    "terminal": "pointsman.report.review.terminal",
    "markdown": "pointsman.report.review.markdown",
    "json": "pointsman.report.review.terminal",  # the document goes out; this is never asked for text
    "html": "pointsman.report.review.html",
}


def renderer(form: str) -> Callable[[Review], str]:
    """What turns a review into one of its forms, imported when it is asked for."""
    render: Callable[[Review], str] = import_module(FORMS[form]).render
    return render
