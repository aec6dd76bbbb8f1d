"""What a user sees and imports, word for word: moving code about may not change it, and a new wording is a choice."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pointsman.cli.console import Call
from pointsman.cli.main import main

FACE = Path(__file__).parent / "face"
ROOT = Path(__file__).parents[2]
AGAIN = "python tests/cli/test_face.py writes the pages anew; look at the difference before you commit it"


def pages() -> Iterator[tuple[str, str]]:
    """Each command's name, words joined by dashes, and its help at 80 columns."""
    from pointsman.cli.main import cli

    def below(
        command: click.Command, words: tuple[str, ...], parent: click.Context | None
    ) -> Iterator[tuple[str, str]]:
        with click.Context(command, info_name=words[-1], parent=parent, obj=Call(), terminal_width=80) as context:
            yield "-".join(words), f"{command.get_help(context)}\n"
            if isinstance(command, click.Group):
                for name in command.list_commands(context):
                    inner = command.get_command(context, name)
                    assert inner is not None
                    yield from below(inner, (*words, name), context)

    return below(cli, ("pointsman",), None)


def shared() -> Iterator[tuple[str, str]]:
    """What an installation puts below share/ for the shell and for man: the place of each file, and its text."""
    from click.shell_completion import get_completion_class

    import pointsman.cli.completion  # noqa: F401 - its classes for shells are registered
    from pointsman.cli.main import COMPLETE, cli

    for shell, place in (
        ("bash", "bash-completion/completions/pointsman"),
        ("zsh", "zsh/site-functions/_pointsman"),
        ("fish", "fish/vendor_completions.d/pointsman.fish"),
    ):
        kind = get_completion_class(shell)
        assert kind is not None
        yield place, f"{kind(cli, {}, 'pointsman', COMPLETE).source().strip()}\n"
    yield "man/man1/pointsman.1", manual()


def manual() -> str:
    """The help of every command as one page for man."""
    lines = [".TH POINTSMAN 1", ".SH NAME", "pointsman \\- GitOps for recommendation artifacts"]
    for name, page in pages():
        heading = "DESCRIPTION" if name == "pointsman" else name.replace("-", " ").upper()
        text = page.rstrip().replace("\\", "\\e").replace("-", "\\-")
        body = (f"\\&{line}" if line.startswith((".", "'")) else line for line in text.split("\n"))
        lines += [f'.SH "{heading}"', ".nf", *body, ".fi"]
    return "\n".join([*lines, ""])


def test_what_is_shared_with_shells_and_man_is_what_the_commands_say() -> None:
    assert {path: text for path, text in shared() if (ROOT / "share" / path).read_text() != text} == {}, AGAIN


@pytest.mark.slow
def test_man_shows_the_page_without_a_complaint() -> None:
    if shutil.which("man") is None:
        pytest.skip("needs man")
    page = ROOT / "share" / "man" / "man1" / "pointsman.1"
    shown = subprocess.run(["man", "--warnings", "-l", page], capture_output=True, text=True, check=True)
    assert shown.stderr == ""
    assert "--fail-on drift,stale,behind" in shown.stdout


def test_help_is_as_it_was_pinned() -> None:
    shown = dict(pages())
    pinned = {path.stem: path.read_text() for path in FACE.glob("*.txt")}
    assert sorted(shown) == sorted(pinned), AGAIN
    for name, page in shown.items():
        assert page == pinned[name], AGAIN


def test_help_is_what_a_terminal_gets(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["pr", "merge", "--help"]) == 0
    assert capsys.readouterr().out == (FACE / "pointsman-pr-merge.txt").read_text()


if __name__ == "__main__":
    FACE.mkdir(exist_ok=True)
    for old in FACE.glob("*.txt"):
        old.unlink()
    for page_name, text_of_page in pages():
        (FACE / f"{page_name}.txt").write_text(text_of_page)
    for place_of_file, text_of_file in shared():
        (ROOT / "share" / place_of_file).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / "share" / place_of_file).write_text(text_of_file)
