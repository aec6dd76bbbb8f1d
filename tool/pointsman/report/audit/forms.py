"""The forms of an audit's report, by the name that `--format` takes: each is a module with a `render`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pointsman.report.audit.value import Audit

FORMS = {
    "text": "pointsman.report.audit.terminal",
    "markdown": "pointsman.report.audit.markdown",
    "html": "pointsman.report.audit.html",
}


def renderer(form: str) -> Callable[[Audit], str]:
    """What turns an audit into one of its forms, imported when it is asked for."""
    render: Callable[[Audit], str] = import_module(FORMS[form]).render
    return render
