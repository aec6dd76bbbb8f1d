"""On a terminal the log is shown page by page, by the program that the user names; anywhere else it is printed."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from shop import STAGING

from pointsman.cli.main import main

TOLD = b"grocer/home"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = str(tmp_path_factory.mktemp("pager") / "shop")
    assert main(["init", directory]) == 0
    day = ("--window", "2026-03-01_2026-03-02")
    assert main(["-C", directory, "publish", str(STAGING / "grocer"), *day, "--merge"]) == 0
    return directory


@pytest.fixture
def on_a_terminal(shop: str, tmp_path: Path) -> Callable[..., bytes]:
    """What a terminal shows of a command, run with some variables. A pager "pages" marks what it was given."""
    pager = tmp_path / "pages"
    pager.write_text(f"#!{sys.executable}\nimport sys\nprint('PAGED', *sys.argv[1:], sys.stdin.read())\n")
    pager.chmod(0o755)

    def run(*words: str, **variables: str) -> bytes:
        here, there = pty.openpty()
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "TERM": "xterm", "PATH": path, **variables}
        program = [sys.executable, "-P", "-m", "pointsman", "-C", shop, *words]
        with subprocess.Popen(program, stdin=there, stdout=there, stderr=there, env=environment) as ran:
            os.close(there)
            shown = b""
            try:
                while some := os.read(here, 1 << 16):
                    shown += some
            except OSError:  # EIO: nobody has the terminal open any more
                pass
        os.close(here)
        assert ran.returncode == 0, shown
        return shown

    return run


@pytest.mark.slow
def test_the_pager_of_the_user_gets_the_log(on_a_terminal: Callable[..., bytes]) -> None:
    shown = on_a_terminal("log", POINTSMAN_PAGER="pages -x", PAGER="false")
    assert shown.startswith(b"PAGED -x ")
    assert TOLD in shown


@pytest.mark.slow
@pytest.mark.parametrize(
    "words,variables",
    [
        (("log",), {"POINTSMAN_PAGER": "", "PAGER": "pages"}),
        (("log",), {"POINTSMAN_PAGER": "cat"}),
        (("log",), {"PAGER": "no-such-program"}),
        (("log", "--json"), {"PAGER": "pages"}),
        (("log", "--format", "csv"), {"PAGER": "pages"}),
        (("status",), {"PAGER": "pages"}),
    ],
)
def test_what_is_not_paged_is_printed(
    on_a_terminal: Callable[..., bytes], words: tuple[str, ...], variables: dict[str, str]
) -> None:
    shown = on_a_terminal(*words, **variables)
    assert TOLD in shown
    assert b"PAGED" not in shown


@pytest.mark.slow
def test_a_reader_who_leaves_the_pager_early_ends_nothing_badly(on_a_terminal: Callable[..., bytes]) -> None:
    on_a_terminal("log", PAGER="true")


@pytest.mark.slow
def test_without_a_terminal_no_pager_is_asked(shop: str) -> None:
    environment = {**os.environ, "PAGER": "false"}
    out = subprocess.check_output([sys.executable, "-P", "-m", "pointsman", "-C", shop, "log"], env=environment)
    assert TOLD in out
