"""The order of the house: no large rooms, no long modules, no circles, and contracts that bite."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

import pointsman

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(pointsman.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
LONGEST_MODULE = 350  # lines
LONGEST_CLASS = 250
MOST_MODULES = 30  # of a folder
GROWING = {"cli": 45, "verbs": 50, "rules": 45}  # a file for each thing


def test_no_folder_has_too_many_modules() -> None:
    folders = Counter(path.parent.relative_to(PACKAGE) for path in MODULES if path.name != "__init__.py")
    assert {
        str(folder): count for folder, count in folders.items() if count > GROWING.get(str(folder), MOST_MODULES)
    } == {}


def test_no_module_and_no_class_is_too_long() -> None:
    long: dict[str, int] = {}
    for path in MODULES:
        text = path.read_text("utf-8")
        name = str(path.relative_to(PACKAGE))
        long |= {name: length} if (length := text.count("\n")) > LONGEST_MODULE else {}
        for node in ast.walk(ast.parse(text)) if length > LONGEST_CLASS else ():  # to parse them all takes seconds
            if isinstance(node, ast.ClassDef) and (node.end_lineno or 0) - node.lineno >= LONGEST_CLASS:
                long[f"{name}: {node.name}"] = (node.end_lineno or 0) - node.lineno + 1
    assert long == {}


@pytest.mark.slow
def test_a_command_has_one_clock_and_whoever_else_asks_for_the_time_says_why() -> None:
    """So that a test, and two parts of one command, never see two times."""
    may = {
        "workspace.py": "the clock itself",
        "repo/repository.py": "a commit has the machine's time, as git gives it",
        "cli/console.py": "when a wait ends, for whoever reads it",
        "cli/sync.py": "when a pass ended, for whoever watches the process",
        "cli/listening.py": "when a pass ended, for whoever watches the process",
        "serving/cloud_events.py": "when a message was sent",
        "verbs/demo_services.py": "services of others, which the demo plays",
    }
    found = set()
    for path in MODULES:
        calls = (node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
        if {"time.time", "datetime.now"} & {ast.unparse(call) for call in calls}:
            found.add(str(path.relative_to(PACKAGE)))
    assert found == may.keys()


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = grimp.build_graph("pointsman", cache_dir=None)
    order = TopologicalSorter({module: graph.find_modules_directly_imported_by(module) for module in graph.modules})
    try:
        order.prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_every_package_says_what_it_is_for_and_holds_no_code_but_what_it_hands_on() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        tree = ast.parse(path.read_text("utf-8"))
        assert ast.get_docstring(tree), path
        assert not any(isinstance(node, ast.ClassDef) for node in tree.body), path


# the contracts of pyproject.toml


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the package and of its contracts."""
    shutil.copytree(PACKAGE, tmp_path / "pointsman", ignore=shutil.ignore_patterns("__pycache__", "demo_data"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def contracts(house: Path) -> tuple[int, str]:
    ran = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache", "--no-logo"],
        cwd=house,
        env={**os.environ, "PYTHONPATH": str(house)},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout


def lines(text: str) -> Iterator[str]:
    return (" ".join(line.split()) for line in text.splitlines())


def add(path: Path, line: str) -> None:
    """Put an import into a module, where a function makes it."""
    path.write_text(path.read_text("utf-8") + f"\n\ndef _late() -> None:\n    {line}\n", "utf-8")


@pytest.mark.slow
def test_the_contracts_are_kept_as_things_are(house: Path) -> None:
    code, out = contracts(house)
    assert code == 0, out


@pytest.mark.slow
def test_a_rule_may_not_reach_a_process_by_way_of_a_helper(house: Path) -> None:
    (house / "pointsman" / "state" / "helper.py").write_text('"""A helper."""\n\nimport subprocess\n')
    add(house / "pointsman" / "rules" / "stale_base.py", "from pointsman.state import helper")
    code, out = contracts(house)
    assert code == 1
    assert any(said.startswith("Rules, guardrails, artifacts and values do no I/O BROKEN") for said in lines(out)), out


@pytest.mark.slow
@pytest.mark.parametrize(
    "module,line,broken",
    [
        ("state/names.py", "from pointsman.repo import git", "Imports run one way"),
        ("gate/gate.py", "from pointsman.shipping import ship", "Imports run one way"),
        ("repo/snapshot.py", "from pointsman.store import base", "The repository knows no store and no artifact"),
        ("verbs/get.py", "import obstore", "Only the buckets know obstore"),
        ("verbs/get.py", "import git", "Only repo.process knows GitPython"),
    ],
)
def test_an_import_that_goes_the_wrong_way_is_refused(house: Path, module: str, line: str, broken: str) -> None:
    add(house / "pointsman" / module, line)
    code, out = contracts(house)
    assert code == 1
    assert any(said.startswith(f"{broken} BROKEN") for said in lines(out)), out


@pytest.mark.slow
def test_a_new_package_must_be_placed(house: Path) -> None:
    (house / "pointsman" / "newcomer").mkdir()
    (house / "pointsman" / "newcomer" / "__init__.py").write_text('"""New."""\n')
    code, out = contracts(house)
    assert code == 1
    assert "newcomer" in out
