"""`make` compiles the package for those whose Python keeps nothing: otherwise each command would take twice as long."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pointsman


@pytest.mark.slow
def test_the_whole_package_is_compiled_once_for_those_who_may_keep_nothing(tmp_path: Path) -> None:
    package, modules = Path(pointsman.__file__).parent, tmp_path / "tool"
    shutil.copytree(package, modules / "pointsman", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pointsman.report.compile_all"]
    environment = {**os.environ, "PYTHONPATH": str(modules), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout + done.stderr == ""
    kept = {path.relative_to(modules).as_posix().split(".cpython")[0] for path in modules.rglob("*.pyc")}
    texts = {path.relative_to(modules).with_suffix("").as_posix() for path in modules.rglob("*.py")}
    pages = {f"pointsman/report/{path.name}" for path in modules.rglob("templates/*.html")}
    assert {each.replace("/__pycache__", "") for each in kept} == texts | pages
