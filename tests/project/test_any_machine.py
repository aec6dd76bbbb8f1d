"""The suite itself: a machine with habits of its own, and any order, change nothing."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Those that depend most on shells, signals, modes and what git is told.
FILES = ("parts/test_object_reader.py", "cli/test_interrupt.py", "stories/test_git_as_users_have_it.py")
HABITS = (
    "[commit]\n\tgpgsign = true\n[init]\n\tdefaultBranch = trunk\n[core]\n\tautocrlf = true\n\thooksPath = /nowhere\n"
)


@pytest.mark.slow
def test_blanks_in_paths_umask_077_an_ignored_interrupt_git_s_settings_and_a_mixed_order_change_nothing(
    tmp_path: Path,
) -> None:
    base = tmp_path / "a blank"
    base.mkdir()
    settings = tmp_path / "gitconfig"
    settings.write_text(f'{HABITS}[protocol "file"]\n\tallow = never\n')
    left_out = ("REQUIRE_ALL", "POINTSMAN_ROUNDS", "GIT_CONFIG_NOSYSTEM", "PYTEST_XDIST_WORKER")
    env = {name: value for name, value in os.environ.items() if name not in left_out}
    env |= {"POINTSMAN_SHUFFLE": "1", "GIT_CONFIG_SYSTEM": str(settings), "GIT_CONFIG_GLOBAL": str(settings)}
    tests = [str(ROOT / "tests" / file) for file in FILES]
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n0",
        "-p",
        "no:cacheprovider",
        "--basetemp",
        str(base / "t"),
        *tests,
    ]
    ran = subprocess.run(
        ["sh", "-c", f"umask 077; trap '' INT; exec {shlex.join(words)}"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-4000:]
