"""The gate before a commit, run by pre-commit itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from runner import ROOT, registry_answers
from shop import git

from pointsman.verbs.init import init

BIN = Path(sys.executable).parent
RECORD = "registry/grocer/home/cooc"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new manifest repository, on a machine that has pre-commit and the tool."""
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    init(str(tmp_path / "desk"), store=None, serving=None, forge="local", sets=())
    return tmp_path / "desk"


def pre_commit(desk: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN / "pre-commit", *words], cwd=desk, capture_output=True, text=True, check=False)


def stage_a_stray_file(desk: Path) -> None:
    (desk / RECORD).mkdir(parents=True)
    (desk / RECORD / "notes.txt").write_text("not a record")
    git(desk, "add", "-A")


@pytest.mark.slow
def test_an_installed_hook_stops_what_breaks_a_rule_and_nothing_else(desk: Path) -> None:
    assert pre_commit(desk, "install").returncode == 0
    before = git(desk, "rev-parse", "HEAD")
    stage_a_stray_file(desk)
    identity = ["-c", "user.name=ann", "-c", "user.email=ann@example.org"]
    commit = ["git", *identity, "commit", "-m", "by hand"]
    stopped = subprocess.run(commit, cwd=desk, capture_output=True, text=True, check=False)
    assert stopped.returncode == 1
    assert "bad-path" in stopped.stderr
    assert git(desk, "rev-parse", "HEAD") == before
    git(desk, "rm", "-q", "--cached", "-r", RECORD)  # it may lie there, it only is no part of the commit
    (desk / "README.md").write_text("# Ours\n")
    git(desk, "add", "README.md")
    passed = subprocess.run(commit, cwd=desk, capture_output=True, text=True, check=False)
    assert passed.returncode == 0, passed.stderr
    assert git(desk, "rev-parse", "HEAD~1") == before


@pytest.mark.slow
def test_any_repository_can_try_the_hook_of_this_one(desk: Path, tmp_path: Path) -> None:
    ours = tmp_path / "pointsman"
    shutil.copytree(ROOT / "tool", ours / "tool", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copytree(ROOT / "share", ours / "share")
    for name in (".pre-commit-hooks.yaml", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, ours)
    git(ours, "init", "-q")
    git(ours, "add", "-A")
    git(ours, "commit", "-q", "-m", "the tool")
    stage_a_stray_file(desk)
    tried = pre_commit(desk, "try-repo", str(ours), "pointsman-check")
    if "bad-path" not in tried.stdout and not registry_answers(tmp_path):
        pytest.skip("no registry of Python packages can be reached")
    assert tried.returncode == 1
    assert "bad-path" in tried.stdout, tried.stdout + tried.stderr


@pytest.mark.slow
def test_this_repository_s_own_hooks_are_local_and_there(desk: Path) -> None:
    assert pre_commit(ROOT, "validate-config").returncode == 0
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    for hook in config["repos"][0]["hooks"]:
        command = (BIN / hook["entry"].split()[0].removeprefix(".venv/bin/")), *hook["entry"].split()[1:]
        ran = subprocess.run([*command, "--help"], cwd=desk, capture_output=True, check=False)
        assert ran.returncode == 0, hook["entry"]
