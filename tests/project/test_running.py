"""What `init --with` writes to run Pointsman: container builders, Kubernetes and systemd take it, and it is safe."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from forge_server import ForgeServer
from pages import require_command_line
from runner import registry_answers
from shop import Shop, git, popularity
from world import own_mounts, tracer

from pointsman.cli.main import main
from pointsman.forge.generated import EXTRAS
from pointsman.verbs.init import init

kubernetes_validate: Any = pytest.importorskip("kubernetes_validate", reason="make .venv/dev brings it")
ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "tool" / "pointsman" / "templates" / "deploy"
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
UNITS = sorted([*(DEPLOY / "systemd").glob("*.service"), *(DEPLOY / "systemd").glob("*.timer")])
RESOURCES = [path for path in KUBERNETES if path.stem != "kustomization"]
OLDEST = "1.31"  # of Kubernetes; podFailurePolicy is there for good since then
WORD = "secret"
TOOL = "/opt/pointsman/bin/pointsman"


# init


@pytest.mark.slow
def test_init_writes_what_is_asked_for_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def wrote(*extras: str) -> set[str]:
        directory = tmp_path / "-".join(("r", *extras))
        init(str(directory), store=None, serving=None, forge="local", sets=(), extras=extras)
        return set(git(directory, "ls-files").splitlines())

    plain = wrote()
    assert wrote("systemd") - plain == {*EXTRAS["systemd"]}
    of_others = tuple(f".{forge}/" for forge in ("gitea", "forgejo"))  # workflows of one forge are for it alone
    every = {path for paths in EXTRAS.values() for path in paths}
    assert wrote(*EXTRAS) - plain == {path for path in every if not path.startswith(of_others)}
    files = [path for name in ("deploy", "monitoring") for path in (DEPLOY.parent / name).rglob("*") if path.is_file()]
    there = {str(path.relative_to(DEPLOY.parent)) for path in files}
    assert there <= every
    assert main(["init", str(tmp_path / "new"), "--with", "helm"]) == 2
    assert capsys.readouterr().err == f"pointsman: --with helm: there are {', '.join(EXTRAS)}\n"
    assert not (tmp_path / "new").exists()


# container


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each instruction of a Dockerfile, and its arguments."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        name, _, rest = line.partition(" ")
        yield name, rest


def test_the_image_names_no_registry_and_runs_as_nobody_without_a_shell() -> None:
    found = list(instructions((DEPLOY / "Dockerfile").read_text()))
    assert found[0] == ("ARG", "BASE=python:3.11-slim")
    assert {rest.split()[0] for name, rest in found if name == "FROM"} == {"${BASE}"}
    last = dict(found[[name for name, _ in found].index("FROM", 2) :])
    uid, _, gid = last["USER"].partition(":")
    assert int(uid) > 0
    assert int(gid) > 0
    assert last["ENTRYPOINT"] == f'["{TOOL}"]'
    assert last["ENV"].startswith("HOME=/tmp ")
    pips = [rest for name, rest in found if name == "RUN" and "pip install" in rest]
    assert len(pips) == 2
    assert all("--require-hashes" in rest or "--no-index" in rest for rest in pips)
    copied = {word for name, rest in found if name == "COPY" and "--from" not in rest for word in rest.split()[:-1]}
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {f"!{path.strip('/')}" for path in copied} == {line for line in ignored if line.startswith("!")}


@pytest.mark.slow
def test_what_the_image_is_built_by_makes_a_tool_that_runs(tmp_path: Path) -> None:
    """The steps of its first stage, in directories of their own."""
    shop, source, opt = tmp_path / "shop", tmp_path / "src", tmp_path / "opt"
    init(str(shop), store=None, serving=None, forge="local", sets=(), extras=["container"])
    source.mkdir()
    stage = list(instructions((shop / "deploy" / "Dockerfile").read_text()))
    stage = stage[: [name for name, _ in stage].index("FROM", 2)]
    for name, rest in stage:
        if name == "COPY":
            *names, to = rest.split()
            for each in names:
                subprocess.run(["cp", "-rT", shop / each, source / to / ("" if each == "tool/" else each)], check=True)
        elif name == "RUN":
            words = rest.replace("/opt/pointsman", str(opt)).replace("python ", f"{sys.executable} ", 1)
            ran = subprocess.run(shlex.split(words), cwd=source, capture_output=True, text=True, check=False)
            if ran.returncode and not registry_answers(tmp_path):
                pytest.skip("no registry of Python packages can be reached")
            assert ran.returncode == 0, ran.stderr
    shutil.rmtree(source)
    said = subprocess.check_output([opt / "bin" / "pointsman", "--version"], text=True, cwd=tmp_path)
    assert said.startswith("pointsman ")


class Origin(ForgeServer):
    """A repository behind HTTP, and nothing of a forge."""

    user = "git"

    def look(self) -> None:
        return


READ_ONLY = """
for each in "$1" "$2" "$3"; do mount --bind "$each" "$each" || exit 99; done
mount -o remount,bind,ro / && mount -o remount,bind,ro,nosuid,nodev "$1" && shift 3 || exit 99
touch "$HOME/../there" 2>/dev/null && exit 98
exec "$@"
"""


@pytest.mark.slow
def test_it_runs_where_only_tmp_can_be_written_and_starts_no_shell(tmp_path: Path) -> None:
    """sync, status and publish of a repository behind HTTP, on a root that is read-only; each program is noted."""
    mounts, strace = own_mounts(), tracer()
    shop = Shop(tmp_path / "shop")
    origin = Origin(tmp_path / "http", token=WORD)
    try:
        shop.publish(popularity(tmp_path / "p1.json", 10), merge=True)
        git(shop.origin, "push", "-q", "--mirror", str(origin.repo))
        place = tmp_path / "tmp"
        place.mkdir()
        url = f"{origin.url}/{origin.slug}.git".replace("://", f"://git:{WORD}@")
        environment = {**os.environ, "HOME": str(place), "TMPDIR": str(place), "POINTSMAN_REPO": url}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "XDG_CACHE_HOME": ""}
        said = ""
        artifact = popularity(tmp_path / "p2.json", 11, day=2)
        for words in (["sync"], ["status"], ["publish", "--merge", str(artifact)], ["sync"]):
            log = place / "started"
            traced = [strace, "-f", "-qq", "-e", "trace=execve", "-o", str(log)]
            command = [*traced, sys.executable, "-m", "pointsman", *words]
            read_only = [*mounts, "sh", "-euc", READ_ONLY, "sh", *map(str, (tmp_path, place, shop.store)), *command]
            ran = subprocess.run(read_only, env=environment, capture_output=True, text=True, check=False, cwd=place)
            assert ran.returncode == 0, (words, ran)
            said += log.read_text()
            log.unlink()
        started = {Path(path).name for path in re.findall(r'execve\("([^"]+)".* = 0$', said, re.MULTILINE)}
        assert "git-remote-http" in started
        assert not started & {"sh", "bash", "dash"}, started
        assert origin.head("main") != shop.main
        assert shop.serving == git(origin.repo, "show", "main:manifests/grocer/home/manifest.json").encode() + b"\n"
    finally:
        origin.close()


# kubernetes


def documents(path: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each is not None]


def pods(path: Path) -> Iterator[dict[str, Any]]:
    """The specification of each pod."""
    for each in documents(path):
        spec = each.get("spec", {})
        spec = spec["jobTemplate"]["spec"] if each["kind"] == "CronJob" else spec
        if "template" in spec:
            yield spec["template"]["spec"]


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("path", RESOURCES, ids=lambda path: path.stem)
def test_kubernetes_takes_each_resource(path: Path, version: str) -> None:
    for each in documents(path):
        if path.stem == "seen":  # a patch: the Deployment that it is for has these
            each["spec"] |= {"selector": {"matchLabels": {"app": "recsys"}}}
            each["spec"]["template"]["metadata"] = {"labels": {"app": "recsys"}}
        kubernetes_validate.validate(each, version, strict=True)


def test_what_kubernetes_would_not_take_is_found() -> None:
    resource = documents(DEPLOY / "kubernetes" / "gc.yaml")[1]
    resource["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["readOnlyRootFilesystem"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(resource, OLDEST, strict=True)


@pytest.mark.parametrize("path", RESOURCES, ids=lambda path: path.stem)
def test_each_container_is_locked_up_and_runs_a_command_that_there_is(path: Path) -> None:
    for pod in pods(path):
        volumes = {each["name"] for each in pod["volumes"]}
        for container in (each for each in pod["containers"] if each.get("image") == "pointsman"):
            require_command_line(container["args"])
            locked = container["securityContext"]
            assert locked["readOnlyRootFilesystem"] is True
            assert locked["allowPrivilegeEscalation"] is False
            assert locked["capabilities"] == {"drop": ["ALL"]}
            assert (pod.get("securityContext") or locked)["runAsNonRoot"] is True
            mounted = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
            assert mounted["tmp"] == "/tmp"  # noqa: S108 - what the image's HOME is
            assert {*mounted} <= volumes
            assert container["resources"]["limits"]["memory"]
        if path.stem != "seen":
            assert pod["automountServiceAccountToken"] is False
            assert pod["serviceAccountName"] in {
                each["metadata"]["name"] for each in documents(path) if each["kind"] == "ServiceAccount"
            }


def test_a_job_that_no_repetition_mends_is_not_repeated() -> None:
    for name in ("gc", "publish"):
        (job,) = (each for each in documents(DEPLOY / "kubernetes" / f"{name}.yaml") if each["kind"] == "CronJob")
        assert job["spec"]["concurrencyPolicy"] == "Forbid"
        (rule,) = job["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
        codes = rule["onExitCodes"]
        assert (rule["action"], codes["values"]) == ("FailJob", [1, 2, 5, 70])
        (container,) = next(pods(DEPLOY / "kubernetes" / f"{name}.yaml"))["containers"]
        assert container["name"] == codes["containerName"]


@pytest.mark.slow
def test_the_kustomization_names_each_file_and_puts_image_and_repository_everywhere(tmp_path: Path) -> None:
    (kustomization,) = documents(DEPLOY / "kubernetes" / "kustomization.yaml")
    names = {path.name for path in KUBERNETES} - {"kustomization.yaml", "seen.yaml"}
    assert {*kustomization["resources"]} == names
    (generated,) = kustomization["configMapGenerator"]
    for path in RESOURCES:
        for pod in pods(path):
            for container in (each for each in pod["containers"] if each.get("image") == "pointsman"):
                assert container["envFrom"][0]["configMapRef"]["name"] == generated["name"]
    if shutil.which("kubectl") is None:
        return
    shutil.copytree(DEPLOY / "kubernetes", tmp_path / "k")
    (tmp_path / "recsys").mkdir()
    recsys = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "recsys"},
        "spec": {
            "selector": {"matchLabels": {"app": "recsys"}},
            "template": {
                "metadata": {"labels": {"app": "recsys"}},
                "spec": {"containers": [{"name": "recsys", "image": "recsys-service:1"}]},
            },
        },
    }
    (tmp_path / "recsys" / "recsys.yaml").write_text(yaml.safe_dump(recsys))
    shutil.copy(DEPLOY / "kubernetes" / "seen.yaml", tmp_path / "recsys")
    own = {"resources": ["recsys.yaml"], "patches": [{"path": "seen.yaml"}]}
    (tmp_path / "recsys" / "kustomization.yaml").write_text(yaml.safe_dump(own))
    for directory in ("k", "recsys"):
        made = subprocess.check_output(["kubectl", "kustomize", tmp_path / directory], text=True)
        for each in yaml.safe_load_all(made):
            kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
        assert made.count("image: registry.example/pointsman:latest") == (4 if directory == "k" else 0)


# systemd


def test_the_units_are_such_as_systemd_takes(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: nobody reads the units")
    tool = shutil.which("true")  # any program: systemd takes no blank in a path, and this clone's may have one
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text().replace(TOOL, str(tool)))
    units = [str(tmp_path / unit.name) for unit in UNITS]
    ran = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False)
    ours = [line for line in ran.stderr.splitlines() if "pointsman-" in line]
    assert (ran.returncode, ours) == (0, [])
    broken = tmp_path / "pointsman-sync.service"
    broken.write_text(broken.read_text().replace("Restart=always", "Restart=often"))
    ran = subprocess.run(["systemd-analyze", "verify", "--man=no", broken], capture_output=True, text=True, check=False)
    assert "restart specifier" in ran.stderr


@pytest.mark.parametrize("path", [unit for unit in UNITS if unit.suffix == ".service"], ids=lambda path: path.stem)
def test_each_unit_runs_a_command_that_there_is_as_a_user_of_its_own(path: Path) -> None:
    text = path.read_text()
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    words = shlex.split(line)
    words = shlex.split(words[2].rpartition("exec ")[2]) if words[0] == "/bin/sh" else words
    assert words[0] == TOOL
    require_command_line(words[1:])
    for setting in ("User=pointsman", "NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateTmp=yes"):
        assert f"\n{setting}\n" in text


def test_the_environment_of_the_units_is_what_the_tool_reads() -> None:
    names = re.findall(r"^([A-Z_]+)=", (DEPLOY / "systemd" / "pointsman.env").read_text(), re.MULTILINE)
    assert names == [
        "POINTSMAN_REPO",
        "GIT_AUTHOR_NAME",
        "GIT_AUTHOR_EMAIL",
        "GIT_COMMITTER_NAME",
        "GIT_COMMITTER_EMAIL",
    ]
