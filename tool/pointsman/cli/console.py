"""What a command line has in common: how a call begins, what a command answers, how it is said."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from pointsman.errors import Problem, lines, without_secrets
from pointsman.patterns import pattern
from pointsman.state.suggest import ask, did_you_mean

if TYPE_CHECKING:
    from pointsman.outcome import Outcome
    from pointsman.progress import Progress
    from pointsman.repo.repository import Repository
    from pointsman.workspace import Workspace

_KEPT = "\t" + "".join(map(chr, range(0xDCA0, 0xDD00)))  # bytes of file names that no terminal obeys
_SHOWN = 3  # names in a question
MOST_LINES = 50  # of one kind, unless all are asked for
_BLOCK = 1 << 16  # characters that are printed at once
_BEFORE_GIT = "|".join(f"(?<={words} )" for words in ("run", "run:", "next:", "is:", "&&"))
_advice: tuple[re.Pattern[str], str] | None = None  # the commands that are advised, and the repository they are for
_Any = TypeVar("_Any", bound=Callable[..., Any])
_Value = TypeVar("_Value")


@dataclass(slots=True)
class Call:
    """What stands before the command. `usual`: the repository that is meant where no -C names one."""

    spec: str | None = None
    usual: str | None = None
    json: bool = False
    verbose: bool = False
    refusal: str = "nothing was written"

    @contextlib.contextmanager
    def progress(self) -> Iterator[Progress]:
        """Lines if they were asked for, else a bar where stderr is a terminal."""
        from pointsman.cli.progress_bar import Bar
        from pointsman.progress import Silence

        if self.verbose:
            yield Lines()
        elif sys.stderr.isatty():
            with contextlib.closing(Bar()) as bar:
                yield bar
        else:
            yield Silence()

    @contextlib.contextmanager
    def workspace(self, *, offline: bool = False, judging: bool = False) -> Iterator[Workspace]:
        """What a command works with, in the repository that -C names."""
        from pointsman.workspace import Workspace

        with self.repository(judging=judging) as repo, self.progress() as progress:
            yield Workspace(repo, progress=progress, offline=offline)

    @contextlib.contextmanager
    def repository(self, spec: str | None = None, *, judging: bool = False) -> Iterator[Repository]:
        """The repository that -C names; what it has to note is said in the end, whatever happens."""
        from pointsman.forge.open import credentials
        from pointsman.repo.open import open_repository

        named = next((each for each in (spec, self.spec, self.usual) if each is not None), ".")
        with open_repository(named, credentials, judging=judging) as repo:
            try:
                yield repo
            finally:
                for note in repo.notes:
                    say(note, err=True)


class Lines:
    """What is done, a line at a time, on stderr."""

    def __call__(self, line: str) -> None:
        say(line, err=True)

    def counted(self, what: str, done: int, total: int | None) -> None:
        return


class Answer:
    """What a command ends with, and how a person reads it.

    `drawn`: it has colours, and nothing from outside in it that a terminal would obey. `advises`: it may say what to
    type next; False for data, and for pages that others read elsewhere. `paged`: a terminal shows it page by page.
    """

    def __init__(
        self,
        outcome: Outcome[_Value],
        render: Callable[[_Value], str],
        *,
        drawn: bool = False,
        advises: bool = True,
        paged: bool = False,
    ) -> None:
        self.outcome: Outcome[Any] = outcome
        self.drawn = drawn
        self.paged = paged
        self.advises = advises
        self.text: Callable[[], str] = lambda: render(outcome.value)


def advise_for(spec: str | None, commands: Iterable[str] = ()) -> None:
    """From now on, advise these commands, and those of git, with the -C that was given: they work where the user is."""
    global _advice  # noqa: PLW0603 - one process speaks for one command line
    names = "|".join(commands)
    _advice = (pattern(rf"\b(?:pointsman(?= (?:{names})\b)|(?:{_BEFORE_GIT})git(?= [a-z]))"), spec) if spec else None


def advice(text: str) -> str:
    """A text with the commands in it as they must be typed here."""
    if _advice is None:
        return text
    command, spec = _advice
    where = f"-C {shlex.quote(spec)}"
    return command.sub(lambda found: found[0] if found[0] == "git" and "://" in spec else f"{found[0]} {where}", text)


def say(text: str, *, err: bool = False, advises: bool = True) -> None:
    """Print lines, with what cannot be seen escaped; file names that are no text come out as they are."""
    stream: IO[str] = sys.stderr if err else sys.stdout
    shown = lines(without_secrets(advice(text) if advises else text), _KEPT)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        data = shown.encode(encoding, "surrogateescape")
    except UnicodeEncodeError:
        data = shown.encode(encoding, "backslashreplace")
    click.echo(data, err=err)


def some(lines: Sequence[str], *, every: bool) -> list[str]:
    """The first of many lines of one kind, and how many more there are. `every`: all of them, for -v."""
    more = len(lines) - MOST_LINES
    if every or more <= 0:
        return list(lines)
    return [*lines[:MOST_LINES], f"… and {more} more: -v or --json tells all"]


def say_wait(why: str, seconds: float) -> None:
    """Say on stderr what is waited for, and until when at most."""
    from datetime import UTC, datetime, timedelta

    until = datetime.now(UTC) + timedelta(seconds=seconds)
    say(f"pointsman: waiting until {until:%H:%M:%S} UTC at the latest: {why}", err=True)


def page(text: str) -> None:
    """Show text page by page where stdout is a terminal, as git does; elsewhere print it.

    The pager is $POINTSMAN_PAGER, else $PAGER, else less. "cat" or "" is none.
    """
    from shutil import which

    pager = next((os.environ[name] for name in ("POINTSMAN_PAGER", "PAGER") if name in os.environ), "less")
    words = shlex.split(pager)
    if not (sys.stdout.isatty() and sys.stdin.isatty() and words and which(words[0])) or words == ["cat"]:
        say(text, advises=False)
        return
    import subprocess

    environment = {"LESS": "FRX", "LV": "-c", **os.environ}  # as git sets them: a short text is just printed
    shown = lines(without_secrets(text), "\t")
    with subprocess.Popen(words, stdin=subprocess.PIPE, env=environment) as reader, contextlib.suppress(OSError):
        reader.communicate(f"{shown}\n".encode(errors="replace"))


def terminal_width() -> int | None:
    """The columns of the terminal that stdout is; None if it is none."""
    from shutil import get_terminal_size

    return get_terminal_size().columns if sys.stdout.isatty() else None


def say_document(document: Mapping[str, Any], *, line: bool = False) -> None:
    """Print a document, as one line if it is one of many: ASCII, which no terminal's encoding can spoil."""
    import json

    click.echo(without_secrets(json.dumps(document, indent=None if line else 2)))


