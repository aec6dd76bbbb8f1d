"""CODEOWNERS: who must approve a change of a path. The last matching line decides. Without owners, nobody must.

Patterns are those of .gitignore, without negation and brackets (GitHub docs, "About code owners", CODEOWNERS syntax).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

CODEOWNERS_PATHS = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")  # the first one that exists is used
_COMMENT = re.compile(r"(?:^|\s)#.*")


class CodeOwners:
    """The lines of one CODEOWNERS file."""

    def __init__(self, text: str) -> None:
        lines = (_COMMENT.sub("", line).split() for line in text.split("\n"))
        self._lines = [(_regex(words[0]), tuple(words[1:])) for words in lines if words and _is_pattern(words[0])]

    def of(self, path: str) -> Sequence[str]:
        """The owners of a path."""
        return next((owners for pattern, owners in reversed(self._lines) if pattern.fullmatch(path)), ())

    def of_all(self, paths: Iterable[str]) -> list[str]:
        """The owners of at least one of the paths."""
        return sorted({owner for path in paths for owner in self.of(path)})


def _is_pattern(text: str) -> bool:
    return not text.startswith(("!", "\\#")) and "[" not in text


def _regex(pattern: str) -> re.Pattern[str]:
    body = pattern.strip("/")
    anchored = "/" in pattern.rstrip("/")
    parts = re.split(r"(\*\*/|/\*\*|\*\*|\*|\?)", body)
    signs = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    text = "".join(signs.get(part) or re.escape(part) for part in parts)
    inside = "/.+" if pattern.endswith("/") else "" if body.endswith("/*") else "(?:/.+)?"
    return re.compile(("" if anchored else "(?:.*/)?") + text + inside)
