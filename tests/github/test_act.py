"""The workflows of the gate, run by act: events, expressions and secrets are read by another than our own runner.

act runs offline and on this machine. Of what the workflows use, three things are ours: actions/checkout, with the
options that they give it; actions/setup-python, which names the Python of the tests; and what that Python makes of the
installation, which is the tool of the commit that is checked out and the libraries of the tests.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from runner import ROOT
from shop import CALM, GROCER, git

from github.hub import API, TOKEN, Hub
from github.team import Team
from pointsman.verbs.init import init

ACT = Path(sys.executable).with_name("act")
USES = {
    name: re.search(rf"uses: (actions/{name}@[0-9a-f]{{40}})", (ROOT / ".github/workflows/check.yml").read_text())
    for name in ("checkout", "setup-python")
}
CHECKOUT = """
name: checkout
inputs:
  ref: {required: true}
  filter: {required: true}
  token: {default: "${{ github.token }}"}
runs:
  using: composite
  steps:
    - shell: bash
      env:
        REF: ${{ inputs.ref }}
        FILTER: ${{ inputs.filter }}
        TOKEN: ${{ inputs.token }}
      run: |
        find . -mindepth 1 -delete
        git init --quiet .
        git remote add origin "$GITHUB_SERVER_URL/o/r.git"
        header="Authorization: Basic $(printf 'x-access-token:%s' "$TOKEN" | base64 --wrap 0)"
        git -c "http.extraheader=$header" fetch --quiet --no-tags --filter="$FILTER" origin \\
          '+refs/heads/*:refs/remotes/origin/*'
        git -c "http.extraheader=$header" checkout --quiet -B "$REF" "refs/remotes/origin/$REF"
"""
SETUP = """
name: setup-python
inputs:
  python-version: {required: true}
runs:
  using: composite
  steps:
    - shell: bash
      run: echo "@BIN@" >> "$GITHUB_PATH"