def say_members(members: Iterable[tuple[str, Any]]) -> None:
    """Print a document as `say_document` does, without having it as a whole: what is an iterator may be very long."""
    block: list[str] = []
    size = 0
    for piece in _pieces(members):
        block.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            click.echo(without_secrets("".join(block)), nl=False)
            block, size = [], 0
    click.echo(without_secrets("".join(block)))


def _pieces(members: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """A document as json writes it with an indent of 2. No text of JSON has a line feed in it."""
    import json

    comma = ""
    for name, value in members:
        yield f"{comma or '{'}\n  {json.dumps(name)}: "
        comma = ","
        if not isinstance(value, Iterator):
            yield json.dumps(value, indent=2).replace("\n", "\n  ")
            continue
        between = "["
        for each in value:
            yield f"{between}\n    " + json.dumps(each, indent=2).replace("\n", "\n    ")
            between = ","
        yield "\n  ]" if between == "," else "[]"
    yield "\n}" if comma else "{}"


def say_bytes(data: bytes) -> None:
    """Send bytes to stdout as they are."""
    sys.stdout.buffer.write(data)


class Commands(click.Group):
    """A group that says which command was probably meant. `meant`: what others call a command → its name here."""

    meant: Mapping[str, str] = {}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing:
            name = self.meant.get(args[0])
            near = ask([name]) if name is not None else _nearest(args[0], self.list_commands(ctx))
            raise click.UsageError(f"No such command {args[0]!r}{near}", ctx)
        return super().resolve_command(ctx, args)


def _nearest(text: str, known: Sequence[str]) -> str:
    """What was probably meant: a command that begins it or that it begins (pr-list, stat), else one spelled alike."""
    begun = [
        name for name in known if len(text) > 1 and (name.startswith(text) or re.match(rf"{re.escape(name)}\b", text))
    ]
    return ask(begun[:3]) or did_you_mean(text, known, always=False) or f": known are {', '.join(known)}"


def _want_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.find_object(Call).json = True  # type: ignore[union-attr]  # main always gives one


def json_option(function: _Any) -> _Any:
    """--json, before or after the command's name, and -h."""
    says = "Print one JSON document on stdout."
    function = click.help_option("-h", "--help")(function)
    return click.option("--json", is_flag=True, expose_value=False, callback=_want_json, help=says)(function)


def sure(question: str, names: Sequence[str], refusal: str) -> None:
    """Ask on a terminal before many change at once that nobody named one by one; Problem if the answer is no.

    `question` has `{}` where their number stands. One, or a script, is not asked.
    """
    if len(names) < 2 or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    some = ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
    if not click.confirm(f"{question.format(len(names))} ({some})?", err=True):
        raise Problem(f"{refusal}: you did not say yes")


def example(text: str) -> str:
    """What stands below a command's options."""
    return f"\b\nExample:\n  {text}"


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that have a value: the others keep the default of what is asked for."""
    return {name: value for name, value in options.items() if value is not None}
