"""`init`: a manifest repository ready to push, or nothing at all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from runner import lint, load

from pointsman.cli import init as module
from pointsman.errors import Problem
from pointsman.forge.cloud import steps_of
from pointsman.forge.generated import generated, templates
from pointsman.forge.open import KINDS, open_forge
from pointsman.guardrails.table import DEFAULTS
from pointsman.outcome import Outcome
from pointsman.repo.open import open_repository
from pointsman.repo.repository import Repository
from pointsman.settings import FORGES, KEYS, read_settings
from pointsman.state.names import Target
from pointsman.verbs.check import check
from pointsman.verbs.init import init
from pointsman.workspace import Workspace

ROOT = Path(__file__).parents[2]
TEMPLATES = templates("github")


def make(directory: Path, *sets: tuple[str, str], **more: Any) -> Outcome[Any]:
    return init(str(directory), **{"store": None, "serving": None, "forge": "local", "sets": sets, **more})


def git(directory: Path, *words: str) -> str:
    return subprocess.check_output(["git", "-C", str(directory), *words], text=True).strip()


def test_what_init_writes_is_what_this_repository_uses_itself() -> None:
    there = resources.files("pointsman").joinpath("templates")
    for path in sorted({*TEMPLATES} - {"README.md", ".gitignore", ".pre-commit-config.yaml", "pyproject.toml"}):
        same = there.joinpath(TEMPLATES[path]).read_bytes() == (ROOT / path).read_bytes()
        assert same, f"cp {path} tool/pointsman/templates/{TEMPLATES[path]}"


def test_a_new_repository_builds_its_tool_as_this_one_does() -> None:
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())
    theirs = tomllib.loads(resources.files("pointsman").joinpath("templates", "pyproject").read_text())
    assert theirs["build-system"] == ours["build-system"]
    assert {"readme": "README.md", **theirs["project"]} == ours["project"]  # theirs says nothing of the tool
    build = {name: table for name, table in ours["tool"]["setuptools"].items() if name != "data-files"}
    assert theirs["tool"] == {"setuptools": build}


def test_a_new_repository_is_clean_passes_the_check_and_can_be_pushed(tmp_path: Path) -> None:
    directory = tmp_path / "a shop é" / "manifests"
    document = make(directory).document
    assert document["directory"] == str(directory)
    assert git(directory, "rev-parse", "main") == document["commit"]
    assert git(directory, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert git(directory, "status", "--porcelain") == ""
    assert git(directory, "log", "--format=%P", "main") == ""
    tool = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "tool/pointsman").splitlines()
    made = [*TEMPLATES, ".pointsman.lock", "pointsman.toml", *tool]
    assert sorted(git(directory, "ls-files").splitlines()) == sorted(made)
    workflows = {
        path for path in git(ROOT, "ls-files", ".github/workflows").splitlines()
        if not path.endswith(("/release.yml", "/tests.yml"))
    }  # fmt: skip
    assert {*workflows, ".github/ruleset.json", ".pre-commit-config.yaml", "docs/github.md"} < {*TEMPLATES}
    for path in tool:
        assert (directory / path).read_bytes() == (ROOT / path).read_bytes(), path
    with open_repository(str(directory)) as repo:
        assert check(Workspace(repo)).exit_code == 0
    origin = tmp_path / "origin.git"
    subprocess.run(["git", "init", "-q", "--bare", str(origin)], check=True)
    git(directory, "push", "-q", str(origin), "main")
    assert git(origin, "rev-parse", "main") == document["commit"]


@pytest.mark.slow
def test_an_installed_tool_makes_the_same_repository(tmp_path: Path) -> None:
    source, site, made = tmp_path / "source", tmp_path / "site", tmp_path / "made"
    shutil.copytree(ROOT / "tool", source / "tool", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copytree(ROOT / "share", source / "share")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--target", str(site)]
    subprocess.run([*pip, "--no-index", "--no-deps", "--no-build-isolation", "--no-compile", str(source)], check=True)
    command = [sys.executable, "-m", "pointsman", "init", str(made), "--store", f"file://{tmp_path}/store"]
    subprocess.run(
        command, check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    )
    make(tmp_path / "same", store=f"file://{tmp_path}/store")
    assert git(made, "rev-parse", "main^{tree}") == git(tmp_path / "same", "rev-parse", "main^{tree}")


@pytest.mark.slow
def test_the_workflows_of_a_new_repository_lint_clean(tmp_path: Path) -> None:
    make(tmp_path / "shop", extras=("site", "rollout"))
    for name in ("site", "rollout"):
        assert (tmp_path / "shop" / ".github" / "workflows" / f"{name}.yml").is_file()
    lint(tmp_path / "shop")


@pytest.mark.parametrize(
    "forge", ["github", *(pytest.param(each, marks=pytest.mark.slow) for each in ("gitea", "forgejo"))]
)
def test_where_rings_are_their_checks_are_asked_by_a_workflow_of_the_forge_alone(tmp_path: Path, forge: str) -> None:
    make(tmp_path / "shop", forge=forge, rings=("canary", "prod:2h"))
    (found,) = (tmp_path / "shop").glob(".*/workflows/rollout.yml")
    assert found.parts[-3] == f".{forge}"
    assert "rollout --check" in found.read_text()
    assert "github" not in forge or "GITEA" not in found.read_text()


STORES = {"aws": "s3://b/p", "azure": "az://b/p", "gcp": "gs://b/p"}
# What each job logs in with. A workflow that is not here must not reach the store.
READERS = {"audit", "check", "drift", "refresh", "revert", "site"}
WRITERS = {"gc", "publish", "rollback", "rollout", "ship", "ship-version"}


@pytest.mark.parametrize("cloud", ["aws", *(pytest.param(each, marks=pytest.mark.slow) for each in ("azure", "gcp"))])
def test_every_job_that_reaches_the_store_logs_in_before_the_tool_runs_and_no_other_asks_for_a_token(
    tmp_path: Path, cloud: str
) -> None:
    plain = generated("github", ["site", "rollout"])
    made = generated("github", ["site", "rollout"], cloud)
    names = {path.rpartition("/")[2][: -len(".yml")]: path for path in made if "/workflows/" in path and path[0] == "."}
    assert {path for path in made if made[path] != plain.get(path)} == {
        "docs/cloud.md", *(names[name] for name in READERS | WRITERS)
    }  # fmt: skip
    for name, path in names.items():
        file = tmp_path / f"{name}.yml"
        file.write_bytes(made[path])
        (job,) = load(file)["jobs"].values()
        logins = [at for at, step in enumerate(job["steps"]) if step.get("id") == "cloud"]
        assert len(logins) == int(name in READERS | WRITERS) == int(job["permissions"].get("id-token") == "write")
        if not logins:
            continue
        login = job["steps"][logins[0]]
        assert re.search(r"@[0-9a-f]{40}$", login["uses"])
        assert re.search(r" # v\d+\.\d+\.\d+$", made[path].decode().split(login["uses"])[1].split("\n")[0])
        identity = "READER" if name in READERS else "WRITER"
        assert [value for value in login["with"].values() if f"vars.POINTSMAN_{cloud.upper()}_{identity}" in str(value)]
        assert name != "check" or "head.repo.full_name" in login["if"]
        tools = [at for at, step in enumerate(job["steps"]) if ".venv/bin/pointsman" in step.get("run", "")]
        assert logins[0] < min(tools)
        for step in (job["steps"][at] for at in tools):
            assert {"azure": "AZURE_USE_AZURE_CLI", "gcp": "GOOGLE_BEARER_TOKEN"}.get(cloud, "GITHUB_TOKEN") in step[
                "env"
            ] or (cloud, name) == ("aws", "check")
        before = load_bytes(plain[path], tmp_path)["permissions"]
        assert job["permissions"] == {**before, "id-token": "write"}


def load_bytes(data: bytes, scratch: Path) -> dict[str, Any]:
    (scratch / "plain.yml").write_bytes(data)
    (job,) = load(scratch / "plain.yml")["jobs"].values()
    found: dict[str, Any] = job
    return found


@pytest.mark.slow
@pytest.mark.parametrize("cloud", [*STORES])
def test_workflows_that_log_in_lint_clean(tmp_path: Path, cloud: str) -> None:
    outcome = make(tmp_path / "shop", forge="github", store=STORES[cloud], cloud=cloud, extras=("site", "rollout"))
    said = module.render(outcome.value, cloud)
    workflow = (tmp_path / "shop/.github/workflows/ship.yml").read_text()
    for name in re.findall(r"vars\.(POINTSMAN_[A-Z]+_[A-Z]+)", workflow):
        assert name in said
    assert (tmp_path / "shop/docs/cloud.md").read_bytes() == (ROOT / "docs/cloud.md").read_bytes()
    lint(tmp_path / "shop")


def test_on_gitlab_the_variables_are_told() -> None:
    assert "POINTSMAN_WRITER" in " ".join(steps_of("aws", "gitlab"))
    assert "AZURE_FEDERATED_TOKEN_FILE" in " ".join(steps_of("azure", "gitlab"))


@pytest.mark.parametrize(
    "forge, cloud, store, says",
    [
        ("gitea", "aws", "s3://b/p", "Gitea gives its jobs no OIDC token"),
        ("forgejo", "aws", "s3://b/p", "Forgejo gives its jobs no OIDC token"),
        ("gitlab", "gcp", "gs://b/p", "no form for GitLab"),
        ("local", "aws", "s3://b/p", "add --forge github"),
        ("github", "ibm", "s3://b/p", "there are aws, azure, gcp"),
        ("github", "aws", None, "add --store s3://"),
        ("github", "gcp", "s3://b/p", "add --store gs://"),
    ],
)
def test_a_login_that_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, forge: str, cloud: str, store: str | None, says: str
) -> None:
    with pytest.raises(Problem, match=re.escape(says)):
        make(tmp_path / "shop", forge=forge, cloud=cloud, store=store)
    assert not (tmp_path / "shop").exists()


def test_a_workflow_for_github_pages_is_for_github_alone(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="POINTSMAN_SITE"):
        make(tmp_path / "shop", forge="gitlab", extras=("site",))
    assert not (tmp_path / "shop").exists()


@pytest.mark.slow
def test_the_store_stands_beside_the_repository_unless_said_otherwise_and_git_ignores_it(tmp_path: Path) -> None:
    document = make(tmp_path / "shop").document
    assert document["settings"]["store"]["url"] == f"file://{tmp_path}/shop/.pointsman/store"
    assert not (tmp_path / "shop" / ".pointsman").exists()
    (tmp_path / "shop" / ".pointsman" / "store").mkdir(parents=True)
    (tmp_path / "shop" / ".pointsman" / "store" / "blob").touch()
    assert git(tmp_path / "shop", "status", "--porcelain") == ""
    document = make(
        tmp_path / "other", store="file:///srv/recsys", serving="file:///srv/live/{tenant}/{surface}.json"
    ).document
    assert document["settings"]["store"]["url"] == "file:///srv/recsys"
    assert document["settings"]["serving"]["manifest"] == "file:///srv/live/{tenant}/{surface}.json"


@pytest.mark.slow
def test_settings_are_read_back_as_they_were_given(tmp_path: Path) -> None:
    document = make(
        tmp_path / "shop",
        ("policy.items_drop", "0.4"),
        ('policy."grocer/home".items_drop', "0.3"),
        ("forge.group", "run"),
        ("limits.artifact_bytes", "20000000"),
        ("store.former", '["file:///old", "file:///older \\"one\\""]'),
        ("store.url", "file:///srv/a # b"),
    ).document
    data = (tmp_path / "shop" / "pointsman.toml").read_bytes()
    assert tomllib.loads(data.decode()) == document["settings"]
    settings = read_settings(data)
    assert settings.limit(Target("grocer", "home"), "items_drop") == 0.3
    assert settings.limit(Target("grocer", "cart"), "items_drop") == 0.4
    assert settings.group == "run"
    assert settings.artifact_bytes == 20_000_000
    assert settings.former == ("file:///old", 'file:///older "one"')
    assert settings.store == "file:///srv/a # b"


@pytest.mark.parametrize(
    "sets, more, says",
    [
        ((("policy.itms_drop", "0.4"),), {}, "did you mean items_drop"),
        ((("polcy.items_drop", "0.4"),), {}, "did you mean policy"),
        ((("policy.items_drop", "a lot"),), {}, "share between 0 and 1"),
        ((("policy", "0.4"),), {}, "is a table"),
        ((("forge.kind", "bitbucket"),), {}, "this version knows only"),
        ((("no key at all", "1"),), {}, "is no key"),
        ((("", "1"),), {}, "is no key"),
        ((("store.url", "ftp://bucket"),), {}, "cannot use"),
        ((), {"store": "relative/path"}, "cannot use"),
        ((), {"serving": "file:///srv/live/{tenant}.json"}, "{surface}"),
        ((), {"forge": "bitbucket"}, "--forge bitbucket: this version knows local, "),
    ],
)
def test_wrong_settings_are_told_before_anything_is_written(
    tmp_path: Path, sets: tuple[tuple[str, str], ...], more: dict[str, str], says: str
) -> None:
    with pytest.raises(Problem, match=says.replace("{", r"\{")):
        make(tmp_path / "new" / "shop", *sets, **more)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ['1\n[store]\nurl = "file:///evil"', "a\u0085b", '"', "'''", "\\", "{", "[", "1 = 2"])
def test_a_value_stays_a_value(tmp_path: Path, value: str) -> None:
    with pytest.raises(Problem, match="forge"):
        make(tmp_path / "shop", ("forge.group", value))


def test_a_directory_with_anything_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(Problem, match="not empty"):
        make(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(Problem, match=r"notes\.txt"):
        make(tmp_path / "notes.txt" / "shop")
    with pytest.raises(Problem, match=r"notes\.txt"):
        make(tmp_path / "notes.txt")


@pytest.mark.slow
def test_an_empty_directory_will_do_also_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert make(Path()).document["directory"] == str(tmp_path)
    assert git(tmp_path, "status", "--porcelain") == ""


@pytest.mark.slow
@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("failure", [Problem("no"), KeyboardInterrupt()])
def test_nothing_is_left_behind_when_it_fails_half_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, existing: bool
) -> None:
    directory = tmp_path / "deep" / "shop"
    if existing:
        directory.mkdir(parents=True)

    def fail(*_: object) -> None:
        assert (directory / "pointsman.toml").exists()
        raise failure

    monkeypatch.setattr(Repository, "move", fail)
    with pytest.raises(type(failure)):
        make(directory)
    left = sorted(str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*"))
    assert left == (["deep", "deep/shop"] if existing else [])


@pytest.mark.slow
def test_whoever_comes_second_to_a_directory_takes_nothing_from_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = os.mkdir
    raced: list[object] = []

    def first_comes_the_other(path: Any, *more: Any) -> None:
        if os.fspath(path).endswith(".git") and not raced:
            raced.append(path)
            make(tmp_path / "shop")
        claim(path, *more)

    monkeypatch.setattr(os, "mkdir", first_comes_the_other)
    with pytest.raises(Problem, match=r"\.git"):
        make(tmp_path / "shop")
    assert git(tmp_path / "shop", "status", "--porcelain") == ""


@pytest.mark.slow
def test_an_identity_is_found_where_git_knows_none(tmp_path: Path) -> None:
    make(tmp_path / "shop")
    assert "no git user.name set" in git(tmp_path / "shop", "log", "--format=%an")
    git(tmp_path / "shop", "config", "user.name", "x")


@pytest.mark.slow
def test_no_hook_is_installed_and_the_user_s_templates_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "template" / "hooks").mkdir(parents=True)
    (tmp_path / "template" / "hooks" / "pre-commit").write_text("exit 1")
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(tmp_path / "template"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text(f"[init]\ntemplateDir = {tmp_path / 'template'}\n")
    make(tmp_path / "shop")
    assert not (tmp_path / "shop" / ".git" / "hooks").exists()


@pytest.mark.slow
def test_the_text_for_people_names_the_next_step(tmp_path: Path) -> None:
    said = module.render(make(tmp_path / "shop").value)
    assert str(tmp_path / "shop") in said
    assert "push -u origin main" in said
    assert "docs/github.md" in said
    assert "ruleset" not in said  # nothing of a forge that was not asked for
    assert "doctor --fix" in module.render(make(tmp_path / "other", forge="github").value)


@pytest.mark.slow
def test_the_settings_name_every_default_as_a_comment(tmp_path: Path) -> None:
    make(tmp_path / "shop", ("retention.keep_days", "30"))
    text = (tmp_path / "shop" / "pointsman.toml").read_text()
    assert text.count("[retention]") == 1  # a table that is written has no comment
    others = "".join(line[1:] + "\n" for line in text.split("\n") if line[:1] == "#" and line[1:2] != " ")
    uncommented, plain = (read_settings(each.encode()) for each in (f"{text}\n{others}", text))
    assert dict(uncommented.policy.tables[""]) == dict(DEFAULTS)
    assert replace(uncommented, policy=plain.policy) == plain
    written = {f"{table}.{key}" for table, keys in tomllib.loads(others).items() for key in keys}
    known = {key for key in KEYS if key.partition(".")[0] in ("limits", "policy", "audit", "notify")}
    assert known - {"audit.since"} == written


@pytest.mark.slow
def test_a_kind_of_forge_that_only_the_settings_know_is_refused_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tuple(KINDS) == FORGES
    made = make(tmp_path / "shop")
    monkeypatch.setattr("pointsman.settings.FORGES", (*FORGES, "bitbucket"))
    with pytest.raises(Problem, match="this version knows local, "):
        make(tmp_path / "other", forge="bitbucket")
    settings = Path(made.document["directory"]) / "pointsman.toml"
    settings.write_text(settings.read_text().replace('kind = "local"', 'kind = "bitbucket"'))
    who = ("-c", "user.name=u", "-c", "user.email=u@example.org")
    git(settings.parent, *who, "commit", "-qam", "another forge")
    with open_repository(str(settings.parent)) as repo:
        repo.refresh()
        with pytest.raises(Problem, match=r"forge\.kind is 'bitbucket', which this version"):
            open_forge(repo)


@pytest.mark.slow
def test_rings_are_written_in_their_order_and_the_last_one_has_the_pointers_of_serving(tmp_path: Path) -> None:
    make(tmp_path / "shop", rings=("canary", "prod:2h"))
    text = git(tmp_path / "shop", "show", "main:pointsman.toml")
    canary, prod = read_settings(text.encode()).rings
    assert (canary.name, prod.name, prod.after) == ("canary", "prod", 7200)
    assert canary.place.root == f"file://{tmp_path}/shop/.pointsman/store/rings/canary"
    assert prod.place.root == f"file://{tmp_path}/shop/.pointsman/store/registry/current"
    for rings, says in ((("canary:2h", "prod"), "is the first ring"), (("a", "a"), "two of [[ring]] have the name a")):
        with pytest.raises(Problem, match=re.escape(says)):
            make(tmp_path / "other", rings=rings)
        assert not (tmp_path / "other").exists()
