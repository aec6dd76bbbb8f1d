"""CODEOWNERS: who must approve a change of a path. The last matching line decides. Without owners, nobody must.

On GitHub patterns are those of .gitignore, without negation and brackets ("About code owners", CODEOWNERS syntax). On
GitLab there are sections, in each of which the last matching line decides ("Code Owners syntax and error handling").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pointsman.patterns import pattern

CODEOWNERS_PATHS = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")  # the first one that exists is used
GITLAB_PATHS = ("CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
_SECTION = pattern(r"(\^?)\[([^\]]+)\](?:\[\d+\])?(.*)")
_COMMENT = pattern(r"(?:^|\s)#.*")


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


class SectionedOwners(CodeOwners):
    """The lines of one CODEOWNERS file of GitLab, by section. An optional section (^) asks nobody."""

    def __init__(self, text: str) -> None:
        self._sections: dict[str, list[tuple[re.Pattern[str], Sequence[str]]]] = {}
        lines = self._sections.setdefault("", [])
        defaults: Sequence[str] = ()
        for line in (each.strip() for each in text.split("\n")):
            if not line or line.startswith("#"):
                continue
            if (header := _SECTION.fullmatch(line)) is not None:
                lines = [] if header[1] else self._sections.setdefault(header[2].lower(), [])
                defaults = _owners(header[3])
                continue
            pattern, *said = re.split(r"(?<!\\)\s+", line, maxsplit=1)
            pattern = re.sub(r"\\(.)", r"\1", pattern)
            without = pattern.startswith("!")  # a path that is none of the section's
            owners = () if without else _owners("".join(said)) or defaults
            lines.append((_gitlab_regex(pattern.removeprefix("!")), owners))

    @property
    def every(self) -> list[str]:
        """Everybody whom a section asks, sorted."""
        lines = (line for section in self._sections.values() for line in section)
        return sorted({owner for _, owners in lines for owner in owners})

    def of(self, path: str) -> Sequence[str]:
        asked = (
            next((owners for pattern, owners in reversed(lines) if pattern.fullmatch(path)), ())
            for lines in self._sections.values()
        )
        return list(dict.fromkeys(owner for owners in asked for owner in owners))


def _owners(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.partition(" #")[0].split() if "@" in word)


def _gitlab_regex(pattern: str) -> re.Pattern[str]:
    """A path that does not begin with a slash is anywhere, and one that ends with a slash is all that is below it."""
    body = pattern.removeprefix("/") if pattern.startswith("/") else f"**/{pattern}"
    body += "**/*" if body.endswith("/") else ""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", body)
    signs = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(signs.get(part) or re.escape(part) for part in parts))


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
