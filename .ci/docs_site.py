"""Hook of MkDocs: a page has the path that it has in the repository, so a link is right on a forge and on the site.

The pages are those at the top and in `docs/`, and one that is written from docstrings. Other files come along where a
page links to them.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from griffe import Attribute, Docstring, ExprSubscript, ExprTuple, Extension
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\]\(([^)\s#:]+)")
STYLE = """
/* A table without headings begins with its first row. */
.md-typeset table:not([class]) thead:not(:has(th:not(:empty))) { display: none; }
"""
API = {
    "Open, and act": ["open_repository", "Repository", "require_done"],
    "What is raised": ["Problem", "Refused", "Unreachable", "MovedFirst", "Fault"],
    "What is returned": [
        *("Outcome", "Published", "PublishedArtifact", "ShippedTarget", "PullRequest", "Synced", "SyncedTarget"),
        *("RolledBack", "Restored", "Status", "TargetState", "InForce", "Step", "LoggedEvent", "ToldFault"),
    ],
    "Artifacts": ["read_artifact", "Artifact", "Reference"],
}
REFERENCE = """# Reference of the library

Import these names from `pointsman.api`. [As a library](library.md) shows them at work. In types, `TargetName`,
`SlotName`, `ArtifactType`, `CommitId`, `Version`, `Sha256` and `Moment` (RFC 3339, UTC) are texts, and `Count` is a
number that is 0 or more.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of the site, in the place of what is in `docs/` alone."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    linked = {(page.parent / link).resolve() for page in pages for link in LINK.findall(page.read_text("utf-8"))}
    others = {path for path in linked if path.is_file() and path.suffix != ".md" and path.is_relative_to(ROOT)}
    kept = [each for each in files if not each.src_uri.endswith(".md")]  # of the theme
    kept.append(File.generated(config, "docs-site.css", content=STYLE))
    kept.append(File.generated(config, "docs/library-reference.md", content=reference()))
    named = {path.relative_to(ROOT).as_posix(): str(path) for path in sorted({*pages, *others})}
    return Files([*kept, *(File.generated(config, name, abs_src_path=path) for name, path in named.items())])


def reference() -> str:
    """The page that mkdocstrings fills."""
    parts = [REFERENCE]
    for title, names in API.items():
        parts += [f"## {title}\n", *(f"::: pointsman.api.{name}\n" for name in names)]
    return "\n".join(parts)


class Meanings(Extension):
    """A member of a value shows what its `Annotated` says, and its plain type."""

    def on_attribute_instance(self, *, attr: Attribute, **_: Any) -> None:
        annotation = attr.annotation
        if not isinstance(annotation, ExprSubscript) or annotation.canonical_name != "Annotated":
            return
        if isinstance(annotation.slice, ExprTuple):
            kind, says = annotation.slice.elements
            attr.annotation = kind
            if isinstance(says, str):
                attr.docstring = Docstring(ast.literal_eval(says), parent=attr)
