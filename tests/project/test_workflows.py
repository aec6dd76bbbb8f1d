"""The workflows: what they may, and their commands run for real against a bare repository that stands in for GitHub."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from runner import INSTALL, ROOT, Job, Runner, evaluate, load, registry_answers
from shop import GROCER, STAGING, Shop, git, popularity

from pointsman import __version__
from pointsman.verbs.init import init

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
OURS = [path for path in WORKFLOWS if path.name not in ("release.yml", "tests.yml")]
EXPRESSION = re.compile(r"\$\{\{")

SERVER = {"GITHUB_SERVER_URL": "https://github.example"}

# What a workflow may do beyond reading the repository.
PULLS = {"pull-requests": "write", "issues": "write"}
GRANTS = {
    "gc.yml": {"contents": "write"},
    "hold.yml": {"contents": "write", **PULLS},
    "publish.yml": {"contents": "write", **PULLS},
    "refresh.yml": {"contents": "write", **PULLS},
    "release.yml/docs": {"contents": "read", "pages": "write", "id-token": "write"},
    "release.yml/publish": {"contents": "write", "id-token": "write", "attestations": "write"},
    "revert.yml": {"contents": "read", **PULLS},
    "rollback.yml": {"contents": "write", **PULLS},
    "ship-version.yml": {"contents": "write", **PULLS},
}


def each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


def steps(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job["steps"]


# what they say


@each(WORKFLOWS)
def test_a_workflow_has_no_rights_but_those_that_its_job_names(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        granted = GRANTS.get(path.name) or GRANTS.get(f"{path.name}/{name}") or {"contents": "read"}
        assert job["permissions"] == granted
        assert job["timeout-minutes"] <= 60


@each(WORKFLOWS)
def test_actions_are_pinned_and_leave_no_token_behind(path: Path) -> None:
    for line in path.read_text().splitlines():
        if "uses:" in line:
            assert re.search(r"uses: actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line
    for step in steps(load(path)):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@each(WORKFLOWS)
def test_no_value_from_outside_becomes_part_of_a_script(path: Path) -> None:
    for step in steps(load(path)):
        assert not EXPRESSION.search(step.get("run", ""))
        assert "shell" not in step


@each(WORKFLOWS)
def test_no_trigger_gives_a_fork_s_change_our_rights_and_a_schedule_stands_beside_every_push(path: Path) -> None:
    on = load(path)["on"]
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & {*on}
    if "push" in on:
        assert {*on["push"]} == {"branches"}
        assert on["schedule"]


def test_check_runs_for_every_pull_request_and_in_the_queue_and_has_the_name_that_the_ruleset_requires() -> None:
    workflow = load(ROOT / ".github" / "workflows" / "check.yml")
    assert {*workflow["on"]} == {"pull_request", "merge_group"}
    assert {*workflow["on"]["pull_request"]} == {"branches", "types"}  # a filter of paths would leave the check unset
    assert {"opened", "reopened", "synchronize", "edited"} == {*workflow["on"]["pull_request"]["types"]}
    ruleset = json.loads((ROOT / ".github" / "ruleset.json").read_text())
    rules = {rule["type"]: rule.get("parameters", {}) for rule in ruleset["rules"]}
    assert [each["context"] for each in rules["required_status_checks"]["required_status_checks"]] == [
        *workflow["jobs"]
    ]
    assert {"deletion", "non_fast_forward", "required_linear_history"} < {*rules}
    assert rules["pull_request"]["require_code_owner_review"]
    assert rules["pull_request"]["required_approving_review_count"] == 1  # with 0 GitHub asks no code owner
    assert rules["pull_request"]["allowed_merge_methods"] == ["squash"]
    assert ruleset["bypass_actors"] == []


def test_check_takes_its_code_from_the_base_and_nowhere_else() -> None:
    (checkout,) = [
        step
        for step in steps(load(ROOT / ".github" / "workflows" / "check.yml"))
        if step.get("uses", "").startswith("actions/checkout@")
    ]
    of_a_pull, of_a_queue = (
        {"pull_request": {"head": {"sha": "bad"}}},
        {"merge_group": {"base_sha": "b", "head_sha": "h"}},
    )
    assert evaluate(checkout["with"]["ref"], {"github": {"event": of_a_pull, "base_ref": "main"}}) == "main"
    assert evaluate(checkout["with"]["ref"], {"github": {"event": of_a_queue, "base_ref": ""}}) == "b"
    assert "repository" not in checkout["with"]


@each(OURS)
def test_what_runs_is_the_tool_of_the_checkout_and_the_token_is_there_for_one_step_alone(path: Path) -> None:
    workflow = load(path)
    assert "env" not in workflow
    for job in workflow["jobs"].values():
        assert "GITHUB_TOKEN" not in job.get("env", {})
        for step in job["steps"]:
            assert "run" not in step or step["run"] == INSTALL or ".venv/bin/pointsman " in step["run"]


def test_a_waiting_run_that_github_drops_for_a_newer_one_is_never_missed() -> None:
    groups = {path.name: load(path).get("concurrency") for path in OURS}
    for lever in ("hold.yml", "publish.yml", "rollback.yml", "ship-version.yml"):
        assert groups[lever] is None  # each is another wish
    shared = [group for group in groups.values() if group and "${{" not in group["group"]]
    assert len({group["group"] for group in shared}) == len(shared) == 5
    assert not any(group["cancel-in-progress"] for group in shared)  # nothing is torn out of the middle of a sync
    assert groups["check.yml"]
    assert groups["check.yml"]["cancel-in-progress"]


# what they do


class Forge(Shop):
    """A shop whose repository `init` made, and a runner for its workflows."""

    def __init__(self, root: Path, shelf: Path) -> None:
        self.root = root
        self.origin = root / "origin.git"
        self.desk = root / "desk"
        self.store = root / "store"
        init(str(self.desk), store=f"file://{self.store}", serving=None, forge="local", sets=())
        git(root, "clone", "-q", "--bare", str(self.desk), str(self.origin))
        git(self.desk, "remote", "add", "origin", str(self.origin))
        git(self.desk, "fetch", "-q", "origin")
        self.runner = Runner(root / "runner", self.origin, shelf)

    def judge(self, head: str, *, base: str | None = None) -> Job:
        """What the workflow says of a head, as a pull request or, built on `base`, in the merge queue."""
        if base is not None:
            return self.runner.run("check.yml", {"merge_group": {"base_sha": base, "head_sha": head}})
        old = {"sha": git(self.origin, "rev-list", "--max-parents=0", "main")}
        return self.runner.run("check.yml", {"pull_request": {"number": 1, "head": {"sha": head}, "base": old}})

    def propose(self, *words: str, message: str = "a change") -> str:
        """Commit what the desk has now, where only refs/pull/1/head of the origin knows it, and go back to main."""
        git(self.desk, "add", "-A", "--force", *words)
        git(self.desk, "commit", "-q", "-m", message)
        git(self.desk, "push", "-q", "--force", "origin", "HEAD:refs/pull/1/head")
        head = git(self.desk, "rev-parse", "HEAD")
        git(self.desk, "reset", "-q", "--hard", "origin/main")
        return head

    def published(self, day: int) -> str:
        """The head of the ship pull request that publish.yml opened for one day."""
        path = popularity(self.root / f"{day}.json", 10, day=day)
        job = self.runner.run("publish.yml", inputs={"path": str(path)})
        assert job.code == 0, job.out
        (head,) = git(self.origin, "for-each-ref", "--format=%(objectname)", "refs/heads/ship").splitlines()
        return head


@pytest.fixture
def forge(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Forge:
    return Forge(tmp_path, tmp_path_factory.getbasetemp() / "tools")


@pytest.mark.slow
def test_a_day_from_publish_over_check_and_ship_to_drift_and_rollback(forge: Forge) -> None:
    head = forge.published(1)
    by = git(forge.origin, "log", "-1", "--format=%cn <%ce>%n%B", head)
    assert "ann <5+ann@users.noreply.github.com>" in by
    assert "Run: https://github.example/example/manifests/actions/runs/7" in by
    judged = forge.judge(head)
    assert judged.code == 0, judged.out
    assert judged.summary
    assert forge.judge(head, base=forge.main).code == 0
    forge.merge()
    shipped = forge.manifest
    again = forge.judge(head)  # the same event, although main has moved since
    assert again.code == 1
    assert "stale-base" in again.out
    assert forge.runner.run("ship.yml").code == 0
    assert forge.serving == shipped
    assert forge.runner.run("drift.yml").code == 0
    forge.published(2)
    forge.merge()
    (forge.store / "registry" / "current" / "grocer" / "home" / "manifest.json").write_text("{}")
    drift = forge.runner.run("drift.yml")
    assert drift.code == 1
    assert "grocer/home: serving is drifted" in drift.out
    before = forge.main
    wish = {"target": "grocer/home", "reason": 'half of "it" is $(touch gone)', "to": f"{before}~1", "now": False}
    assert forge.runner.run("rollback.yml", inputs={**wish, "target": "--help"}).code == 2  # an option is no target
    assert forge.runner.run("rollback.yml", inputs=wish).code == 0
    assert forge.main == before
    (waiting,) = forge.pulls()
    assert forge.judge(git(forge.origin, "rev-parse", waiting["branch"])).code == 0
    job = forge.runner.run("rollback.yml", inputs={**wish, "to": "", "now": True})
    assert job.code == 0, job.out
    assert forge.manifest == forge.serving == shipped
    assert forge.runner.run("rollback.yml", inputs={**wish, "target": ""}).code == 2
    run = {"reason": "bad", "run": "https://github.example/example/manifests/actions/runs/7", "hold": True, "now": True}
    told = forge.runner.run("rollback.yml", inputs=run)
    assert told.code == 2
    assert "grocer/home was first shipped by this run" in told.out
    assert f"Reason: {wish['reason']}" in git(forge.origin, "log", "-1", "--format=%B", "main")
    assert not (job.workspace / "gone").exists()
    audit = forge.runner.run("audit.yml")
    assert audit.code == 0, audit.out
    collected = forge.runner.run("gc.yml")
    assert collected.code == 0, collected.out
    assert "A dry run" in collected.summary
    collected = forge.runner.run("gc.yml", variables={"POINTSMAN_GC": "delete"})
    assert collected.code == 0, collected.out
    assert "0 taken, 0 purged from the trash" in collected.summary


@pytest.mark.slow
def test_a_pipeline_in_the_same_run_hands_its_artifact_over(forge: Forge) -> None:
    inputs = {"artifact": "staging", "accept": "items-drop  kept-low", "reason": "a smaller shop"}
    job = forge.runner.run("publish.yml", inputs=inputs, artifacts={"staging": STAGING})
    assert job.code == 0, job.out
    assert ["grocer/home"] in [pull["targets"] for pull in forge.pulls()]
    wish = {"path": str(STAGING), "window": "all", "merge": True, "reship": True, "reason": "again"}
    job = forge.runner.run("publish.yml", inputs=wish)
    assert job.code == 0, job.out
    assert forge.manifest == forge.serving
    wish = {"path": str(STAGING), "drop": "grocer/home:* grocer/home:cooc; --help", "accept": "* $(touch gone)"}
    job = forge.runner.run("publish.yml", inputs=wish)
    assert job.code == 2, job.out
    assert not (job.workspace / "gone").exists()


@pytest.mark.slow
def test_ships_are_stopped_and_let_pass_again_and_a_recorded_version_is_shipped(forge: Forge) -> None:
    forge.published(1)
    forge.merge()
    forge.published(2)
    forge.merge()
    first = json.loads(git(forge.origin, "show", f"main~1:{GROCER.manifest_path}"))["current"]["popularity"][-69:-5]
    hold = {"action": "hold", "targets": "grocer/* nobody/home", "until": "2h", "reason": "$(touch gone)", "now": True}
    assert forge.runner.run("hold.yml", inputs={**hold, "action": "gc"}).code == 2
    assert forge.runner.run("hold.yml", inputs={**hold, "targets": "--help"}).code == 2
    held = forge.runner.run("hold.yml", inputs=hold)
    assert held.code == 5, held.out
    assert "nobody/home: failed: nobody/home was never shipped here" in held.out
    wish = {
        "target": "grocer/home",
        "versions": f"popularity@{first[:12]}",
        "merge": True,
        "reship": True,
        "reason": "x",
    }
    stopped = forge.runner.run("ship-version.yml", inputs=wish)
    assert stopped.code == 1
    assert "on-hold" in stopped.out
    release = {"action": "release", "targets": "grocer/home", "reason": "over"}
    assert forge.runner.run("hold.yml", inputs={**release, "run": "https://ci.example/8"}).code == 2
    assert forge.runner.run("hold.yml", inputs=release).code == 0
    (waiting,) = forge.pulls()
    forge.merge(waiting["id"])
    shipped = forge.runner.run("ship-version.yml", inputs={**wish, "accept": "window-regressed  window-stale"})
    assert shipped.code == 0, shipped.out
    assert first in str(forge.serving)
    again = forge.runner.run("ship-version.yml", inputs={"target": "grocer/home"})
    assert again.code == 0, again.out
    assert forge.pulls()[0]["targets"] == ["grocer/home"]
    assert not (held.workspace / "gone").exists()


@pytest.mark.slow
def test_nothing_of_a_hostile_change_runs_and_it_is_refused(forge: Forge, tmp_path: Path) -> None:
    forge.published(1)
    forge.merge()
    forge.pull()
    marker = tmp_path / "executed"
    python = f"open({str(marker)!r}, 'w').close()\n"
    shell = f"#!/bin/sh\ntouch {marker}\n"
    desk = forge.desk
    for path in ("sitecustomize.py", "usercustomize.py", "conftest.py", "setup.py", "click.py", "pointsman.py"):
        (desk / path).write_text(python)
    for module in (desk / "tool" / "pointsman").glob("*.py"):
        module.write_text(python)
    for path in (".github/install.sh", ".venv/bin/pointsman", ".venv/bin/python", "git", ".git-hooks/post-checkout"):
        (desk / path).parent.mkdir(parents=True, exist_ok=True)
        (desk / path).write_text(shell)
        (desk / path).chmod(0o755)
    (desk / ".gitattributes").write_text("* filter=evil diff=evil merge=evil text eol=crlf\n")
    (desk / ".gitconfig").write_text(f'[filter "evil"]\nsmudge = {marker}\n[core]\nhooksPath = .git-hooks\n')
    (desk / ".gitmodules").write_text(f'[submodule "x"]\npath = x\nurl = ext::sh -c "touch {marker}"\n')
    workflow = desk / ".github" / "workflows" / "check.yml"
    workflow.write_text(re.sub(r"run: .*", f"run: touch {marker}", workflow.read_text()))
    (desk / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "click"\nbackend-path = ["."]\n'
    )
    (desk / "pointsman.toml").write_text(f'[store]\nurl = "file://{tmp_path}/evil"\n')
    manifest = desk / GROCER.manifest_path
    manifest.write_text(manifest.read_text().replace("file://", "https://evil.example"))
    message = "a change\n\nAccept: grocer/home mixed-change x\n::add-mask::grocer\n"
    judged = forge.judge(forge.propose(message=message))
    assert judged.code == 1, judged.out
    assert {"mixed-change", "unvouched-manifest"} <= {*re.findall(r"[a-z]+-[a-z]+", judged.out)}
    assert re.search(r"^::error file=manifests/grocer/home/manifest.json", judged.out, re.MULTILINE)
    assert "mixed-change" in judged.summary
    assert "**Stopped by " in judged.summary  # the review is there, although the gate said no
    assert not marker.exists()
    assert git(judged.workspace, "rev-parse", "HEAD") == forge.main
    assert git(judged.workspace, "status", "--porcelain") == ""


@pytest.mark.slow
def test_a_change_of_the_tool_alone_is_judged_by_the_tool_of_main_and_passes(forge: Forge, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    for module in (forge.desk / "tool" / "pointsman").glob("*.py"):
        module.write_text(f"open({str(marker)!r}, 'w').close()\n")
    judged = forge.judge(forge.propose())
    assert judged.code == 0, judged.out
    assert not marker.exists()


@pytest.mark.slow
def test_a_site_is_written_and_published_with_the_rights_that_pages_need(forge: Forge) -> None:
    published = ROOT / "tool" / "pointsman" / "templates" / "pages" / "site.yml"
    (job,) = load(published)["jobs"].values()
    assert {name for name, right in job["permissions"].items() if right == "write"} == {"pages", "id-token"}
    shutil.copy(published, forge.desk / ".github" / "workflows")
    forge.push("site")
    told = forge.runner.run("site.yml")
    assert told.code == 0, told.out
    assert (told.workspace / "public" / "audit.html").is_file()
    again = forge.runner.run("site.yml")
    assert "1 of them new" in again.out  # the overview alone: it goes on from the pages of the run before


@pytest.mark.slow
def test_the_tool_of_a_new_repository_is_installed_as_the_workflows_do_it(forge: Forge) -> None:
    job = forge.runner.run("audit.yml", install=True)
    if job.code != 0 and not registry_answers(forge.root):
        pytest.skip("no registry of Python packages can be reached")
    assert job.code == 0, job.out
    command = [str(job.workspace / ".venv" / "bin" / "pointsman"), "--version"]
    assert subprocess.check_output(command, text=True, cwd=forge.root) == f"pointsman {__version__}\n"


def test_git_takes_the_token_from_the_environment_for_the_forge_alone(forge: Forge, tmp_path: Path) -> None:
    script = (forge.desk / ".github" / "install.sh").read_text()
    lines = script[script.index("helper=") :]
    memory = tmp_path / "remembered"
    git(forge.desk, "config", "credential.helper", f"store --file={memory}")  # as the owner of a runner may have it
    for _ in range(2):  # a self-hosted runner keeps its checkout
        subprocess.run(["bash", "-euc", lines], cwd=forge.desk, check=True, env={**os.environ, **SERVER})

    def credential(verb: str, *lines: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "GITHUB_TOKEN": "the-token", "GIT_TERMINAL_PROMPT": "0"}
        text = "".join(f"{line}\n" for line in ("protocol=https", *lines, ""))
        return subprocess.run(
            ["git", "credential", verb],
            cwd=forge.desk,
            env=env,
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )

    assert "password=the-token" in credential("fill", "host=github.example").stdout.splitlines()
    assert credential("fill", "host=evil.example").returncode != 0
    credential("approve", "host=github.example", "username=x-access-token", "password=the-token")
    assert not memory.exists()
    assert "the-token" not in (forge.desk / ".git" / "config").read_text()
