"""What `init` writes for GitLab: it is whole, GitLab takes it, and its jobs do what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from runner import ROOT
from shop import git

from gitlab.hub import SLUG, TOKEN, Hub
from gitlab.team import Team
from pointsman.cli.init import render
from pointsman.forge.generated import template, templates
from pointsman.repo.open import open_repository
from pointsman.verbs.check import check
from pointsman.verbs.init import init
from pointsman.workspace import Workspace

JOBS = ("check", "ship", "publish", "ship-version", "rollback", "hold", "drift", "audit", "refresh", "gc", "pages")


def pipeline() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(template("gitlab", "gitlab/gitlab-ci.yml"))
    return document


def test_the_page_is_the_one_that_init_writes() -> None:
    page = template("gitlab", "gitlab.md")
    assert (ROOT / "docs" / "gitlab.md").read_bytes() == page, "cp tool/pointsman/templates/gitlab.md docs/"


def test_a_new_repository_is_whole_and_names_its_own_forge_alone(tmp_path: Path) -> None:
    outcome = init(str(tmp_path / "shop"), store=None, serving=None, forge="gitlab", sets=())
    made = tmp_path / "shop"
    assert {".gitlab-ci.yml", ".gitlab/install.sh", "CODEOWNERS", "docs/gitlab.md"} < {*templates("gitlab")}
    for path in templates("gitlab"):
        assert path in ("pyproject.toml", "requirements.txt", "LICENSE") or "github" not in (made / path).read_text()
    assert not (made / ".github").exists()
    assert 'kind = "gitlab"\nrecords = "pull-request"' in (made / "pointsman.toml").read_text()
    said = render(outcome.value)
    assert "POINTSMAN_IMAGE" in said
    assert "docs/gitlab.md" in said
    with open_repository(str(made)) as repo:
        assert check(Workspace(repo)).exit_code == 0


def test_the_jobs_pass_gitlab_s_own_schema() -> None:
    """The schema of SchemaStore, as check-jsonschema has it."""
    text = resources.files("check_jsonschema").joinpath("builtin_schemas", "vendor", "gitlab-ci.json").read_text()
    schema = json.loads(text)
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(pipeline())] == []
    assert [*validator.iter_errors({**pipeline(), "check": {"script": 3}})] != [], "the schema looks at jobs"


def test_every_job_is_there_and_takes_the_tool_from_main_alone() -> None:
    jobs = pipeline()
    assert all(jobs[name]["extends"] == ".pointsman" for name in JOBS)
    shared = jobs[".pointsman"]
    assert (shared["image"], shared["variables"]["GIT_STRATEGY"]) == ("$POINTSMAN_IMAGE", "none")
    assert shared["id_tokens"]["POINTSMAN_ID_TOKEN"]["aud"] == "$POINTSMAN_AUDIENCE"
    assert any("--branch main" in line for line in shared["before_script"])
    for name in ("publish", "ship-version", "rollback", "hold"):
        assert all('$CI_COMMIT_BRANCH == "main"' in rule["if"] for rule in jobs[name]["rules"])


def test_owners_are_in_sections_and_a_record_has_none() -> None:
    sections = template("gitlab", "gitlab/CODEOWNERS").decode().split("\n[")[1:]
    owned = {part.partition("]")[0]: part.splitlines()[1:] for part in sections}
    assert [*owned] == ["Maintainers", "Schemas", "Reviewers"]
    assert "!/registry/" in owned["Maintainers"]
    assert {"/manifests/", "/holds/", "/registry/**/*.retired.json"} <= {*owned["Reviewers"]}


def run(team: Team, hub: Hub, name: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A job of the file, as a runner does it, in an image that has the tool."""
    jobs = pipeline()
    job = {**jobs[".pointsman"], **jobs[name]}
    place = team.root / "builds"
    place.mkdir(exist_ok=True)
    url = f"{hub.url}/{SLUG}"
    given = {name: str(each) for name, each in jobs["variables"].items() if isinstance(each, str)}
    environment = {
        **{name: os.environ[name] for name in ("HOME", "LANG", "NO_PROXY") if name in os.environ},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **given,
        "CI_SERVER_URL": hub.url,
        "CI_PROJECT_URL": url,
        "CI_PROJECT_DIR": str(place),
        "CI_REPOSITORY_URL": f"{url}.git".replace("://", f"://oauth2:{TOKEN}@"),
        "CI_PIPELINE_URL": f"{url}/-/pipelines/1",
        "GITLAB_TOKEN": TOKEN,
        "GITLAB_USER_NAME": "Ann",
        "GITLAB_USER_EMAIL": "ann@example.org",
        **more,
    }
    lines = [*job["before_script"], *job["script"]]
    script = "set -eo pipefail\n" + "\n".join(lines)
    return subprocess.run(
        ["bash", "-c", script], cwd=place, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_the_jobs_judge_publish_ship_and_refresh_for_real(team: Team, hub: Hub) -> None:
    (team.desk / ".gitlab").mkdir()
    (team.desk / ".gitlab" / "install.sh").write_bytes(template("gitlab", "gitlab/install.sh"))
    git(team.desk, "add", "-A")
    git(team.desk, "commit", "-q", "-m", "install.sh")
    git(team.desk, "push", "-q", str(hub.repo), "main")
    published = run(team, hub, "publish", POINTSMAN_PATH=str(team.day(1)))
    assert published.returncode == 0, published.stderr
    (number,) = hub.numbers("ship/", "open")
    head = hub.pulls[number]["sha"]
    passed = run(team, hub, "check", CI_COMMIT_SHA=head)
    assert passed.returncode == 0, passed.stderr
    assert "grocer/home" in (team.root / "builds" / "review.md").read_text()
    tree = hub.git("rev-parse", f"{head}^{{tree}}")
    stripped = hub.git("commit-tree", tree, "-p", "main", given="no lines\n")
    refused = run(team, hub, "check", CI_COMMIT_SHA=stripped)
    assert refused.returncode == 1
    assert "unvouched-manifest" in refused.stdout
    hub.approve(number)
    hub.button(number)
    assert run(team, hub, "ship").returncode == 0
    held = {"POINTSMAN_TARGET": "grocer/* nobody/home", "POINTSMAN_UNTIL": "2h", "POINTSMAN_REASON": "$(touch gone)"}
    stopped = run(team, hub, "hold", POINTSMAN_JOB="hold", **held)
    assert stopped.returncode == 5, stopped.stderr
    assert len(hub.numbers("hold/", "open")) == 1
    released = run(team, hub, "hold", POINTSMAN_JOB="release", POINTSMAN_TARGET="grocer/home", POINTSMAN_REASON="over")
    assert "unchanged, no hold on main" in released.stdout, released.stderr
    again = run(team, hub, "ship-version", POINTSMAN_TARGET="grocer/home")
    assert again.returncode == 0, again.stderr
    assert len(hub.numbers("ship/", "open")) == 1
    many = {"POINTSMAN_DROP": "grocer/home:* grocer/home:cooc; --help", "POINTSMAN_ACCEPT": "* $(touch gone)"}
    assert run(team, hub, "publish", POINTSMAN_PATH=str(team.day(1)), **many).returncode == 2
    for name in ("drift", "refresh", "audit"):
        ran = run(team, hub, name)
        assert ran.returncode == 0, f"{name}: {ran.stderr}"
    assert run(team, hub, "pages").returncode == 0
    job, place = pipeline()["pages"], team.root / "builds"
    shown = {path for one in job["artifacts"]["paths"] for path in place.joinpath(one).rglob("*.html")}
    left_out = {path for one in job["artifacts"]["exclude"] for path in place.glob(one)}
    assert {path.name for path in place.joinpath("public").iterdir() if path in left_out} == {".pointsman-site.json"}
    assert place / "public" / "index.html" in shown - left_out
    assert job["cache"]["paths"] == job["artifacts"]["paths"]
    assert "1 of them new" in run(team, hub, "pages").stdout  # the overview alone
    second = hub.head("main")
    trained = run(team, hub, "check", CI_COMMIT_SHA=second, CI_MERGE_REQUEST_EVENT_TYPE="merge_train")
    assert trained.returncode == 0, trained.stderr
