"""The workflows of the gate, run by act, which the runners of Gitea and Forgejo are made of.

act runs offline and on this machine. Of what the workflows use, only what their Python makes of the installation is
ours: the tool of the commit that is checked out and the libraries of the tests.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from github.test_act import ACT, PYTHON
from shop import CALM, GROCER, git

from gitea.conftest import BRANDS
from gitea.hub import TOKEN, Hub
from gitea.team import Team
from pointsman.verbs.init import init


class Act(Team):
    """A team whose repository `init` made, and act, which runs its workflows."""

    def found(self, settings: str) -> None:
        brand = BRANDS[self.hub.brand]
        self.folder = brand.folder
        init(str(self.desk), store=f"file://{self.store}", serving=None, forge=brand.name.lower(), sets=())
        there = self.desk / "pointsman.toml"
        there.write_text(f"{there.read_text()}\n{CALM}")
        python = self.root / "bin" / "python3"
        python.parent.mkdir()
        python.write_text(PYTHON)
        python.chmod(0o755)
        (self.root / "home").mkdir()

    def run(self, event: str, workflow: str, payload: Mapping[str, Any], **inputs: str) -> tuple[int, str]:
        """Exit code of act and what it said; the payload is the event's."""
        path = self.root / "event.json"
        path.write_text(json.dumps({**payload, "inputs": inputs}))
        command = [
            str(ACT), event, "--workflows", f"{self.folder}/workflows/{workflow}", "--eventpath", str(path),
            "--actor", "ann", "--platform", "pointsman=-self-hosted", "--pull=false", "--action-offline-mode",
            "--no-cache-server", "--env", f"GITHUB_SERVER_URL={self.hub.url}", "--env", "GITHUB_REPOSITORY=o/r",
            "--secret", "GITHUB_TOKEN", "--secret", "POINTSMAN_TOKEN",
        ]  # fmt: skip
        env = {name: value for name, value in os.environ.items() if not name.startswith(("GIT", "FORGEJO_", "XDG_"))}
        env |= {
            "GIT_CONFIG_NOSYSTEM": "1",
            "HOME": str(self.root / "home"),
            "PATH": f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "GITHUB_TOKEN": TOKEN,
            "POINTSMAN_TOKEN": TOKEN,
            "NO_PROXY": "127.0.0.1",
        }
        ran = subprocess.run(
            command, cwd=self.desk, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return ran.returncode, ran.stdout


@pytest.fixture
def act(tmp_path: Path, hub: Hub) -> Act:
    return Act(tmp_path, hub)


def pull_event(hub: Hub, number: int) -> dict[str, Any]:
    pull = hub.pulls[number]
    head = {"ref": pull["ref"], "sha": pull["sha"], "repo": {"full_name": "o/r"}}
    return {
        "action": "synchronize",
        "number": number,
        "pull_request": {"number": number, "head": head, "base": {"ref": "main"}},
    }


@pytest.mark.slow
def test_check_ship_refresh_and_rollback_run_under_act_green_and_red(act: Act, hub: Hub) -> None:
    everything = []

    def ran(event: str, workflow: str, payload: Mapping[str, Any], **inputs: str) -> tuple[int, str]:
        code, said = act.run(event, workflow, payload, **inputs)
        everything.append(said)
        return code, said

    hub.protect()
    code, said = ran("workflow_dispatch", "publish.yml", {}, path=str(act.day(1)))
    assert code == 0, said
    (number,) = hub.numbers("ship/", "open")
    code, said = ran("pull_request", "check.yml", pull_event(hub, number))
    assert code == 0, said
    hub.approve(number)
    hub.button(number)
    code, said = ran("push", "ship.yml", {"ref": "refs/heads/main"})
    assert code == 0, said
    first = act.served
    assert first == f"{hub.git('show', f'main:{GROCER.manifest_path}')}\n".encode()

    git(act.desk, "pull", "-q", "origin", "main")
    manifest = act.desk / GROCER.manifest_path
    manifest.write_text(manifest.read_text().replace("2026", "2027", 1))
    git(act.desk, "commit", "-q", "-a", "-m", "mine")
    git(act.desk, "push", "-q", "origin", "HEAD:refs/heads/mine")
    git(act.desk, "reset", "-q", "--hard", "origin/main")
    wanted = {"title": "mine", "head": "mine", "base": "main", "body": ""}
    hub.answer("POST", f"{hub.api}/pulls", {}, wanted, f"token {TOKEN}")
    (edited,) = hub.numbers("mine")
    code, said = ran("pull_request", "check.yml", pull_event(hub, edited))
    assert code == 1, said
    assert "unvouched-manifest" in said
    hub.button(edited)
    code, said = ran("push", "ship.yml", {"ref": "refs/heads/main"})
    assert code == 1, said
    assert act.served == first

    why = 'half of "it" is $(touch gone)'
    inputs = {"target": "grocer/home", "reason": why, "now": "false", "hold": "false"}
    code, said = ran("workflow_dispatch", "rollback.yml", {}, **inputs)
    assert code == 0, said
    (back,) = hub.numbers("rollback/", "open")
    assert [each["name"] for each in hub.pulls[back]["labels"]] == ["rollback", "grocer/home"]
    code, said = ran("workflow_dispatch", "rollback.yml", {}, **{**inputs, "target": "grocer/nowhere"})
    assert code == 1, said
    hub.approve(back)
    hub.button(back)
    for workflow, ends in (("ship.yml", 0), ("refresh.yml", 0), ("drift.yml", 0), ("gc.yml", 0), ("audit.yml", 1)):
        code, said = ran("workflow_dispatch", workflow, {})
        assert code == ends, said
    assert "unvouched-manifest" in said, "audit finds what went past the gate"
    assert act.served == first
    assert not [said for said in everything if TOKEN in said]
    assert not [said for said in everything if "command not found" in said]
