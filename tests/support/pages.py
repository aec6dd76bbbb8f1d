"""The code blocks of the docs: what they say to type, what they show, and whether that is so."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from pointsman.cli.console import Call
from pointsman.cli.main import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_ENDS = re.compile(r"^\(exit code (\d+)\)$", re.MULTILINE)
_ANY = "…"  # what a page leaves out
_SAMPLES = [path.stem for path in (ROOT / "tests" / "samples" / "recsys-pipelines" / "staging").rglob("*.json")]
# What differs from run to run → what stands for it.
_VARIES = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), lambda _: "TIME"),
    (re.compile(r"\b\d\d:\d\d:\d\d UTC\b"), lambda _: "TIME"),
    (re.compile(r"\b[0-9a-f]{8,64}\b"), lambda match: match[0] if _is_version(match[0]) else "ID"),
    (re.compile(r"\b[\d.]+ (s|min|h|days)\b"), lambda _: "LONG"),
    (re.compile(r"\s+"), lambda _: " "),
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, without its indentation."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def steps(self) -> list[Step]:
        """What is typed in it, and what it shows."""
        pieces = re.split(r"^\$ ", self.text, flags=re.MULTILINE) if self.language == "console" else []
        return [_step(piece) for piece in pieces[1:]]

    @property
    def typed(self) -> str:
        """What is typed in it, as a shell reads it."""
        return "\n".join(step.typed for step in self.steps) if self.language == "console" else self.text


@dataclass(frozen=True)
class Step:
    """A line that is typed, the output that the page shows (None: it shows none), and the exit code."""

    typed: str
    shown: str
    exit_code: int


def blocks(page: Path, *languages: str) -> list[Block]:
    """The blocks of a page in these languages; all, if none is named."""
    text = page.read_text()
    found = []
    for match in _BLOCK.finditer(text):
        if languages and match["language"] not in languages:
            continue
        indent = len(match["indent"])
        inner = "".join(line[indent:] or "\n" for line in match["text"].splitlines(keepends=True))
        found.append(Block(page, text[: match.start()].count("\n") + 1, match["language"], inner))
    return found


def _step(piece: str) -> Step:
    typed, _, shown = piece.partition("\n")
    ends = _ENDS.search(shown)
    return Step(typed, _ENDS.sub("", shown), int(ends[1]) if ends else 0)


def command_lines(block: Block) -> Iterator[list[str]]:
    """The words of each `pointsman …` that a block types, without its name."""
    joined = block.typed.replace("\\\n", " ")
    for line in joined.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set("();<>|&"):
                if words[:1] == ["pointsman"]:
                    yield words[1:]
                words = []
            else:
                words.append(word)


def require_command_line(words: Sequence[str]) -> None:
    """Fails for words that the command line does not take."""
    with cli.make_context("pointsman", list(words), obj=Call()) as context:
        name, command, rest = cli.resolve_command(context, [*context._protected_args, *context.args])
        while isinstance(command, click.Group) and rest:
            with command.make_context(name or "", rest, parent=context) as inner:
                name, command, rest = command.resolve_command(inner, [*inner._protected_args, *inner.args])
        assert command is not None
        command.make_context(name or "", rest, parent=context).close()


class Terminal:
    """Where what pages say is typed: a directory, and what stands for its places in a page."""

    def __init__(self, where: Path, tools: Path, places: Mapping[str, str], **environment: str) -> None:
        self.where = where
        tools.mkdir(exist_ok=True)
        tool = tools / "pointsman"
        tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pointsman "$@"\n')
        tool.chmod(0o755)
        names = {f"GIT_{who}_NAME": "Ann" for who in ("AUTHOR", "COMMITTER")}
        mails = {f"GIT_{who}_EMAIL": "ann@shop.example" for who in ("AUTHOR", "COMMITTER")}
        path = f"{tools}:{os.environ['PATH']}"
        self._environment = {**os.environ, **names, **mails, "PATH": path, "COLUMNS": "120", **environment}
        self._places = places

    def type(self, line: str) -> tuple[str, int]:
        """What a line shows, both of its outputs in their order, and its exit code."""
        for place, name in self._places.items():
            line = line.replace(name, place)
        done = subprocess.run(
            ["bash", "-uo", "pipefail", "-c", line],
            check=False,
            cwd=self.where,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = done.stdout
        for place, name in self._places.items():
            said = said.replace(place, name)
        return said, done.returncode

    def follow(self, block: Block, **ids: str) -> None:
        """Type what a block says, and hold what comes against what it shows. `ids`: the page's → ours."""
        for step in block.steps:
            typed = step.typed
            for written, here in ids.items():
                typed = typed.replace(written, here)
            said, exit_code = self.type(typed)
            at = f"{block.page.relative_to(ROOT)}:{block.line}: {typed}"
            assert exit_code == step.exit_code, f"{at}\nends with {exit_code}:\n{said}"
            if step.shown.strip():
                assert is_shown(step.shown, said), f"{at}\nshows:\n{said}\nand the page:\n{step.shown}"


def is_shown(page: str, said: str) -> bool:
    """Whether an output is what a page shows: ids, times and how long something took are passed over."""
    pieces = [re.escape(_same(piece).strip()) for piece in page.split(_ANY)]
    return re.fullmatch(r"\s*" + r"\s*.*?\s*".join(pieces) + r"\s*", _same(said)) is not None


def _is_version(digits: str) -> bool:
    return any(version.startswith(digits) for version in _SAMPLES)


def _same(text: str) -> str:
    for varies, stands_for in _VARIES:
        text = varies.sub(stands_for, text)
    return text
