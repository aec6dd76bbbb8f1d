"""What people type by habit from kubectl and gh is answered with what is typed here."""

from __future__ import annotations

import json

import pytest

from pointsman.cli.main import main


@pytest.mark.parametrize(
    "words, says",
    [
        ("status -o json", ": a program reads --json "),
        ("status -ojson", ": a program reads --json "),
        ("status --output=yaml", ": a program reads --json "),
        ("status --format yaml", ": a program reads --json "),
        ("log --format yaml", ": a program reads --json "),
        ("log -o json", "No such option '-o': type --json "),
        ("sync --output json", "No such option '--output': type --json "),
        ("pr list --json number,title", ": --json takes no names of members, it prints all "),
        ("pr list --jq .x", "No such option '--jq': type --json, and pipe it into jq "),
        ("status -w", "No such option '-w': type --watch "),
        ("--verbose status", "No such option '--verbose': type pointsman -v … "),
        ("status --verbose", "No such option '--verbose': type pointsman -v … "),
        ("-R acme/shop status", "No such option '-R': type pointsman -C REPO … "),
        ("pr list --repo acme/shop", "No such option '--repo': type pointsman -C REPO … "),
        ("status -v", "No such option '-v': it stands before the command, pointsman -v … "),
        ("hold -w", "No such option '-w' (see: "),  # it watches nothing
        ("sync grocer/home", ": it takes no target, "),
    ],
)
def test_a_habit_is_answered_with_what_is_typed_here(words: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert len(said.err.splitlines()) == 1
    if "--json" in words:
        assert says in json.loads(said.out)["problem"]


def test_a_file_that_is_called_json_is_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "-o", "json"]) == 2
    assert "Missing argument 'VERSION'" in capsys.readouterr().err
