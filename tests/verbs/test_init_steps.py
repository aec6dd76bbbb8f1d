"""What `init` says is left to do: for each forge and cloud all of it, in its order, and nothing of another forge.

Run as a program, this writes the golden file again: look at what changed.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pointsman.cli.init import render
from pointsman.cli.main import cli
from pointsman.forge.open import KINDS
from pointsman.verbs.init import Made

GOLDEN = Path(__file__).parent / "golden" / "init_steps.txt"
CASES = [(kind, "") for kind in KINDS]
CASES += [*(("github", cloud) for cloud in ("aws", "azure", "gcp")), ("gitlab", "aws"), ("gitlab", "azure")]
NAMES = {"github": "github", "gitlab": "gitlab", "gitea": "gitea", "forgejo": "forgejo"}


def said(kind: str, cloud: str) -> str:
    settings = {"store": {"url": "s3://b/p"}, "forge": {"kind": kind, "records": "push", "group": "target"}}
    return render(Made("/srv/our shop", "0" * 40, settings), cloud or None)  # type: ignore[arg-type]


def golden() -> str:
    return "\n".join(f"== {kind} {cloud}".rstrip() + f"\n{said(kind, cloud)}\n" for kind, cloud in CASES)


def commands(text: str) -> list[str]:
    """The lines to paste, and what `&&` joins is two."""
    lines = (line.strip() for line in text.splitlines())
    pasted = [line for line in lines if re.match(r"(git|gh|glab|export) |[A-Z_]+=\S", line)]
    return [each for line in pasted for each in line.split(" && ")]


def test_the_steps_are_those_of_the_golden_file() -> None:
    assert golden() == GOLDEN.read_text(), f"run python {Path(__file__).name}, and look at what changed"


@pytest.mark.parametrize("kind, cloud", CASES)
def test_a_forge_is_told_of_itself_alone_and_each_command_can_be_pasted(kind: str, cloud: str) -> None:
    text = said(kind, cloud)
    if kind in NAMES:
        assert not [name for name in NAMES if name != kind and name in text.lower().replace(".github.com", "")]
        assert f"docs/{kind}.md" in text
    for line in text.splitlines():
        assert len(line) <= 125, line
    for command in commands(text):
        words = shlex.split(re.sub(r"^\w+=(\"[^\"]*\"|\S+) ", "", command).replace("<", ""))
        assert "{" not in command
        if words[0] == "pointsman":
            name = words[words.index("-C") + 2]
            assert cli.get_command(cli.make_context("pointsman", ["--help"], resilient_parsing=True), name) is not None


@pytest.mark.parametrize("cloud, count", [("aws", 10), ("azure", 11), ("gcp", 10)])
def test_from_init_to_a_repository_that_lacks_only_secrets_and_teams_are_ten_commands(cloud: str, count: int) -> None:
    assert len([*commands(said("github", cloud)), "init"]) == count


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(golden())
