"""The page on the library: what it shows works, in this order, and a type checker has nothing to say about it."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from test_package import SOURCES, build, copy

from pointsman import api

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = re.compile(r"^API = (\{.*?^\})", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def test_every_name_of_the_library_is_there_has_words_and_is_on_a_page() -> None:
    assert sorted(api.__all__) == list(api.__all__)
    for name in api.__all__:
        assert getattr(api, name).__doc__, name
    (listed,) = REFERENCE.findall((ROOT / ".ci" / "docs_site.py").read_text())
    assert sorted(name for names in eval(listed).values() for name in names) == list(api.__all__)  # noqa: S307


def test_the_pages_use_no_name_that_is_not_of_the_library() -> None:
    for page in ("../README.md", "library.md", "orchestrators.md"):
        for block in blocks(page, "python"):
            tree = ast.parse(block)
            used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_api(node.value)}
            assert used <= {*api.__all__}, page
            imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
            assert not [name for name in imported if name and name.startswith("pointsman.")], page


def _is_api(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "api"


@pytest.mark.slow
def test_what_the_page_shows_ships_and_goes_back(tmp_path: Path) -> None:
    (tmp_path / "pointsman").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pointsman "$@"\n')
    (tmp_path / "pointsman").chmod(0o755)
    place = tmp_path / "place"
    place.mkdir()
    identity = {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **identity, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    prepared = ["bash", "-euo", "pipefail", "-c", "\n".join(blocks("library.md", "sh"))]
    subprocess.run(prepared, check=True, cwd=place, env=environment, stdout=subprocess.DEVNULL)
    once_more = 'print(publish_run("origin.git", ["monday.json"], "https://ci.example/runs/3"))'
    shown = [*blocks("library.md", "python"), blocks("orchestrators.md", "python")[0], once_more]
    program = [sys.executable, "-c", "\n".join(shown)]
    told = subprocess.check_output(program, cwd=place, env=environment, text=True).splitlines()
    assert re.fullmatch("grocer/home merged [0-9a-f]{40}", told[0])
    assert re.fullmatch("grocer/home [0-9a-f]{64} in-sync", told[1])
    assert [line.split()[1] for line in told[2:4]] == ["ship", "ship"]
    assert told[-3] == "merged"
    assert re.fullmatch(r"[0-9a-f]{64} \{'items': 2\}", told[-2])
    assert told[-1] == "['grocer/home: unchanged']"
    served = (place / "store/registry/current/grocer/home/manifest.json").read_text()
    assert told[-2].split()[0] in served  # Monday's again


@pytest.mark.slow
def test_a_type_checker_knows_the_library_where_it_is_installed(tmp_path: Path) -> None:
    wheel = build(copy(tmp_path / "source", *SOURCES), "wheel", tmp_path / "dist")
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    (installed,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    script = tmp_path / "script.py"
    readme = blocks("../README.md", "python")
    shown = "\n".join([*readme, *blocks("library.md", "python"), *blocks("orchestrators.md", "python")[:1]])
    wrong = "reveal_type(published.targets[0].outcome)\nshop.publish(['staging'], merge=1, wrong=2)\n"
    script.write_text(f"{shown}\n{wrong}")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--python-executable", str(python)]
    ran = subprocess.run([*mypy, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False)
    unknown, unfit = (line for line in ran.stdout.splitlines() if ": error: " in line)
    assert "Literal['merged']" in ran.stdout
    assert 'Unexpected keyword argument "wrong" for "publish" of "Repository"' in unknown
    assert 'Argument "merge" to "publish" of "Repository" has incompatible type "int"' in unfit
