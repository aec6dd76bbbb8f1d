"""Hook of MkDocs: a page has the path that it has in the repository, so a link is right on a forge and on the site.

The pages are those at the top and in `docs/`; other files come along where a page links to them.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\]\(([^)\s#:]+)")
STYLE = """
/* A table without headings begins with its first row. */
.md-typeset table:not([class]) thead:not(:has(th:not(:empty))) { display: none; }
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of the site, in the place of what is in `docs/` alone."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    linked = {(page.parent / link).resolve() for page in pages for link in LINK.findall(page.read_text("utf-8"))}
    others = {path for path in linked if path.is_file() and path.suffix != ".md" and path.is_relative_to(ROOT)}
    kept = [each for each in files if not each.src_uri.endswith(".md")]  # of the theme
    kept.append(File.generated(config, "docs-site.css", content=STYLE))
    named = {path.relative_to(ROOT).as_posix(): str(path) for path in sorted({*pages, *others})}
    return Files([*kept, *(File.generated(config, name, abs_src_path=path) for name, path in named.items())])
