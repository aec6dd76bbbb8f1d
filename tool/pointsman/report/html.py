"""HTML pages that need nothing beside themselves: no font, no request of any kind, and no script but their own."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pointsman.errors import lines
from pointsman.patterns import pattern
from pointsman.report.words import shown

if TYPE_CHECKING:
    from jinja2 import Environment, Template
    from markupsafe import Markup

_URL = pattern(r"(https?://[^\s<>\"'`\\]*[^\s<>\"'`\\.,;:!?)\]])")
_COMMIT = pattern(r"[0-9a-f]{12,64}")
_WEB = pattern(r"https?://[^\s\"'<>\\]+")
_TEMPLATES = os.path.join(os.path.dirname(os.path.dirname(__file__)), "templates")


@functools.cache
def template(name: str) -> Template:
    """A template of such a page, which `templates/page.html` is the frame of. Whatever is put in is text."""
    return _environment().get_template(name)


@functools.cache
def _environment() -> Environment:
    """One for all templates: what they have in common is compiled once."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from pointsman.report.compiled import Compiled

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        bytecode_cache=Compiled(),
        auto_reload=False,  # else each page asks for the times of the files that it is made of
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: lines(value) if type(value) is str else value,  # Markup is our own
    )
    environment.filters |= {"shown": shown, "web": web, "linked": linked, "commit": commit}
    environment.globals["part"] = part
    return environment


@functools.cache
def part(name: str) -> Markup:
    """A style sheet or a script of ours, as it stands in its file."""
    from markupsafe import Markup

    return Markup(Path(_TEMPLATES, name).read_text("utf-8"))  # noqa: S704 (a file of this package)


def web(url: str) -> str:
    """`url` if it leads to a web page, otherwise ""."""
    return url if _WEB.fullmatch(url) else ""


def linked(text: str) -> Markup:
    """A text whose web addresses are links."""
    from markupsafe import Markup, escape

    pieces = _URL.split(lines(text))
    return Markup("").join(_link(piece, piece) if at % 2 else escape(piece) for at, piece in enumerate(pieces))


def commit(text: str, pages: str | None) -> Markup:
    """A text that begins with a commit's id: that is a link if `pages` says where the forge shows commits."""
    from markupsafe import escape

    found = _COMMIT.match(text)
    if found is None or not pages:
        return escape(lines(text))
    return _link(f"{pages}{found[0]}", found[0][:12]) + escape(lines(text[found.end() :]))


def _link(url: str, text: str) -> Markup:
    from markupsafe import Markup

    return Markup('<a href="{}" rel="noreferrer">{}</a>').format(url, text)
