"""What `init` writes for Gitea and Forgejo: it is whole, and it is what their servers take."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from runner import ACTIONLINT, ROOT, load

from gitea.conftest import Forge
from gitea.described import description
from gitea.hub import TOKEN, Hub
from pointsman.cli.init import render
from pointsman.forge.generated import template, templates
from pointsman.forge.gitea.brand import Brand
from pointsman.repo.open import open_repository
from pointsman.verbs.check import check
from pointsman.verbs.init import init
from pointsman.workspace import Workspace

NAMES = ("audit", "check", "drift", "gc", "hold", "publish", "refresh", "revert", "rollback", "ship", "ship-version")
WRITES = {"contents": "write", "pull-requests": "write", "issues": "write"}
GRANTS = {
    "gc": {"contents": "write"},
    "hold": WRITES,
    "publish": WRITES,
    "refresh": WRITES,
    "rollback": WRITES,
    "ship-version": WRITES,
    "revert": {**WRITES, "contents": "read"},
}


@pytest.fixture
def made(tmp_path: Path, brand: Brand) -> Path:
    init(str(tmp_path / "shop"), store=None, serving=None, forge=brand.name.lower(), sets=())
    return tmp_path / "shop"


@pytest.mark.parametrize("kind", ["gitea", "forgejo"])
def test_the_pages_are_those_that_init_writes(kind: str) -> None:
    assert (ROOT / "docs" / f"{kind}.md").read_bytes() == template(kind, "gitea.md"), "write docs anew from templates/"


def test_a_new_repository_is_whole_and_names_its_own_forge_alone(tmp_path: Path, brand: Brand) -> None:
    kind, other = brand.name.lower(), {"Gitea": "forgejo", "Forgejo": "gitea"}[brand.name]
    outcome = init(str(tmp_path / "shop"), store=None, serving=None, forge=kind, sets=())
    made = tmp_path / "shop"
    assert {f".{kind}/workflows/{name}.yml" for name in NAMES} < {*templates(kind)}
    for path in templates(kind):
        text = (made / path).read_text()
        assert other not in text.lower(), path
        assert path in ("pyproject.toml", "requirements.txt", "LICENSE") or "github.md" not in text, path
    assert not (made / ".github").exists()
    assert f'kind = "{kind}"\nrecords = "push"' in (made / "pointsman.toml").read_text()
    said = render(outcome.value)
    assert f"on {brand.name}; then" in said
    assert f"docs/{kind}.md" in said
    with open_repository(str(made)) as repo:
        assert check(Workspace(repo)).exit_code == 0


@pytest.mark.slow
def test_main_s_rule_and_the_ways_to_merge_are_taken_and_leave_doctor_nothing_to_say(
    forge: Forge, hub: Hub, made: Path, brand: Brand
) -> None:
    hub.settings |= {"allow_squash_merge": False, "allow_merge_commits": True, "default_merge_style": "merge"}
    hub.settings |= {"default_delete_branch_after_merge": False}
    hub.protection = None

    def wrong() -> dict[str, str]:
        return {name: says for name, says in forge[0].protection() if says}

    def send(method: str, path: str, body: dict[str, Any]) -> int:
        sent = json.dumps(body).encode()
        return hub.served(method, f"{hub.api}{path}", {}, sent, f"token {TOKEN}")[0]

    assert {*wrong()} == {"squash merges", "merge style", "merged branches", "protection"}
    merging = json.loads((made / brand.folder / "merging.json").read_text())
    without = {key: value for key, value in merging.items() if key != "has_pull_requests"}
    assert send("PATCH", "", without) == 200
    assert "squash merges" in wrong(), "it answers 200 and changes nothing"
    assert send("PATCH", "", merging) == 200
    rule = json.loads((made / brand.folder / "main.json").read_text())
    assert send("POST", "/branch_protections", rule) == 201
    assert wrong() == {}
    for change, name, says in (
        ({"required_approvals": 0}, "approvals", "nobody has to approve"),
        ({"dismiss_stale_approvals": False}, "later pushes", "stays valid after later pushes"),
        ({"enable_approvals_whitelist": False}, "reviewers", f"{brand.name} asks no owner"),
        ({"status_check_contexts": ["build*"]}, "gate", "check / check"),
        ({"enable_status_check": False}, "gate", "check / check"),
        ({"enable_push": True}, "pushes", "everybody who may write may push anything"),
        ({"unprotected_file_patterns": "registry/**"}, "pushes", "tombstones may be pushed without a review"),
        ({"unprotected_file_patterns": "docs/**; **.json"}, "pushes", "manifest.json may be pushed"),
        ({brand.binds_admins: False}, "administrators", "administrators may merge past the rule"),
    ):
        hub.protection = {**rule, **change}
        found = wrong()
        assert {*found} == {name}
        assert says in found[name]
    hub.protection = rule
    hub.rule = lambda method, path: "forbidden" if path.startswith("/branch_protections") else None
    assert "run doctor with one of an administrator" in wrong()["protection"]


def owners(text: str, path: str) -> set[str]:
    """As the servers read it (GetCodeOwnersFromContent): every line that matches the whole path."""
    found: set[str] = set()
    for line in text.splitlines():
        pattern, *who = line.partition("#")[0].split() or [""]
        assert "\\" not in pattern, "a backslash there is not for the expression"
        if pattern and (re.fullmatch(pattern.removeprefix("!"), path) is None) == pattern.startswith("!"):
            found |= {*who}
    return found


@pytest.mark.parametrize(
    "path, who",
    [
        ("manifests/grocer/home/manifest.json", "reviewers"),
        ("holds/all.json", "reviewers"),
        (f"registry/grocer/home/popularity/{'0' * 64}.json", ""),
        (f"registry/grocer/home/popularity/{'0' * 64}.retired.json", "reviewers"),
        ("registry/schemas/mine.schema.json", "maintainers"),
        ("pointsman.toml", "maintainers"),
        (".gitea/workflows/check.yml", "maintainers"),
        ("tool/pointsman/cli/main.py", "maintainers"),
    ],
)
def test_owners_are_asked_in_the_form_that_the_servers_read(path: str, who: str) -> None:
    text = template("gitea", "gitea/CODEOWNERS").decode()
    assert owners(text, path) == ({f"@example/{who}"} if who else set())


def workflows(made: Path, brand: Brand) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in NAMES:
        yield name, load(made / brand.folder / "workflows" / f"{name}.yml")


@pytest.mark.slow
def test_workflows_use_nothing_of_others_and_no_value_from_outside_becomes_part_of_a_script(
    made: Path, brand: Brand
) -> None:
    kept: set[str] = set()
    for name, workflow in workflows(made, brand):
        on = workflow["on"]
        assert not {"pull_request_target", "workflow_run", "issue_comment"} & {*on}
        assert "push" not in on or on["schedule"], name
        assert workflow["permissions"] == {}
        (job,) = workflow["jobs"].values()
        assert job["permissions"] == GRANTS.get(name, {"contents": "read"})
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert "uses" not in step
            assert "${{" not in step["run"]
        first, install, work = job["steps"]
        kept.add(first["run"].replace(" --filter blob:none", ""))
        assert install["run"] == f"bash {brand.folder}/install.sh"
        assert ".venv/bin/pointsman " in work["run"]
        assert {brand.tokens[0], brand.address} <= {*work["env"]}
        secret = "secrets.POINTSMAN_TOKEN" in work["env"][brand.tokens[0]]
        assert secret == (name in ("hold", "publish", "refresh", "rollback", "ship-version"))
    assert len(kept) == 1, "all check out main in the same way"


@pytest.mark.slow
def test_workflows_lint_clean(tmp_path: Path, made: Path, brand: Brand) -> None:
    if not ACTIONLINT.exists():
        pytest.skip("actionlint is not installed: make lint does it, with npm")
    command = [str(ACTIONLINT), f"{brand.folder}/workflows/*.yml"]
    ran = subprocess.run(command, cwd=made, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_what_is_described_is_what_was_looked_up() -> None:
    for brand in ("Gitea", "Forgejo"):
        told = description(brand)
        assert list(told.against("PullRequest", {"number": "1"}, "it")) == ["it.number: '1' is no StrictInt"]
        assert list(told.against("PullRequest", {"nummer": 1}, "it")) == ["it: PullRequest has no nummer"]
        assert list(told.against("List[Label]", {}, "it")) == ["it: {} is no list"]
        assert list(told.against("CreateLabelOption", {"name": "a"}, "it")) == ["it: CreateLabelOption needs color"]
        call = ("GET", "/repos/o/r/pulls", {"head": "x"}, b"", 200, b"[]")
        assert told.wrong(*call) == "GET /repos/o/r/pulls: no parameter head"
        assert "never answers 418" in told.wrong("POST", "/repos/o/r/pulls/1/merge", {}, b"", 418, b"")
        assert "is no call of its" in told.wrong("PUT", "/repos/o/r/pulls/1", {}, b"", 200, b"")
