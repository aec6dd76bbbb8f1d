"""The scripts of `completion`, in real shells: what the Tab key offers in zsh and fish."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import Kept, Shop, popularity, twice_shipped
from terminal import Terminal

from pointsman.cli.main import main

BIN = str(Path(sys.executable).parent)
# What is typed, and what the shell makes of it, or offers.
TYPED = {
    "status gro": "grocer/home",
    "-C . status gro": "grocer/home",
    "doctor --dr": "--dry-run",
    "pr show gro": "grocer/home",
    "rollback grocer/home --type popu": "popularity",
    "rollback grocer/home --type=popu": "--type=popularity",
    "publish --accept items-d": "items-drop",
    "publish --accept grocer/home:items-d": "grocer/home:items-drop",
    "publish --drop grocer/home:popu": "grocer/home:popularity",
    "status --fail-on drift,sta": "drift,stale",
    "init x --set policy.items_d": "policy.items_drop=",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    made = Kept(tmp_path_factory.mktemp("shells"), twice_shipped).fresh()
    made.publish(popularity(made.root / "p.json", 45))
    made.pull()
    return made


def script(shell: str, to: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    to.write_text(capsys.readouterr().out)
    return str(to)


def environment(home: Path) -> dict[str, str]:
    return {
        **os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(home), "TERM": "dumb", "LC_ALL": "C.UTF-8",
        "XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home),
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_names_of_the_clone(shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = script("fish", tmp_path / "p.fish", capsys)
    for typed, found in TYPED.items():
        command = ["fish", "--no-config", "-c", f"source {path}; complete -C 'pointsman {typed}'"]
        ran = subprocess.run(
            command, cwd=shop.desk, env=environment(tmp_path), capture_output=True, text=True, check=False
        )
        assert found in [line.partition("\t")[0] for line in ran.stdout.splitlines()], (typed, ran)


@pytest.fixture
def zsh(shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Terminal]:
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    path = script("zsh", tmp_path / "p.zsh", capsys)
    terminal = Terminal(["zsh", "-f", "-i"], shop.desk, environment(tmp_path))
    terminal.type("PS1=; unsetopt prompt_sp; unset zle_bracketed_paste; autoload -U compinit; compinit -D -u\r")
    terminal.type(f"source {path}\r")
    terminal.type("print ready-$((1 + 1))\r")
    terminal.until("ready-2")
    yield terminal
    terminal.close()


@pytest.mark.slow
def test_zsh_completes_names_of_the_clone(zsh: Terminal) -> None:
    for number, (typed, found) in enumerate(TYPED.items()):
        words = f"{typed.rpartition(' ')[0]} {found}".strip()
        zsh.type(f"pointsman {typed}\t")
        zsh.until(re.escape(words))
        zsh.type("\x15")  # take the line back
        zsh.type(f"print ready-$((1 + {number}))\r")
        zsh.until(f"ready-{1 + number}")
