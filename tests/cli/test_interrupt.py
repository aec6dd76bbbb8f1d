"""Ctrl-C, as a terminal sends it: to every process at once, git too. Each command ends with 130 and one line."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from shop import Shop, popularity
from world import own_mounts

MOST_CALLS = 80  # of git by one command line: the loops below end where it is done before


class Desk:
    """A shop, and a git on the PATH that sends an interrupt to the whole group at its nth start."""

    def __init__(self, root: Path) -> None:
        self.shop = Shop(root / "shop")
        self.calls, self.bin = root / "calls", root / "bin"
        self.bin.mkdir()
        # It ends itself first, and then the others.
        interrupt = "(trap '' INT; kill -INT $$; kill -INT 0)"
        (self.bin / "git").write_text(
            f'#!/bin/sh\nset -- "{shutil.which("git")}" "$@"\necho >> "{self.calls}"\n'
            f'if [ $(wc -l < "{self.calls}") -eq "$INTERRUPT_AT" ]; then {interrupt}; fi\nexec "$@"\n'
        )
        (self.bin / "git").chmod(0o755)

    def run(self, *words: str, at: int) -> subprocess.CompletedProcess[str]:
        """One command line, interrupted when it starts git for the nth time."""
        self.calls.write_text("")
        return subprocess.run(
            [sys.executable, "-m", "pointsman", "-C", str(self.shop.desk), *words],
            env={**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}", "INTERRUPT_AT": str(at)},
            start_new_session=True,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("interrupt"))


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """One target is current and in serving, and has an open pull request."""
    root = tmp_path_factory.mktemp("busy")
    desk = Desk(root)
    desk.shop.publish(popularity(root / "p1.json", 10), merge=True)
    desk.shop.publish(popularity(root / "p2.json", 11, day=2))
    desk.shop.sync()
    return desk


def was_interrupted(ran: subprocess.CompletedProcess[str]) -> bool:
    said = ran.stderr.splitlines()
    return ran.returncode == 128 + signal.SIGINT and len(said) == 1 and said[0].startswith("pointsman: interrupted")


@pytest.mark.slow
def test_an_interrupt_of_git_and_of_us_is_no_trouble_of_git(desk: Desk) -> None:
    ran = desk.run("pr", "list", at=6)
    assert was_interrupted(ran), ran
    assert ran.stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize("words", ["pr list", "status", "log", "sync --dry-run", "pr refresh", "--json pr list"])
def test_a_command_ends_so_wherever_it_is(busy: Desk, words: str) -> None:
    interrupted = 0
    for at in range(1, MOST_CALLS):
        ran = busy.run(*words.split(), at=at)
        if ran.returncode == 0:
            break
        interrupted += 1
        assert was_interrupted(ran), (at, ran)
    assert 3 < interrupted < MOST_CALLS - 1


@pytest.mark.slow
@pytest.mark.parametrize("words, most", [("sync --watch 0.01", 24), ("status --watch", 10)])
def test_a_watch_ends_with_0_and_nothing_to_say(busy: Desk, words: str, most: int) -> None:
    watching = 0
    for at in range(1, most):  # status looks once in 5 seconds: these are the calls of its first look, and one more
        ran = busy.run(*words.split(), at=at)
        if ran.returncode == 0:
            watching += 1
            assert ran.stderr == "", (at, ran)
        else:
            assert not watching, "it ended with 0 at an earlier moment"
            assert was_interrupted(ran), (at, ran)
    assert watching > 3


def test_an_interrupt_while_the_tool_is_loaded_is_one_line_too() -> None:
    program = (
        "import signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'pointsman.cli.console':\n"
        "            signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from pointsman.__main__ import run\n"
        "run()\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert was_interrupted(ran), ran


def test_a_command_that_is_told_to_end_leaves_nothing_behind_though_it_is_the_first_process(tmp_path: Path) -> None:
    """The first process of a container gets no SIGTERM that it does not ask for."""
    first = own_mounts("--pid", "--fork", "--mount-proc")
    shop = Shop(tmp_path / "shop")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    (tmp_path / "bin").mkdir()
    git = tmp_path / "bin" / "git"  # its fetch goes on until all is over
    git.write_text(
        f'#!/bin/sh\ncase " $* " in *" fetch "*) echo >"{tmp_path}/fetching"; kill -TERM $PPID; exec sleep 600;; esac\n'
        f'exec "{shutil.which("git")}" "$@"\n'
    )
    git.chmod(0o755)
    ran = subprocess.run(
        [*first, sys.executable, "-m", "pointsman", "-C", f"file://{shop.origin}", "status"],
        env={**os.environ, "PATH": f"{git.parent}:{os.environ['PATH']}", "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (tmp_path / "fetching").exists()
    assert ran.returncode == 128 + signal.SIGTERM, ran
    assert ran.stderr == "pointsman: ended by SIGTERM; running the command again finishes what it began\n"
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_an_interrupt_that_a_destructor_swallows_still_ends_in_130() -> None:
    program = (
        "import signal, sys; from pointsman.errors import Unreachable; from pointsman.cli import main\n"
        "class Held:\n"
        "    def __del__(self): signal.raise_signal(signal.SIGINT)\n"
        "def interrupted(*_):\n"
        "    Held()\n"
        "    raise Unreachable('git was killed')\n"
        "from pointsman.verbs import hash as verb; verb.hash_files = interrupted\n"
        "sys.exit(main(['hash', '.']))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert was_interrupted(ran), ran


@pytest.mark.slow
def test_what_a_shell_runs_in_the_background_hears_no_interrupt(desk: Desk) -> None:
    desk.calls.write_text("")
    script = f"trap '' INT; exec '{sys.executable}' -m pointsman -C '{desk.shop.desk}' pr list"
    environment = {**os.environ, "PATH": f"{desk.bin}:{os.environ['PATH']}", "INTERRUPT_AT": "6"}
    ran = subprocess.run(
        ["sh", "-c", script], env=environment, start_new_session=True, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
