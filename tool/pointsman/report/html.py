"""HTML pages that need nothing beside themselves: no script, no font, no request of any kind."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from pointsman.errors import lines
from pointsman.report.words import shown

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATES = os.path.join(os.path.dirname(os.path.dirname(__file__)), "templates")


@functools.cache
def template(name: str) -> Template:
    """A template of such a page, which `templates/page.html` is the frame of. Whatever is put in is text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: lines(value) if type(value) is str else value,  # Markup is our own
    )
    environment.filters |= {"shown": shown}
    return environment.get_template(name)