"""
# `python -m venv --clear .venv`, and in it a pip that has everything already.
PYTHON = f"""#!/bin/sh
mkdir -p .venv/bin
printf '#!/bin/sh\\nexit 0\\n' > .venv/bin/pip
tool='PYTHONPATH="%s/tool" PYTHONSAFEPATH=1 exec {shlex.quote(sys.executable)} -m pointsman "$@"'
printf "#!/bin/sh\\n$tool\\n" "$PWD" > .venv/bin/pointsman
chmod +x .venv/bin/pip .venv/bin/pointsman
"""


class Act(Team):
    """A team whose repository `init` made, and act, which runs its workflows."""

    def found(self, settings: str) -> None:
        init(str(self.desk), store=f"file://{self.store}", serving=None, forge="github", sets=())
        there = self.desk / "pointsman.toml"
        there.write_text(f"{there.read_text()}\n{CALM}")
        for name, action in (("checkout", CHECKOUT), ("setup-python", SETUP.replace("@BIN@", str(self.root / "bin")))):
            (self.root / name).mkdir()
            (self.root / name / "action.yml").write_text(action)
        python = self.root / "bin" / "python"
        python.parent.mkdir()
        python.write_text(PYTHON)
        python.chmod(0o755)
        (self.root / "home").mkdir()

    def run(self, event: str, workflow: str, payload: Mapping[str, Any], **inputs: str) -> tuple[int, str]:
        """Exit code of act and what it said; the payload is the event's."""
        path = self.root / "event.json"
        path.write_text(json.dumps({**payload, "inputs": inputs}))
        replaced = [f"--local-repository={used[1]}={self.root / name}" for name, used in USES.items() if used]
        command = [
            str(ACT), event, "--workflows", f".github/workflows/{workflow}", "--eventpath", str(path), "--actor", "ann",
            "--platform", "ubuntu-24.04=-self-hosted", "--pull=false", "--action-offline-mode", "--no-cache-server",
            "--env", f"GITHUB_SERVER_URL={self.hub.url}", "--env", f"GITHUB_API_URL={self.hub.url}/api/v3",
            "--secret", "GITHUB_TOKEN", *replaced,
        ]  # fmt: skip
        env = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "GITHUB_", "XDG_"))}
        env |= {
            "GIT_CONFIG_NOSYSTEM": "1",
            "HOME": str(self.root / "home"),
            "GITHUB_TOKEN": TOKEN,
            "NO_PROXY": "127.0.0.1",
        }
        ran = subprocess.run(
            command,
            cwd=self.desk,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return ran.returncode, ran.stdout


@pytest.fixture
def act(tmp_path: Path, hub: Hub) -> Act:
    return Act(tmp_path, hub)


def pull_event(hub: Hub, number: int) -> dict[str, Any]:
    pull = hub.pulls[number]
    return {
        "action": "synchronize",
        "number": number,
        "pull_request": {"number": number, "head": {"ref": pull["ref"], "sha": pull["sha"]}, "base": {"ref": "main"}},
    }


@pytest.mark.slow
def test_check_ship_and_rollback_run_under_act_green_and_red(act: Act, hub: Hub) -> None:
    everything = []

    def ran(event: str, workflow: str, payload: Mapping[str, Any], **inputs: str) -> tuple[int, str]:
        code, said = act.run(event, workflow, payload, **inputs)
        everything.append(said)
        return code, said

    act.publish(act.day(1))
    (number,) = hub.numbers("ship/", "open")
    code, said = ran("pull_request", "check.yml", pull_event(hub, number))
    assert code == 0, said
    assert "The first ship of grocer/home" in said, "the summary"
    hub.approve(number)
    hub.button(number)
    code, said = ran("push", "ship.yml", {"ref": "refs/heads/main"})
    assert code == 0, said
    first = act.served
    assert first == f"{hub.git('show', f'main:{GROCER.manifest_path}')}\n".encode()

    edited = by_hand(act)
    code, said = ran("pull_request", "check.yml", pull_event(hub, edited))
    assert code == 1, said
    assert "unvouched-manifest" in said
    hub.button(edited)
    code, said = ran("push", "ship.yml", {"ref": "refs/heads/main"})
    assert code == 1, said
    assert "unvouched-manifest" in said
    assert act.served == first

    code, said = ran("workflow_dispatch", "rollback.yml", {}, target="grocer/nowhere", reason="bad")
    assert code == 1, said
    assert "grocer/nowhere" in said
    assert hub.numbers("rollback/") == []
    why = 'half of "it" is $(touch gone)'
    code, said = ran("workflow_dispatch", "rollback.yml", {}, target="grocer/home", reason=why)
    assert code == 0, said
    (back,) = hub.numbers("rollback/", "open")
    assert hub.pulls[back]["labels"] == ["rollback", "grocer/home"]
    code, said = ran("pull_request", "check.yml", pull_event(hub, back))
    assert code == 0, said
    hub.approve(back)
    hub.button(back)
    code, said = ran("push", "ship.yml", {"ref": "refs/heads/main"})
    assert code == 0, said
    assert act.served == first
    assert not [said for said in everything if TOKEN in said]


def by_hand(act: Act) -> int:
    """A pull request of somebody who edits a manifest."""
    git(act.desk, "pull", "-q", "origin", "main")
    manifest = act.desk / GROCER.manifest_path
    manifest.write_text(manifest.read_text().replace("2026", "2027", 1))
    git(act.desk, "commit", "-q", "-a", "-m", "mine")
    git(act.desk, "push", "-q", "origin", "HEAD:refs/heads/mine")
    git(act.desk, "reset", "-q", "--hard", "origin/main")
    wanted = {"title": "mine", "head": "mine", "base": "main", "body": ""}
    return int(act.hub.answer("POST", f"{API}/pulls", {}, wanted, TOKEN)[1]["number"])
